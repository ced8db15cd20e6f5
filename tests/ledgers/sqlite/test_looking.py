from __future__ import annotations

import os
import shutil
from contextlib import closing
from typing import TYPE_CHECKING

import apsw
import pytest

if TYPE_CHECKING:
    from pinstripe.ledger import Ledger
    from tests.ledgers.conftest import HandClock
    from tests.ledgers.stores import SQLiteStore

pytestmark = pytest.mark.anyio


def trouble(ledger: Ledger) -> str | None:
    found = ledger.look(0.0)
    assert found.trouble is None or "/" not in found.trouble, "whoever asks may be anybody"
    return found.trouble


async def test_a_sound_ledger_is_told_with_the_workers_that_it_heard_of(
    ledger: Ledger, other: Ledger, clock: HandClock
) -> None:
    assert ledger.look(0.0) == (None, True, ())
    await other.queue.join(3)
    beaten = clock.microseconds
    assert ledger.look(0.0) == (None, True, ((os.getpid(), beaten),))
    await other.queue.stopping()
    assert ledger.look(0.0).workers == ()


async def test_a_file_that_was_removed_or_replaced_is_told_though_it_is_open_here(
    store: SQLiteStore, ledger: Ledger
) -> None:
    away = store.path.with_name("away")
    store.path.rename(away)
    assert trouble(ledger) == "its file can't be found"
    shutil.copy(away, store.path)
    assert trouble(ledger) == "its file was replaced"
    away.replace(store.path)
    assert trouble(ledger) is None


async def test_a_locked_ledger_is_told_and_waited_for_no_longer_than_asked(store: SQLiteStore) -> None:
    # Not even a reader gets by a connection that keeps the file to itself.
    store.path.parent.mkdir()
    with closing(apsw.Connection(str(store.path))) as connection:
        connection.execute("pragma locking_mode = exclusive; create table schema_version (version)").fetchall()
        assert trouble(store.ledger()) == "it is locked"


@pytest.mark.parametrize(
    ("content", "told"), [(b"no database at all" * 100, "it is not a sound SQLite file"), (None, "it can't be read")]
)
async def test_what_is_no_ledger_s_file_is_told(store: SQLiteStore, content: bytes | None, told: str) -> None:
    store.path.parent.mkdir()
    if content is None:
        store.path.mkdir()
    else:
        store.path.write_bytes(content)
    assert trouble(store.ledger()) == told


async def test_rights_that_are_missing_are_told(store: SQLiteStore, ledger: Ledger) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    store.path.chmod(0)
    assert trouble(ledger) == "it can't be opened"


@pytest.mark.parametrize(
    "change",
    [
        "update schema_version set version = 2",
        "update schema_version set version = 1000, min_code = 1000",
        "drop table schema_version",
    ],
)
async def test_a_schema_that_is_not_this_code_s_is_told(store: SQLiteStore, ledger: Ledger, change: str) -> None:
    with closing(apsw.Connection(str(store.path))) as connection:
        connection.execute(change)
    assert ledger.look(0.0) == (None, False, ())


async def test_a_schema_that_was_only_expanded_is_current(store: SQLiteStore, ledger: Ledger) -> None:
    with closing(apsw.Connection(str(store.path))) as connection:
        connection.execute("update schema_version set version = 1000")
    assert ledger.look(0.0).is_current
