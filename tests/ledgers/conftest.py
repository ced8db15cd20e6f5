"""The ledgers that the behaviour suite runs over: a new one is put into `store`, and is done when the suite passes."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import apsw
import pytest

from pinstripe.config import RetentionSettings
from pinstripe.ledgers.sqlite.ledger import SQLiteLedger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from pinstripe.ledger import Ledger

START = 1_790_000_000_000_000
"""When the tests' clock starts: 2026-09-21, in microseconds UTC."""

RETENTION = RetentionSettings(succeeded=timedelta(days=30), failed=timedelta(days=90), logs=timedelta(days=7))


@dataclass
class HandClock:
    """A clock that goes on by a millisecond a look, and otherwise where it is set."""

    microseconds: int = START
    seconds: float = 0.0

    def now(self) -> int:
        self.microseconds += 1_000
        return self.microseconds

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, step: timedelta) -> None:
        """Let time pass on both clocks."""
        self.microseconds += step // timedelta(microseconds=1)
        self.seconds += step.total_seconds()

    def jump(self, step: timedelta) -> None:
        """Set the wall clock, as a person or a time server does."""
        self.microseconds += step // timedelta(microseconds=1)


@dataclass
class Store:
    """One store of runs, and as many ledgers on it as a test wants: each stands for a process."""

    path: Path
    clock: HandClock
    made: list[SQLiteLedger] = field(default_factory=list)

    def ledger(self) -> Ledger:
        """Give another ledger on the store, not yet open; it is closed after the test."""
        ledger = SQLiteLedger(self.path, clock=self.clock, retention=RETENTION, lock_wait=10.0)
        self.made.append(ledger)
        return ledger

    def kill(self, ledger: Ledger) -> None:
        """Take from a ledger what tells others that its process lives, as the system does when a process dies."""
        owners = ledger._store.owners  # type: ignore[attr-defined]  # noqa: SLF001 - nothing public does that
        owners._lock.release()  # noqa: SLF001
        owners._lock = None  # noqa: SLF001

    def reboot(self, ledger: Ledger) -> None:
        """Let a ledger's process have ended with its machine."""
        owner = ledger._store.owners.id  # type: ignore[attr-defined]  # noqa: SLF001
        with closing(apsw.Connection(str(self.path))) as connection:
            connection.execute("update owners set boot_id = 'the boot before this one' where id = ?", (owner,))
        self.kill(ledger)


@pytest.fixture
def clock() -> HandClock:
    """Give the clock of the store's ledgers."""
    return HandClock()


@pytest.fixture(params=["sqlite"])
async def store(tmp_path: Path, clock: HandClock) -> AsyncIterator[Store]:
    """Give an empty store; each kind of ledger has one."""
    store = Store(tmp_path / "kept here" / "ledger.db", clock)
    yield store
    for ledger in store.made:
        await ledger.close()


@pytest.fixture
async def ledger(store: Store) -> Ledger:
    """Give a ledger that is open for writing."""
    ledger = store.ledger()
    await ledger.open()
    return ledger


@pytest.fixture
async def other(store: Store, ledger: Ledger) -> Ledger:
    """Give the ledger of another process on the same store."""
    other = store.ledger()
    await other.open()
    return other
