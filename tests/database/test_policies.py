from __future__ import annotations

import asyncio
import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, Table, Text
from sqlalchemy.exc import DBAPIError

from pinstripe.database.policies import bare_tables, condition, is_condition, script, tenant_tables
from tests.database.guarded import catalog_of, catalog_of_classes, set_scope, table, tables_of_notes, values
from tests.postgres import APP, OWNER, psql_program

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from tests.database.guarded import Guarded

pytestmark = pytest.mark.anyio

NOTES = "select body from notes order by body"

WEIRD = [
    "acme's",
    'quo"te',
    "'; drop table notes; --",
    "zürich 東京",
    "a/b\\c%d$e:f",
    "x" * 300,
    "null",
    " acme",
    "acme ",
]
"""Ids that something may be tempted to understand."""


async def refused(connection: AsyncConnection, sql: str) -> str:
    """Execute what must fail, and give the reason; the transaction goes on."""
    with pytest.raises(DBAPIError) as caught:
        async with connection.begin_nested():
            await connection.exec_driver_sql(sql)
    return str(caught.value.orig)


@pytest.fixture(params=[APP, OWNER])
def role(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_a_transaction_reads_and_writes_its_tenants_rows_only(guarded: Guarded, role: str) -> None:
    await guarded.enable(catalog_of(tables_of_notes()))
    async with guarded.transaction("acme", role) as connection:
        assert await values(connection, NOTES) == ["of acme"]
        assert await values(connection, "select count(*) from notes where tenant_id = 'globex'") == [0]
        assert await values(connection, "update notes set body = 'new' returning tenant_id") == ["acme"]
        assert await values(connection, "insert into notes (tenant_id, body) values ('acme', 'b') returning body") == [
            "b"
        ]
        foreign = "insert into notes (tenant_id, body) values ('globex', 'x')"
        assert "violates row-level security policy" in await refused(connection, foreign)
        moved = "update notes set tenant_id = 'globex' where body = 'b'"
        assert "violates row-level security policy" in await refused(connection, moved)
        assert set(await values(connection, "delete from notes returning tenant_id")) == {"acme"}
        await set_scope(connection, None)
        assert await values(connection, NOTES) == ["of globex"]


async def test_upserts_cannot_take_another_tenants_row(guarded: Guarded, role: str) -> None:
    await guarded.enable(catalog_of(tables_of_notes()))
    upsert = (
        "insert into notes (id, tenant_id, body) values ({}, 'acme', 'mine') "
        "on conflict (id) do update set body = excluded.body returning body"
    )
    async with guarded.transaction("acme", role) as connection:
        assert await values(connection, upsert.format(1)) == ["mine"]
        assert "violates row-level security policy" in await refused(connection, upsert.format(2))
        assert "violates row-level security policy" in await refused(
            connection, "merge into notes using (values (1)) as v on true when not matched then do nothing "
            "when matched then update set tenant_id = 'globex'"
        )  # fmt: skip


async def test_copying_out_is_scoped_and_copying_in_refused(guarded: Guarded, role: str) -> None:
    await guarded.enable(catalog_of(tables_of_notes()))
    async with guarded.transaction("acme", role) as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None
        written: list[bytes] = []

        async def write(data: bytes) -> None:
            written.append(data)

        await driver.copy_from_table("notes", columns=["body"], output=write)
        assert b"".join(written) == b"of acme\n"
        with pytest.raises(Exception, match="COPY FROM not supported with row-level security"):
            await driver.copy_records_to_table("notes", records=[("acme", "x")], columns=["tenant_id", "body"])


async def test_without_a_tenant_there_is_nothing_before_and_after_a_transaction_that_had_one(guarded: Guarded) -> None:
    await guarded.execute(
        "create table counts (id serial primary key, tenant_id int); insert into counts values (1, 1)"
    )
    metadata = tables_of_notes()
    Table("counts", metadata, Column("id", Integer, primary_key=True), Column("tenant_id", Integer))
    await guarded.enable(catalog_of(metadata))
    async with guarded.connect() as connection:
        for _ in range(2):  # the variables are null at first, '' later
            async with connection.begin():
                assert await values(connection, NOTES) == []
                assert await values(connection, "select id from counts") == []
                assert "violates row-level" in await refused(connection, "insert into counts (tenant_id) values (1)")
                assert "violates row-level" in await refused(connection, "insert into notes (tenant_id) values ('')")
            async with connection.begin():
                await set_scope(connection, "1")
                assert await values(connection, "select id from counts") == [1]


async def test_a_savepoint_gives_back_the_tenant_that_was_before_it(guarded: Guarded) -> None:
    await guarded.enable(catalog_of(tables_of_notes()))
    async with guarded.transaction("acme") as connection:
        async with connection.begin_nested() as savepoint:
            await set_scope(connection, "globex")
            assert await values(connection, NOTES) == ["of globex"]
            await savepoint.rollback()
        assert await values(connection, NOTES) == ["of acme"]


async def test_a_commit_ends_the_scope(guarded: Guarded) -> None:
    await guarded.enable(catalog_of(tables_of_notes()))
    async with guarded.connect() as connection:
        await set_scope(connection, None)
        assert len(await values(connection, NOTES)) == 2
        await connection.commit()
        assert await values(connection, NOTES) == []


async def test_what_somebody_set_for_the_session_counts_for_nothing_in_a_scoped_transaction(guarded: Guarded) -> None:
    await guarded.enable(catalog_of(tables_of_notes()))
    async with guarded.connect() as connection:
        await connection.exec_driver_sql("set pinstripe.unscoped = 'yes'")
        await connection.exec_driver_sql("set pinstripe.tenant = 'globex'")
        await connection.commit()
        assert len(await values(connection, NOTES)) == 2
        await connection.commit()
        await set_scope(connection, "acme")
        assert await values(connection, NOTES) == ["of acme"]


async def test_turning_row_security_off_turns_off_nothing_but_the_statement(guarded: Guarded, role: str) -> None:
    await guarded.enable(catalog_of(tables_of_notes()))
    async with guarded.transaction("acme", role) as connection:
        await connection.exec_driver_sql("set local row_security = off")
        assert "would be affected by row-level security policy" in await refused(connection, NOTES)


@pytest.mark.parametrize("id_", WEIRD)
async def test_an_id_means_itself_whatever_is_in_it(guarded: Guarded, id_: str) -> None:
    await guarded.enable(catalog_of(tables_of_notes()))
    async with guarded.transaction(id_) as connection:
        assert await values(connection, NOTES) == []
        await connection.exec_driver_sql("insert into notes (tenant_id, body) values ($1, 'w')", (id_,))
        assert await values(connection, "select tenant_id from notes") == [id_]


LOOKALIKES = {
    "int": ("1", ["01", "+1", "1.0", " 1", "1 ", "one", "99999999999", "2"]),
    "bigint": ("9000000000", ["09000000000", "x"]),
    "uuid": (
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        ["A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}", "x"],
    ),
    "varchar(4)": ("acme", ["acme2", "acm", "ACME", "acme "]),
    "varchar": ("acme", ["acme2", "ACME"]),
    "plan": ("pro", ["PRO", "other"]),
    "short": ("acme", ["acme2", "acme "]),
}
"""For each type an id, and others that a cast to it would take for that one, or refuse with an error of its own."""


@pytest.mark.parametrize("type_", LOOKALIKES)
async def test_every_type_of_column_takes_an_id_by_its_text(guarded: Guarded, type_: str) -> None:
    await guarded.execute(
        "create type plan as enum ('pro', 'free'); create domain short as varchar(4);"
        f"create table things (id serial primary key, tenant_id {type_} not null)"
    )
    catalog = catalog_of(table("things"))
    await guarded.enable(catalog)
    assert await guarded.inspect(catalog)
    id_, others = LOOKALIKES[type_]
    async with guarded.transaction(id_) as connection:
        await connection.exec_driver_sql(f"insert into things (tenant_id) values ('{id_}')")
        assert await values(connection, "select count(*) from things") == [1]
        for other in others:
            await set_scope(connection, other)
            assert await values(connection, "select count(*) from things") == [0]
            assert "violates row-level" in await refused(connection, f"insert into things (tenant_id) values ('{id_}')")


async def test_the_policy_keeps_plans_as_they_are(guarded: Guarded) -> None:
    await guarded.execute(
        "create table many (id serial primary key, tenant_id text not null, body text);"
        "insert into many (tenant_id, body) select 't' || n % 1000, 'b' || n from generate_series(1, 100000) as n;"
        "create index on many (tenant_id, body); analyze many"
    )
    await guarded.enable(catalog_of(table("many")))
    async with guarded.transaction("t7") as connection:
        for sql in (
            "select * from many where tenant_id = 't7'",
            "select * from many where tenant_id = 't7' and body = 'b7'",
            "update many set body = 'x' where tenant_id = 't7'",
            "select m.id from many m join many o on o.id = m.id where m.tenant_id = 't7' and o.tenant_id = 't7'",
        ):
            plan = "\n".join(await values(connection, f"explain {sql}"))
            assert "Seq Scan" not in plan
            assert "Index Cond: ((tenant_id = 't7'::text)" in plan or "Index Cond: (tenant_id = 't7'::text)" in plan
            assert "InitPlan" in plan  # the variables are read once for a statement


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12),
    column=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
        str.strip
    ),
)
def test_any_name_is_quoted(guarded: Guarded, name: str, column: str) -> None:
    async def show() -> None:
        metadata = MetaData()
        made = Table(name, metadata, Column(column, Text), schema='Odd. "schema')
        catalog = catalog_of(metadata, tenant_column=column)
        ((quoted, quoted_column),) = tenant_tables(catalog).items()
        await guarded.execute('create schema if not exists "Odd. ""schema"')
        await guarded.execute(f"create table {quoted} ({quoted_column} text)")
        try:
            enabled = await guarded.enable(catalog)
            assert (len(enabled.changed), enabled.missing) == (1, [])
            assert await guarded.inspect(catalog)
            async with guarded.transaction("acme", OWNER) as connection:
                await connection.exec_driver_sql(f"insert into {quoted} values ('acme')")
                await set_scope(connection, "globex")
                assert await values(connection, f"select count(*) from {quoted}") == [0]
        finally:
            await guarded.execute(f"drop table {quoted}")
        assert made.name == name

    asyncio.run(show())


