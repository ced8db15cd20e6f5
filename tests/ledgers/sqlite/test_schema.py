from __future__ import annotations

import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from pinstripe.errors import LedgerError
from pinstripe.ledger import RunFilter
from pinstripe.ledgers.sqlite import schema
from pinstripe.ledgers.sqlite.connection import connect, log_ahead
from pinstripe.ledgers.sqlite.ledger import SQLiteLedger
from pinstripe.ledgers.sqlite.schema import CODE, check, is_made, migrate
from tests.ledgers.conftest import HandClock
from tests.ledgers.stores import RETENTION

if TYPE_CHECKING:
    from pathlib import Path

    import apsw

OLDEST = 3
"""The oldest code that may use the schema as it is: what is older takes a run for one time zone for one for all."""


def test_a_new_file_gets_the_schema_of_this_code(path: Path) -> None:
    connection = connect(path, write=True)
    assert not is_made(connection, path)
    migrate(connection, path)
    assert is_made(connection, path)
    assert connection.execute("select version, min_code from schema_version").fetchall() == [(CODE, OLDEST)]
    check(connection, path)
    connection.close()


def test_the_newest_migration_is_the_one_that_this_code_knows() -> None:
    numbers = [int(file.name.partition("_")[0]) for file in sorted(schema._MIGRATIONS.glob("*.sql"))]  # noqa: SLF001
    assert numbers == list(range(1, CODE + 1))


def test_migrating_again_writes_nothing(connection: apsw.Connection, path: Path) -> None:
    before = connection.total_changes()
    migrate(connection, path)
    assert connection.total_changes() == before


def test_processes_that_make_it_at_the_same_moment(path: Path) -> None:
    barrier = threading.Barrier(8)
    errors: list[BaseException] = []

    def make() -> None:
        try:
            connection = connect(path, write=True, lock_wait=10)
            barrier.wait(10)
            is_made(connection, path)
            log_ahead(connection, path)
            migrate(connection, path)
            connection.close()
        except BaseException as error:  # noqa: BLE001 - they are looked at below
            errors.append(error)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []
    connection = connect(path, write=False)
    assert connection.execute("select version, min_code from schema_version").fetchall() == [(CODE, OLDEST)]


def test_a_migration_that_fails_leaves_nothing(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "0001_half.sql").write_text("create table schema_version(version, min_code); create table broken(;")
    monkeypatch.setattr(schema, "_MIGRATIONS", tmp_path)
    connection = connect(path, write=True)
    with pytest.raises(Exception, match="syntax error"):
        migrate(connection, path)
    assert connection.execute("select count(*) from sqlite_schema").get == 0
    monkeypatch.undo()
    migrate(connection, path)
    connection.close()


def test_a_ledger_of_a_newer_version_that_this_code_may_use(connection: apsw.Connection, path: Path) -> None:
    connection.execute("update schema_version set version = ?, min_code = ?", (CODE + 5, CODE))
    migrate(connection, path)
    check(connection, path)
    assert connection.execute("select version from schema_version").get == CODE + 5


def test_a_ledger_that_needs_newer_code_is_refused(connection: apsw.Connection, path: Path) -> None:
    connection.execute("update schema_version set version = ?, min_code = ?", (CODE + 5, CODE + 2))
    for act in (migrate, check):
        with pytest.raises(LedgerError, match=rf"its schema is {CODE + 5} and needs at least {CODE + 2}.*update Pinst"):
            act(connection, path)


def test_somebody_elses_database_is_refused(path: Path) -> None:
    connection = connect(path, write=True)
    connection.execute("create table users(id integer primary key autoincrement)")
    with pytest.raises(LedgerError, match="tables of its own, not a ledger: name another file"):
        is_made(connection, path)
    with pytest.raises(LedgerError, match="not a ledger"):
        migrate(connection, path)
    assert [name for (name,) in connection.execute("select name from sqlite_schema")] == ["users", "sqlite_sequence"]
    connection.close()


@pytest.mark.anyio
async def test_who_only_looks_at_a_ledger_of_the_version_before_is_told_what_brings_it_up_to_date(path: Path) -> None:
    with closing(connect(path, write=True)) as connection:
        log_ahead(connection, path)
        for migration in sorted(schema._MIGRATIONS.glob("*.sql"))[:-1]:  # noqa: SLF001
            connection.execute(migration.read_text())
    ledger = SQLiteLedger(path, clock=HandClock(), retention=RETENTION)
    await ledger.open(write=False)
    assert await ledger.history.totals() == []
    assert await ledger.history.audit() == ([], None)
    with pytest.raises(LedgerError, match="start a worker, which bring an earlier one up to date"):
        await ledger.history.runs(RunFilter())
    with pytest.raises(LedgerError, match="start a worker, which bring an earlier one up to date"):
        await ledger.queue.status()  # rather than that nothing waits
    await ledger.open(write=True)
    assert (await ledger.queue.status()).waiting
    assert await ledger.history.runs(RunFilter()) == ([], None)
    await ledger.close()
