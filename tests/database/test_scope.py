"""A tenant's id as a value of the tenant column: two ids never become one value."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Boolean, Column, Integer, MetaData, String, Table, Uuid

from pinstripe.database.catalog import Entry
from pinstripe.database.scope import tenant_value
from pinstripe.errors import ConfigurationError, IsolationError

IDS = st.one_of(
    st.text(max_size=40), st.integers().map(str), st.uuids().map(str), st.from_regex(r"[+-]?0*\d{1,3}_?\d?")
)


def entry_of(kind: object) -> Entry:
    """Give a table whose tenant column is of that type."""
    table = Table("notes", MetaData(), Column("tenant_id", kind))  # type: ignore[arg-type]
    return Entry("notes", table, table, table.c.tenant_id, "tenant")


TEXT, NUMBER, UNIQUE = entry_of(String()), entry_of(Integer()), entry_of(Uuid())

UNIQUE_TEXT = entry_of(Uuid(as_uuid=False))


@pytest.mark.parametrize(
    ("entry", "tenant_id", "value"),
    [(TEXT, "01", "01"), (TEXT, "1; drop table", "1; drop table"), (NUMBER, "42", 42), (NUMBER, "-1", -1)],
)
def test_an_id_is_a_value_of_the_column(entry: Entry, tenant_id: str, value: object) -> None:
    found = tenant_value(entry, tenant_id)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(("entry", "value"), [(UNIQUE, UUID(int=7)), (UNIQUE_TEXT, str(UUID(int=7)))])
def test_a_uuid_is_written_in_one_way(entry: Entry, value: object) -> None:
    assert tenant_value(entry, str(UUID(int=7))) == value
    for other in (str(UUID(int=10)).upper(), UUID(int=7).hex, f"{{{UUID(int=7)}}}", f"urn:uuid:{UUID(int=7)}", "acme"):
        with pytest.raises(IsolationError, match="isn't how one is written"):
            tenant_value(entry, other)


@pytest.mark.parametrize("tenant_id", ["01", "+1", " 1", "1 ", "1_0", "\u0661", "1.0", "", "a", str(2**63), "-0"])
def test_a_number_is_written_in_one_way(tenant_id: str) -> None:
    with pytest.raises(IsolationError, match="isn't how one is written"):
        tenant_value(NUMBER, tenant_id)


def test_a_column_that_holds_no_ids_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="expected text, an integer or a UUID"):
        tenant_value(entry_of(Boolean()), "1")


@given(one=IDS, other=IDS)
@pytest.mark.parametrize("entry", [TEXT, NUMBER, UNIQUE], ids=["text", "integer", "uuid"])
def test_two_ids_never_become_one_value(entry: Entry, one: str, other: str) -> None:
    values = []
    for tenant_id in (one, other):
        try:
            values.append(tenant_value(entry, tenant_id))
        except IsolationError:
            return
    assert (values[0] == values[1]) == (one == other)
