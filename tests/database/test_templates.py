from __future__ import annotations

from uuid import UUID

import pytest

from pinstripe.database.templates import attribute_of
from pinstripe.errors import ConfigurationError
from pinstripe.tenants import Tenant

KEY = UUID("7c9e6679-7425-40de-944b-e07fc1f90ae7")


@pytest.mark.parametrize(("value", "text"), [("acme", "acme"), (7, "7"), (KEY, str(KEY)), ("ä/ß", "ä/ß")])
def test_an_attribute_is_given_as_text(value: object, text: str) -> None:
    assert attribute_of(Tenant("1", {"name": value}), "name", "database.tenant_schema") == text


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (None, "found None"),
        (True, "found bool"),
        (1.5, "found float"),
        ("", "found an empty one"),
        ("a\0b", "have no place in a name"),
        ("a\ud800", "have no place in a name"),
    ],
)
def test_what_is_no_name_is_refused_with_tenant_and_attribute(value: object, found: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        attribute_of(Tenant("t-1", {"name": value}), "name", "database.tenant_schema")
    assert found in str(raised.value)
    assert "database.tenant_schema" in str(raised.value)
    assert "'name' of tenant 't-1'" in str(raised.value)


def test_a_missing_attribute_is_named() -> None:
    with pytest.raises(ConfigurationError, match="tenant 't-1' has no attribute 'schema_name'"):
        attribute_of(Tenant("t-1", {}), "schema_name", "database.tenant_schema")