def test_our_condition_is_known_in_the_words_of_postgresql_and_no_other_is() -> None:
    found = (
        "(((tenant_id)::text = ( SELECT NULLIF(current_setting('pinstripe.tenant'::text, true), ''::text)"
        " AS \"nullif\")) OR ( SELECT (current_setting('pinstripe.unscoped'::text, true) = 'yes'::text)))"
    )
    assert is_condition(found, "tenant_id")
    assert is_condition(condition('"a b"'), '"a b"')
    for other in (
        found.replace("(tenant_id)", "(Other)"),
        found.replace("'yes'", "'YES'"),
        found.replace("unscoped", "Unscoped"),
        found.replace(" = ( SELECT N", " <> ( SELECT N"),
        f"{found} OR true",
        "true",
        None,
    ):
        assert not is_condition(other, "tenant_id")
    assert not is_condition(found, '"tenant_id"')


def psql(guarded: Guarded, text: str, *, options: str = "") -> subprocess.CompletedProcess[str]:
    program = psql_program()
    environment = {**os.environ, "PGOPTIONS": options}
    command = [program, "--no-psqlrc", "--quiet", guarded.postgres.url(guarded.name, OWNER)]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False, env=environment)


async def test_the_script_protects_tables_and_what_is_under_them(guarded: Guarded) -> None:
    await guarded.execute(
        """create table "Log $do1$ 100%" (id int, tenant_id text, day int) partition by range (day);
        create table first partition of "Log $do1$ 100%" for values from (0) to (10) partition by range (day);
        create table "First's \\" partition of first for values from (0) to (5);
        create table heirs (extra text) inherits (notes)"""
    )
    metadata = tables_of_notes()
    Table("Log $do1$ 100%", metadata, Column("id", Integer, primary_key=True), Column("tenant_id", Text))
    catalog = catalog_of(metadata)
    text = "\n".join(script(tenant_tables(catalog)))
    for _ in range(2):
        done = psql(guarded, text)
        assert (done.returncode, done.stdout) == (0, "")
    assert await guarded.inspect(catalog, OWNER)
    enabled = await guarded.enable(catalog)
    assert (enabled.changed, enabled.left) == ([], [])
    names = [
        'public."First\'s \\"',
        'public."Log $do1$ 100%"',
        "public.first",
        "public.heirs",
        "public.notes",
        "public.pages",
    ]
    assert sorted(enabled.unchanged) == names


