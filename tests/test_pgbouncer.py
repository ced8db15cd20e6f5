"""The PgBouncer of the tests: it starts wherever they run, keeps nothing of a session, and leaves nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import psycopg
import pytest
from sqlalchemy import make_url

from tests.pgbouncer import PgBouncer, find_program
from tests.postgres_server import PATIENCE

if TYPE_CHECKING:
    from tests.postgres import Postgres

pytestmark = pytest.mark.anyio

# A process with a PgBouncer before a server of somebody else's, which ends with its standard input.
OWNER_OF_A_POOLER = """
import sys
from types import SimpleNamespace
from sqlalchemy import make_url
from tests.pgbouncer import PgBouncer

url = make_url(sys.argv[1])
pooler = PgBouncer(SimpleNamespace(url=lambda: url, host=url.host or url.query["host"], port=url.port or 5432))
print(pooler._folder, pooler.port, flush=True)
sys.stdin.read()
"""


async def test_each_transaction_gets_the_connection_that_waited_longest(
    pgbouncer: PgBouncer, postgres_database: str
) -> None:
    url = pgbouncer.url(postgres_database, "app")
    first = await asyncpg.connect(url, statement_cache_size=0)
    second = await asyncpg.connect(url, statement_cache_size=0)
    async with first.transaction():
        assert await first.fetchval("select 1") == 1
        async with second.transaction():
            assert await second.fetchval("select 1") == 1
    pids = {await first.fetchval("select pg_backend_pid()") for _ in range(4)}
    assert len(pids) == 2
    await first.close()
    await second.close()


def test_it_is_the_database_that_was_asked_for_and_the_user_who_asked(
    pgbouncer: PgBouncer, postgres: Postgres, postgres_database: str
) -> None:
    superuser = make_url(postgres.url()).username
    for user in (None, "app_owner", "app"):
        with psycopg.connect(pgbouncer.url(postgres_database, user), prepare_threshold=None) as connection:
            row = connection.execute("select current_database(), current_user").fetchone()
        assert row == (postgres_database, user or superuser)


def test_a_wrong_password_is_refused(pgbouncer: PgBouncer, postgres_database: str) -> None:
    url = pgbouncer.url(postgres_database, "app").replace("app:app@", "app:no@")
    with pytest.raises(psycopg.OperationalError, match="auth"):
        psycopg.connect(url)


def test_while_it_is_stopped_nobody_gets_through_and_afterwards_everybody_does(
    pgbouncer: PgBouncer, postgres_database: str
) -> None:
    url = pgbouncer.url(postgres_database, "app")
    with psycopg.connect(url) as connection:
        connection.execute("select 1")
        with pgbouncer.stopped():
            with pytest.raises(psycopg.OperationalError):
                connection.execute("select 1")
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(url)
    with psycopg.connect(url) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


@pytest.mark.skipif(find_program() is None, reason="there is no program to start")
def test_a_killed_process_leaves_no_pooler(postgres: Postgres, postgres_database: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER_OF_A_POOLER, postgres.url()],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stderr
        folder, port = process.stdout.readline().split() or [process.stderr.read(), "0"]
        url = f"postgresql://app:app@127.0.0.1:{port}/{postgres_database}"
        with psycopg.connect(url) as connection:
            process.kill()
            with pytest.raises(psycopg.OperationalError):
                connection.execute("select pg_sleep(60)")
        process.communicate(timeout=PATIENCE)  # what watches over it has the same standard error
    assert not Path(folder).exists()


def test_without_the_program_it_is_told_what_to_install(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.pgbouncer.find_program", lambda: None)
    with pytest.raises(RuntimeError, match="apt-get install pgbouncer"):
        PgBouncer(postgres)


def test_it_is_found_where_an_ordinary_shell_does_not_look(monkeypatch: pytest.MonkeyPatch) -> None:
    before = find_program()
    monkeypatch.setenv("PATH", os.defpath)
    assert find_program() == before
