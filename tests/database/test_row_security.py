from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from asyncpg.exceptions import FeatureNotSupportedError
from sqlalchemy import Column, Integer, MetaData, Table, Text
from sqlalchemy.ext.asyncio import create_async_engine

from pinstripe.database import row_security
from pinstripe.database.policies import POLICY, condition, protection
from pinstripe.errors import ConfigurationError, DatabaseUnavailable
from tests.database.guarded import catalog_of, remedy, set_scope, table, tables_of_notes, values
from tests.postgres import APP, OWNER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pinstripe.database.catalog import Catalog
    from tests.database.guarded import Guarded

pytestmark = pytest.mark.anyio


OURS = condition("tenant_id")


@pytest.fixture
def catalog() -> Catalog:
    return catalog_of(tables_of_notes())


@pytest.fixture
def required() -> Catalog:
    return catalog_of(tables_of_notes(), row_security="required")


@pytest.fixture
def other_role(guarded: Guarded) -> Iterator[str]:
    """Give a role of the test's own: what it changes about it is no other test's matter."""
    name = f"{guarded.name}_role"
    guarded.postgres.execute_now(f"create role {name} login password '{name}'")
    guarded.postgres.execute_now(
        f"grant usage on schema public to {name}; grant all on all tables in schema public to {name}",
        database=guarded.name,
    )
    yield name
    for role in (name, f"{guarded.name}_app"):
        guarded.postgres.execute_now(
            f"do $$ begin if exists (select from pg_roles where rolname = '{role}') then "
            f"drop owned by {role} cascade; drop role {role}; end if; end $$",
            database=guarded.name,
        )


async def refused(guarded: Guarded, catalog: Catalog, user: str | None = APP, password: str | None = None) -> str:
    with pytest.raises(ConfigurationError) as caught:
        await guarded.inspect(catalog, user, password)
    return str(caught.value)


async def mended(
    guarded: Guarded, catalog: Catalog, user: str = APP, *, by: str | None = OWNER, password: str | None = None
) -> str:
    """Inspect what is refused, execute the very SQL that the refusal says, and find it accepted; give the refusal."""
    message = await refused(guarded, catalog, user, password)
    await guarded.execute(remedy(message), user=by)
    assert await guarded.inspect(catalog, user, password) is True
    return message


async def test_where_no_table_has_it_and_nothing_requires_it_it_is_off(guarded: Guarded, catalog: Catalog) -> None:
    assert await guarded.inspect(catalog) is False
    assert await guarded.inspect(catalog, user=None) is False  # whoever asks


async def test_where_every_table_has_it_it_is_on(guarded: Guarded, catalog: Catalog, required: Catalog) -> None:
    await guarded.enable(catalog)
    for role in (APP, OWNER):
        assert await guarded.inspect(catalog, role) is True
        assert await guarded.inspect(required, role) is True


async def test_required_but_off_is_mended_by_what_the_message_says(guarded: Guarded, required: Catalog) -> None:
    message = await mended(guarded, required)
    assert message.startswith("the database doesn't keep a transaction to its tenant's rows:\n")
    assert "table public.notes has no row-level security; mend it with\n    alter table public.notes enable" in message
    assert "table public.pages has no row-level security" in message
    assert "plans" not in message


async def test_a_table_that_was_forgotten_is_named(guarded: Guarded, catalog: Catalog) -> None:
    await guarded.enable(catalog_of(table("notes")))
    message = await mended(guarded, catalog)
    assert "public.pages" in message
    assert "public.notes" not in message


@pytest.mark.parametrize(
    "break_",
    [
        f"drop policy {POLICY} on notes",
        f"alter policy {POLICY} on notes using (true)",
        f"alter policy {POLICY} on notes with check (true)",
        f"alter policy {POLICY} on notes to {APP}",
        f"drop policy {POLICY} on notes; create policy {POLICY} on notes for select using (tenant_id = 'acme')",
        "alter table notes rename column tenant_id to was; alter table notes add tenant_id text default 'acme'",
        "alter table notes disable row level security",
    ],
)
async def test_a_policy_that_is_not_ours_any_more_is_mended(guarded: Guarded, catalog: Catalog, break_: str) -> None:
    await guarded.enable(catalog)
    await guarded.execute(break_)
    assert "table public.notes has " in await mended(guarded, catalog)


async def test_an_owner_who_is_not_forced_is_refused(guarded: Guarded, catalog: Catalog) -> None:
    await guarded.enable(catalog)
    await guarded.execute("alter table pages no force row level security")
    assert await guarded.inspect(catalog, APP) is True  # whom it holds all the same
    message = await mended(guarded, catalog, OWNER)
    assert "table public.pages belongs to app_owner, and row-level security isn't forced on its owner" in message
    assert "public.notes" not in message


async def test_who_inherits_the_owners_privileges_counts_as_the_owner(
    guarded: Guarded, catalog: Catalog, other_role: str
) -> None:
    await guarded.enable(catalog)
    await guarded.execute("alter table notes no force row level security")
    await guarded.execute(f"grant {OWNER} to {other_role}", user=None)
    async with guarded.connect(other_role, other_role) as connection:
        assert await values(connection, "select count(*) from notes") == [2]  # this is why
    assert "isn't forced" in await mended(guarded, catalog, other_role, password=other_role)


