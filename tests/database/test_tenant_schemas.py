from __future__ import annotations

import pytest

from pinstripe.database.tenant_schemas import TenantSchemas
from pinstripe.errors import ConfigurationError, IsolationError
from pinstripe.tenants import Tenant


def test_the_template_is_filled_with_attributes() -> None:
    schemas = TenantSchemas("c_{schema_name}_{id}")
    assert schemas.name(Tenant("7", {"schema_name": "Acme Inc."})) == "c_Acme Inc._7"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a" * 64, "has 64 bytes; PostgreSQL keeps the first 63"),
        ("ä" * 32, "has 64 bytes"),
        ("public", "where shared tables are"),
        ("tenant", "the word by which models mean"),
        ("pg_catalog", "PostgreSQL's own"),
        ("pg_temp", "PostgreSQL's own"),
        ("information_schema", "PostgreSQL's own"),
    ],
)
def test_names_that_are_no_tenants_schema(name: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        TenantSchemas("{id}").name(Tenant(name))


def test_the_longest_name_is_taken() -> None:
    assert TenantSchemas("{id}").name(Tenant("ä" * 31 + "b")) == "ä" * 31 + "b"


def test_no_two_tenants_have_one_schema() -> None:
    schemas = TenantSchemas("{schema_name}")
    assert schemas.name(Tenant("1", {"schema_name": "acme"})) == "acme"
    assert schemas.name(Tenant("1", {"schema_name": "acme"})) == "acme"
    with pytest.raises(IsolationError, match="tenants '1' and '2' have the same schema, 'acme'"):
        schemas.name(Tenant("2", {"schema_name": "acme"}))


def test_a_tenant_that_moved_leaves_its_name_to_others() -> None:
    schemas = TenantSchemas("{schema_name}")
    schemas.name(Tenant("1", {"schema_name": "acme"}))
    schemas.name(Tenant("1", {"schema_name": "acme_inc"}))
    assert schemas.name(Tenant("2", {"schema_name": "acme"})) == "acme"