async def test_the_script_quotes_the_column_for_what_is_under_a_table_too(guarded: Guarded) -> None:
    column = "100% %s \\ it's $do1$"
    await guarded.execute(
        f'create table logs (day int, "{column}" text) partition by range (day);'
        "create table logs_1 partition of logs for values from (0) to (10)"
    )
    catalog = catalog_of(table("logs", column), tenant_column=column)
    for options in ("", "-c standard_conforming_strings=off"):
        done = psql(guarded, "\n".join(script(tenant_tables(catalog))), options=options)
        assert (done.returncode, done.stderr) == (0, "")
    assert (await guarded.enable(catalog)).unchanged == ["public.logs", "public.logs_1"]


async def test_the_script_changes_all_or_nothing(guarded: Guarded) -> None:
    catalog = catalog_of(tables_of_notes())
    await guarded.execute("drop table pages")
    done = psql(guarded, "\n".join(script(tenant_tables(catalog))))
    assert done.returncode != 0
    assert 'relation "pages" does not exist' in done.stderr
    assert not await guarded.inspect(catalog, OWNER)


def test_what_a_class_has_beside_the_table_with_the_column_is_bare() -> None:
    catalog = catalog_of_classes()
    assert tenant_tables(catalog) == {"people": "tenant_id"}
    assert bare_tables(catalog) == ['"Staff"']