async def test_who_could_become_the_owner_is_held_as_long_as_he_does_not(
    guarded: Guarded, catalog: Catalog, other_role: str
) -> None:
    await guarded.enable(catalog)
    await guarded.execute("alter table notes no force row level security")
    await guarded.execute(f"alter role {other_role} noinherit; grant {OWNER} to {other_role}", user=None)
    async with guarded.connect(other_role, other_role) as connection:
        assert await values(connection, "select count(*) from notes") == [0]
    assert await guarded.inspect(catalog, other_role, other_role) is True


async def test_bypassrls_is_refused(guarded: Guarded, catalog: Catalog, other_role: str) -> None:
    await guarded.enable(catalog)
    await guarded.execute(f"alter role {other_role} bypassrls", user=None)
    message = await mended(guarded, catalog, other_role, by=None, password=other_role)
    assert f"role {other_role} has BYPASSRLS" in message


async def test_a_superuser_is_refused_and_told_how_to_make_another_role(
    guarded: Guarded, catalog: Catalog, other_role: str
) -> None:
    await guarded.enable(catalog)
    message = await refused(guarded, catalog, user=None)
    assert "is a superuser, whom no policy holds; let database.url name another role" in message
    await guarded.execute(remedy(message), user=None)
    made = f"{guarded.name}_app"
    assert await guarded.inspect(catalog, made, "CHOOSE ONE") is True
    async with guarded.connect(made, "CHOOSE ONE") as connection:
        await set_scope(connection, "acme")
        await connection.exec_driver_sql("insert into notes (tenant_id, body) values ('acme', 'new')")
        assert await values(connection, "select count(*) from notes") == [2]
        assert await values(connection, "select name from plans") == ["pro"]


async def test_another_permissive_policy_is_refused_where_it_holds_for_the_role(
    guarded: Guarded, catalog: Catalog
) -> None:
    await guarded.enable(catalog)
    await guarded.execute(
        "create policy narrower on notes as restrictive using (true);"
        f"create policy theirs on pages to {OWNER} using (true)"
    )
    assert await guarded.inspect(catalog) is True
    await guarded.execute('create policy "every one" on notes for select using (true)')
    async with guarded.transaction("acme") as connection:
        assert await values(connection, "select count(*) from notes") == [2]  # this is why
    message = await mended(guarded, catalog)
    assert 'table public.notes has the permissive policy "every one" too' in message
    assert "theirs" not in message


async def test_a_partition_that_the_role_may_read_by_its_name_must_be_protected(guarded: Guarded) -> None:
    await guarded.execute(
        "create table logs (id int, tenant_id text, day int) partition by range (day);"
        "create table logs_1 partition of logs for values from (0) to (10)"
    )
    catalog = catalog_of(table("logs"))
    assert (await guarded.enable(catalog)).changed == ["public.logs", "public.logs_1"]
    await guarded.execute("create table logs_2 partition of logs for values from (10) to (20)")
    message = await mended(guarded, catalog)
    assert "public.logs_2" in message
    assert "public.logs_1" not in message
    await guarded.execute(
        f"create table logs_3 partition of logs for values from (20) to (30); revoke all on logs_3 from {APP}"
    )
    assert await guarded.inspect(catalog) is True  # it is reached through `logs` only


@pytest.mark.parametrize(
    ("type_", "shown"),
    [("char(8)", "is character(8)"), ("name", "is name"), ('text collate "loose"', "has a nondeterministic collation")],
)
@pytest.mark.parametrize("is_on", [False, True])
async def test_a_column_for_which_different_ids_are_equal_is_refused(
    guarded: Guarded, type_: str, shown: str, is_on: bool
) -> None:
    if "loose" in type_:
        await make_collation(guarded)
    await guarded.execute(
        f"create table things (id int, tenant_id {type_})" + ";".join(["", *protection("things", "tenant_id")] * is_on)
    )
    catalog = catalog_of(table("things"))
    message = await refused(guarded, catalog)
    assert f"column tenant_id of table public.things {shown}" in message
    await guarded.execute(remedy(message))
    assert await guarded.inspect(catalog) is is_on
    await guarded.execute("drop table things; create table things (tenant_id char(3))")
    with pytest.raises(ConfigurationError, match="is character"):
        await guarded.enable(catalog)


async def make_collation(guarded: Guarded) -> None:
    """Make the collation `loose`, for which case doesn't matter."""
    try:
        await guarded.execute(
            "create collation loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
        )
    except FeatureNotSupportedError:
        await guarded.execute(
            "create collation loose (provider = libc, locale = 'C');"
            "update pg_collation set collisdeterministic = false where collname = 'loose'",
            user=None,
        )


