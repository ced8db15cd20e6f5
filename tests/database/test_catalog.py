"""Which tables there are, what stands for each, and whose its rows are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, Table, Text

from pinstripe.database.catalog import TENANT_SCHEMA, Catalog, declared, reflected
from pinstripe.errors import ConfigurationError, IsolationError, UnknownTable
from tests.database import shop_models
from tests.database.settings import database_settings
from tests.database.shop_models import Book, Item, Line, Log, Plan, User, visits

if TYPE_CHECKING:
    from pathlib import Path

    from pinstripe.database.catalog import Isolation


def catalog_of(folder: Path, isolation: Isolation = "rows", **changes: Any) -> Catalog:
    """Give the catalog of the shop's models."""
    values: dict[str, Any] = {"models": shop_models.__name__, "shared_tables": ["plans"], **changes}
    return declared(database_settings(folder, **values), isolation)


def test_a_table_is_found_by_its_name_and_by_its_class(tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path)
    assert catalog.find("users") is catalog.find(User) is catalog.by_table[User.__table__]  # type: ignore[index]
    assert catalog.find("visits").entity is visits
    assert catalog.find("visits").mapper is None
    assert [entry.name for entry in catalog] == sorted(catalog.by_name)


def test_each_table_says_whose_its_rows_are(tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path)
    assert (catalog.find("users").standing, catalog.find("users").tenant_key) == ("tenant", "tenant_id")
    assert catalog.find(Line).tenant_key == "tenant"
    assert (catalog.find(Plan).standing, catalog.find(Plan).tenant_key) == ("shared", None)
    assert catalog.find(Book).tenant is not None
    assert catalog.by_table[Item.__table__] is catalog.find(Item)  # type: ignore[index]


def test_a_table_that_says_nothing_is_found_only_by_who_asks_for_it(tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path)
    for key in ("logs", Log):
        with pytest.raises(IsolationError, match="table 'logs' can't be used: it has no column 'tenant_id', nor is it"):
            catalog.find(key)
    assert catalog.find("logs", undeclared=True).standing == "undeclared"


def test_an_unknown_table_is_told_with_the_nearest(tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path)
    with pytest.raises(
        UnknownTable, match=r"there is no table 'user': .* declares no model for it; the nearest is users"
    ):
        catalog.find("user")
    with pytest.raises(UnknownTable, match="str is no mapped class of tests"):
        catalog.find(str)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"shared_tables": ["plan"]}, "there is no table 'plan'; the nearest is plans"),
        ({"shared_tables": ["users"]}, "has the column 'tenant_id' and is named in shared_tables too"),
        ({"models": "no.models"}, "no.models can't be used: ModuleNotFoundError"),
        ({"models": "tests.database.settings"}, "has no SQLAlchemy models; expected classes"),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        catalog_of(tmp_path, **changes)


def test_the_tenant_column_of_a_table_is_known_by_its_name_in_the_database(tmp_path: Path) -> None:
    metadata = MetaData()
    Table("users", metadata, Column("id", Integer, primary_key=True), Column("tenant_id", Text, key="owner"))
    entry = reflected(metadata, database_settings(tmp_path, shared_tables=[]), "rows").find("users")
    assert (entry.standing, entry.tenant_key) == ("tenant", "owner")


NAMES = st.text("abcdef", min_size=1, max_size=4)


@given(
    tables=st.dictionaries(NAMES, st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=6),
    shared=st.frozensets(NAMES, max_size=4),
    isolation=st.sampled_from(["rows", "schemas", "databases", "none"]),
)
def test_no_table_is_both_a_tenants_and_shared_and_none_is_reached_by_saying_nothing(
    tmp_path_factory: pytest.TempPathFactory,
    tables: dict[str, tuple[bool, bool]],
    shared: frozenset[str],
    isolation: Isolation,
) -> None:
    """Each table stands for tenants or for all by one sign alone, and without any sign it is nobody's to use."""
    metadata = MetaData()
    for name, (has_column, in_schema) in tables.items():
        columns = [Column("tenant_id", Text)] if has_column else []
        schema = TENANT_SCHEMA if in_schema and isolation == "schemas" else None
        Table(name, metadata, Column("id", Integer, primary_key=True), *columns, schema=schema)
    settings = database_settings(tmp_path_factory.getbasetemp(), shared_tables=sorted(shared & set(tables)))
    clash = isolation == "rows" and any(tables[name][0] for name in shared & set(tables))
    if clash:
        with pytest.raises(ConfigurationError, match="expected one of the two"):
            reflected(metadata, settings, isolation)
        return
    for entry in reflected(metadata, settings, isolation):
        has_column, in_schema = tables[entry.name]
        signs = {"rows": has_column, "schemas": in_schema, "databases": entry.name not in shared, "none": False}
        if signs[isolation]:
            assert entry.standing == "tenant"
        else:
            assert entry.standing == ("shared" if entry.name in shared or isolation == "none" else "undeclared")
        assert (entry.tenant is not None) == (isolation == "rows" and has_column)
