from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from pinstripe.config import load_settings
from pinstripe.ledger_checks import look_at_ledger
from pinstripe.project import Project
from tests.postgres import APP, OWNER

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgres import Postgres

pytestmark = pytest.mark.anyio


async def look(folder: Path, url: str, **flags: object) -> str | None:
    """Look at the ledger at a URL; none of its passwords may be told."""
    project = Project(load_settings(folder, environment={}, flags={"ledger": url, **flags}))
    try:
        trouble = await look_at_ledger(project)
    finally:
        await project.close()
    assert "s3cret" not in (trouble or "")
    return trouble


async def make(folder: Path, url: str) -> None:
    """Make the ledger at a URL."""
    project = Project(load_settings(folder, environment={}, flags={"ledger": url}))
    await project.ledger.open(write=True)
    await project.close()


async def test_who_may_make_the_ledger_makes_none_by_looking(
    tmp_path: Path, postgres: Postgres, postgres_database: str
) -> None:
    url = postgres.url(postgres_database, OWNER)
    assert await look(tmp_path, url) is None
    found = await postgres.fetch("select from pg_namespace where nspname ~ '^pinstripe'", database=postgres_database)
    assert found == []
    await make(tmp_path, url)
    assert await look(tmp_path, url) is None


async def test_who_may_not_make_it_is_told_what_to_grant(
    tmp_path: Path, postgres: Postgres, postgres_database: str
) -> None:
    url = postgres.url(postgres_database, APP)
    grant = f'grant create on database "{postgres_database}" to "{APP}"'
    trouble = await look(tmp_path, url)
    assert trouble is not None
    assert "may not create the schema pinstripe nor pinstripe_engine" in trouble
    assert f"`{grant}`" in trouble
    assert f"postgresql://{APP}@" in trouble
    await postgres.execute(grant, database=postgres_database)
    assert await look(tmp_path, url) is None


async def test_who_may_not_use_what_another_has_made_is_told_what_to_grant(
    tmp_path: Path, postgres: Postgres, postgres_database: str
) -> None:
    await make(tmp_path, postgres.url(postgres_database, OWNER))
    await postgres.execute(
        f"""
        revoke all on schema pinstripe from {APP};
        revoke all on all tables in schema pinstripe from {APP};
        grant select on all tables in schema pinstripe to {APP};
        grant insert, update, delete on pinstripe.runs to {APP};
        """,
        database=postgres_database,
    )
    url = postgres.url(postgres_database, APP)
    for expected in ("pinstripe", "executions"):
        trouble = await look(tmp_path, url)
        assert trouble is not None
        assert expected in trouble
        if "`" in trouble:
            await postgres.execute(trouble.split("`")[1], database=postgres_database)
        else:
            await postgres.execute(f"grant usage on schema pinstripe to {APP}", database=postgres_database)
    assert await look(tmp_path, url) is None


@pytest.mark.parametrize(
    ("user", "password", "database", "told"),
    [
        (APP, "s3cret", None, "lets nobody in by that name and password"),
        (APP, None, "not_there", "is not there"),
    ],
)
async def test_who_is_not_let_in_is_told_so(
    tmp_path: Path,
    postgres: Postgres,
    postgres_database: str,
    user: str,
    password: str | None,
    database: str | None,
    told: str,
) -> None:
    trouble = await look(tmp_path, postgres.url(database or postgres_database, user, password))
    assert trouble is not None
    assert told in trouble


async def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    with socket.socket() as bound:  # and doesn't listen
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        trouble = await look(tmp_path, f"postgresql://app:s3cret@127.0.0.1:{port}/app")
    assert trouble is not None
    assert f"postgresql://app@127.0.0.1:{port}/app can't be reached" in trouble


@pytest.mark.parametrize(
    ("what", "revoked", "granted"),
    [
        (
            "take numbers of",
            f"all on all sequences in schema pinstripe from {APP}",
            "usage on all sequences in schema pinstripe",
        ),
        # Anybody may call them by default, but where that default was taken away.
        (
            "call",
            "execute on all functions in schema pinstripe_engine from public",
            "execute on all functions in schema pinstripe_engine",
        ),
    ],
)
async def test_who_may_not_use_what_is_no_table_is_told_what_to_grant(
    tmp_path: Path, postgres: Postgres, postgres_database: str, what: str, revoked: str, granted: str
) -> None:
    await make(tmp_path, postgres.url(postgres_database, OWNER))
    await postgres.execute(f"revoke {revoked}", database=postgres_database, user=OWNER)
    grant = f'grant {granted} to "{APP}"'
    trouble = await look(tmp_path, postgres.url(postgres_database, APP))
    assert trouble is not None
    assert f"may not {what} " in trouble
    assert f"`{grant}`" in trouble
    await postgres.execute(grant, database=postgres_database, user=OWNER)
    assert await look(tmp_path, postgres.url(postgres_database, APP)) is None


async def test_a_database_that_can_only_be_read_is_told(
    tmp_path: Path, postgres: Postgres, postgres_database: str
) -> None:
    await postgres.execute(f'alter database "{postgres_database}" set default_transaction_read_only = on')
    trouble = await look(tmp_path, postgres.url(postgres_database, OWNER))
    assert trouble is not None
    assert "can only be read" in trouble


async def test_a_schema_of_somebody_else_is_told(tmp_path: Path, postgres: Postgres, postgres_database: str) -> None:
    await postgres.execute("create schema jobs; create table jobs.mine ()", database=postgres_database, user=OWNER)
    trouble = await look(tmp_path, postgres.url(postgres_database, OWNER), ledger_schema="jobs")
    assert trouble is not None
    assert "name another one in the setting `ledger_schema`" in trouble


async def test_a_file_is_looked_at_and_not_made(tmp_path: Path) -> None:
    assert await look(tmp_path, "sqlite:///ledger.db") is None
    assert not (tmp_path / "ledger.db").exists()
    (tmp_path / "ledger.db").mkdir()
    trouble = await look(tmp_path, "sqlite:///ledger.db")
    assert trouble is not None
    assert "is a folder" in trouble