STAND_IN_FOR_CITEXT = """
    create type citext;
    create function citext_in(cstring) returns citext language internal immutable strict as 'textin';
    create function citext_out(citext) returns cstring language internal immutable strict as 'textout';
    create type citext (input = citext_in, output = citext_out, like = text, category = 'S');
"""
"""A type of that name, where PostgreSQL was built without its extensions."""


async def test_citext_is_refused(guarded: Guarded) -> None:
    (available,) = await guarded.postgres.fetch(
        "select exists (select from pg_available_extensions where name = 'citext')"
    )
    await guarded.execute("create extension citext" if available[0] else STAND_IN_FOR_CITEXT, user=None)
    await guarded.execute("create domain id as citext; create table things (id int, tenant_id id)")
    catalog = catalog_of(table("things"))
    message = await refused(guarded, catalog)
    assert "is id" in message
    await guarded.execute(remedy(message))
    assert await guarded.inspect(catalog) is False


async def test_all_that_is_wrong_is_said_at_once(guarded: Guarded, catalog: Catalog, other_role: str) -> None:
    await guarded.enable(catalog)
    await guarded.execute(f"alter role {other_role} bypassrls", user=None)
    await guarded.execute("alter table notes disable row level security; create policy p on pages using (true)")
    message = await mended(guarded, catalog, other_role, by=None, password=other_role)
    assert [word in message for word in ("BYPASSRLS", "public.notes has no", "policy p")] == [True] * 3


async def test_what_is_not_there_is_passed_over(guarded: Guarded, catalog: Catalog) -> None:
    await guarded.enable(catalog)
    await guarded.execute("drop table pages")
    assert await guarded.inspect(catalog) is True
    await guarded.execute("drop table notes")
    assert await guarded.inspect(catalog) is False


async def test_other_isolations_and_databases_have_none(guarded: Guarded, required: Catalog) -> None:
    assert await guarded.inspect(catalog_of(tables_of_notes(), "databases", row_security="required")) is False
    engine = create_async_engine("sqlite+aiosqlite://")
    async with engine.connect() as connection:
        assert await row_security.inspect_row_security(connection, required) is False
    await engine.dispose()


async def test_enabling_twice_changes_nothing(guarded: Guarded, catalog: Catalog) -> None:
    state = (
        "select c.xmin, p.xmin, p.oid from pg_class c left join pg_policy p on p.polrelid = c.oid "
        "where c.relname in ('notes', 'pages')"
    )
    first = await guarded.enable(catalog)
    assert first == (["public.notes", "public.pages"], [], [], [], [])
    before = await guarded.postgres.fetch(state, database=guarded.name)
    second = await guarded.enable(catalog)
    assert second == ([], ["public.notes", "public.pages"], [], [], [])
    assert await guarded.postgres.fetch(state, database=guarded.name) == before


async def test_enabling_tells_what_is_missing_and_what_is_left(guarded: Guarded) -> None:
    metadata = tables_of_notes()
    Table("later", metadata, Column("id", Integer, primary_key=True), Column("tenant_id", Text))
    catalog = catalog_of(metadata)
    await guarded.execute("create policy p on notes using (true)")
    enabled = await guarded.enable(catalog)
    assert enabled.missing == ["later"]
    assert [fault.remedy for fault in enabled.left] == [["drop policy p on public.notes"]]
    assert enabled.notes == []


async def test_a_superuser_may_enable_it_and_is_told_that_it_does_not_hold_for_him(
    guarded: Guarded, catalog: Catalog
) -> None:
    enabled = await guarded.enable(catalog, user=None)
    assert len(enabled.changed) == 2
    assert ["superuser" in fault.problem for fault in enabled.notes] == [True]
    assert await guarded.inspect(catalog) is True


async def test_only_the_owner_can_enable_it(guarded: Guarded, catalog: Catalog) -> None:
    with pytest.raises(ConfigurationError) as caught:
        await guarded.enable(catalog, user=APP)
    message = str(caught.value)
    assert message.startswith(
        "table public.notes belongs to app_owner; table public.pages belongs to app_owner; role app"
    )
    assert "pinstripe enable-row-security --print | psql --username app_owner" in message
    assert await guarded.inspect(catalog) is False
    await guarded.enable(catalog)
    assert (await guarded.enable(catalog, user=APP)).changed == []  # there is nothing left to be allowed


async def test_without_any_tenant_table_there_is_nothing_to_enable(guarded: Guarded) -> None:
    with pytest.raises(ConfigurationError, match="no table has the column 'tenant_id'"):
        await guarded.enable(catalog_of(MetaData()))
    with pytest.raises(ConfigurationError, match="the database has none of the tables nowhere"):
        await guarded.enable(catalog_of(table("nowhere")))


async def test_a_table_in_use_is_not_waited_for_for_long(
    guarded: Guarded, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_security, "LOCK_SECONDS", 0.05)
    async with guarded.transaction("acme") as connection:
        await values(connection, "select count(*) from pages")
        with pytest.raises(DatabaseUnavailable, match=r"table public\.pages was in use .* nothing was changed"):
            async with asyncio.timeout(30):
                await guarded.enable(catalog)
    assert await guarded.inspect(catalog) is False
