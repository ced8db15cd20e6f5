"""Whether a database has a table, asked before anything of SQLAlchemy is imported."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pinstripe.database.presence import has_table_now
from pinstripe.errors import ConfigurationError, DatabaseUnavailable
from tests.postgres import APP, OWNER

if TYPE_CHECKING:
    from tests.postgres import Postgres


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "app 1%#.db"
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma journal_mode = wal")
        connection.execute("create table tenants (id text)")
        connection.execute("create view clients as select * from tenants")
        connection.execute("create index an_index on tenants (id)")
    return path


def test_a_sqlite_file_is_asked(file: Path) -> None:
    folder = file.parent.parent
    before = sorted(file.parent.iterdir())
    assert has_table_now("sqlite:///data/app 1%#.db", folder, "tenants")
    assert has_table_now(f"sqlite:///{file}", Path("/"), "clients")
    for name in ("Tenants", "an_index", "", "ten%", "' or 1=1 --"):
        assert not has_table_now(f"sqlite:///{file}", folder, name), name
    assert sorted(file.parent.iterdir()) == before


def test_a_table_that_another_connection_just_made_is_seen(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("create table accounts (id text)")
        assert has_table_now(f"sqlite:///{file}", file.parent, "accounts")


def test_a_missing_file_is_told_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable, match=r"expected a SQLite database at .*app\.db, found nothing"):
        has_table_now("sqlite:///app.db", tmp_path, "tenants")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "app.db").mkdir()
    with pytest.raises(DatabaseUnavailable, match="found a folder"):
        has_table_now("sqlite:///app.db", tmp_path, "tenants")


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "app.db").write_text("nothing of the kind, for many bytes" * 100)
    with pytest.raises(DatabaseUnavailable, match=r"app\.db can't be read: file is not a database"):
        has_table_now("sqlite:///app.db", tmp_path, "tenants")


def test_postgresql_is_asked(postgres: Postgres, postgres_database: str, tmp_path: Path) -> None:
    made = "create table tenants (id text); create view clients as select 1; create schema other; "
    asyncio.run(
        postgres.execute(f"{made} create table other.accounts (id text)", database=postgres_database, user=OWNER)
    )
    url = postgres.url(postgres_database, APP)
    assert has_table_now(url, tmp_path, "tenants")
    assert has_table_now(url, tmp_path, "clients")
    assert not has_table_now(url, tmp_path, "accounts")
    assert not has_table_now(url, tmp_path, "Tenants")

    async def inside_a_loop() -> bool:
        return has_table_now(url, tmp_path, "tenants")

    assert asyncio.run(inside_a_loop())


def test_a_server_that_does_not_let_in_is_told(postgres: Postgres, postgres_database: str, tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable, match="refuses the connection") as raised:
        has_table_now(postgres.url("no_such_database", APP, "s3cret"), tmp_path, "tenants")
    assert "s3cret" not in str(raised.value)
    with pytest.raises(DatabaseUnavailable, match="can't be reached") as raised:
        has_table_now("postgresql://app:s3cret@127.0.0.1:1/app", tmp_path, "tenants")
    assert "s3cret" not in str(raised.value)
    with pytest.raises(ConfigurationError, match="unknown parameter"):
        has_table_now("postgresql://app:s3cret@127.0.0.1:1/app?x=1", tmp_path, "tenants")


def test_it_needs_nothing_of_sqlalchemy(file: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from pinstripe.database.presence import has_table_now\n"
        f"assert has_table_now('sqlite:///{file}', Path('/'), 'tenants')\n"
        "assert not {'sqlalchemy', 'asyncpg', 'aiosqlite'} & {*sys.modules}"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
