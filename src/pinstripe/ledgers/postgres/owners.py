"""Owners: each process that runs something has one row, a lease; who is gone is found by that, or by its process."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING, NamedTuple

from pinstripe.ledgers.hosts import began, boot_id, host, is_gone
from pinstripe.ledgers.postgres.database_clock import DatabaseClock

if TYPE_CHECKING:
    from pinstripe.ledgers.postgres.store import Store
    from pinstripe.ledgers.postgres.transaction import Transaction

LEASE = 60.0
"""Seconds after which an owner that hasn't beaten is dead, where its process can't be looked for."""


JUMP = 1.0
"""From how many seconds on the database's time has jumped: it was set, or this machine slept."""


class Owner(NamedTuple):
    """A row of the table `owners`. `beat` and `expires_at` are in microseconds UTC; that is 0 for who has left."""

    id: int
    name: str
    host: str
    boot_id: str
    pid: int
    beat: int
    expires_at: int
    worker: bool
    stopping: bool


class Owners:
    """The process's own row, and the search for those whose process is gone."""

    def __init__(self, store: Store, *, lease: float) -> None:
        """Keep it in a `store`; the `lease` is in seconds."""
        self._store = store
        self._lease = lease
        self._name: str | None = None
        self._id: int | None = None
        self._looked = store.clock.monotonic(), store.clock.now()
        self._jumped_at = float("-inf")

    @property
    def id(self) -> int | None:
        """The number of this process's row; None before it has one."""
        return self._id

    async def register(self, code_version: str) -> int:
        """Give this process's number, after making its row if it has none yet."""
        if self._id is not None:
            return self._id
        if self._name is None:
            # When the process began tells it from a later one with its number.
            self._name = f"{uuid.uuid4().hex}.{began(os.getpid())}"
        name = self._name

        async def register(tx: Transaction) -> int:
            now = self._store.clock.now()
            process = host(), boot_id(), os.getpid(), code_version
            made = await tx.value("register_owner", name, *process, now, self.expiry(now))
            # Nobody else has the name: this process asked twice, or doesn't know whether the first try was committed.
            return int(await tx.value("owner_by_name", name) if made is None else made)

        number = await self._store.write(register)
        if self._name == name:
            self._id = number
        return number

    def expiry(self, now: int) -> int:
        """Give until when a beat holds that is made `now`; both are in microseconds UTC."""
        return now + round(self._lease * 1_000_000)

    def forget(self, number: int | None = None) -> None:
        """Take a new number the next time: a row that is gone is never revived.

        Where a `number` is given, only if that is still this process's: another request may have found out first.
        """
        if number is None or number == self._id:
            self._id = self._name = None

    async def stopping(self, pid: int) -> None:
        """Say that the process of this host with that number ends by intent: its end is no crash."""
        await self._store.write(lambda tx: tx.run("process_stopping", host(), pid, boot_id()))

    async def leave(self) -> None:
        """Remove this process's row; where it leaves an open run, only say that it is gone: for rescue."""
        number = self._id
        if number is None:
            return

        async def leave(tx: Transaction) -> None:
            await tx.run("expire_owner", number)
            await tx.run("delete_owner", number)

        try:
            await self._store.write(leave)
        finally:
            self.forget(number)

    async def dead(self) -> list[Owner]:
        """Give the other owners that are dead: who has left or whose process is gone at once, the others by the lease.

        That counts for nothing for half of a lease after an outage, in which nobody could beat, and after the time has
        jumped: all who live have beaten by the end of it. A run by hand on this host is its process's, however long
        that has been stopped.
        """
        own, here, boot = self._id, host(), boot_id()
        now = self._look_at_clock()
        rows = await self._store.rows("found_owners", -1 if own is None else own, now, here, boot)
        if not rows:
            return []
        doubtful = self._is_after_outage(rows[0][-1])
        found = [Owner(*[*row][:-1]) for row in rows]
        return [owner for owner in found if self._is_dead(owner, (here, boot), now, doubtful=doubtful)]

    def _is_dead(self, owner: Owner, here: tuple[str, str], now: int, *, doubtful: bool) -> bool:
        if not owner.expires_at:
            return True
        near = (owner.host, owner.boot_id) == here
        if near and is_gone(owner.pid, owner.name.partition(".")[2]):
            return True
        silent = owner.expires_at < now and not doubtful
        return silent and (owner.worker or not near)

    def _look_at_clock(self) -> int:
        """Give the time, and remember when it was found to have jumped."""
        clock = self._store.clock
        at, now = clock.monotonic(), clock.now()
        if abs((now - self._looked[1]) / 1_000_000 - (at - self._looked[0])) > JUMP:
            self._jumped_at = at
        self._looked = at, now
        return now

    def _is_after_outage(self, up: float) -> bool:
        """Tell whether who lives may not have been able to say so; the server has been `up` for so many seconds."""
        clock = self._store.clock
        at = clock.monotonic()
        trouble_at = max(self._store.trouble_at, self._jumped_at)
        if isinstance(clock, DatabaseClock):  # another one tells a time that is not the server's
            trouble_at = max(trouble_at, at - up)
        return at - trouble_at < self._lease / 2
