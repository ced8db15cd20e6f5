"""Fires: what the ledger keeps of schedules, so that each fires once. Each method is told as a state change.

A schedule is known by its job and its `key` (see `Schedule.key`), and fires in one zone, or in each zone that tenants
have. In each of them the ledger keeps since when it is known, and its last fire: nothing fires for an instant at or
before those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pinstripe.queue import NewWork


class KnownSchedule(NamedTuple):
    """A schedule as a process's code has it.

    `edition` tells one version of it from another under the same `key` (see `Schedule.identity`), and `cron` is its
    line. `zone` is the IANA name in which that is read; None for each tenant's own.
    """

    job: str
    key: str
    edition: str
    cron: str
    zone: str | None


class ScheduleState(NamedTuple):
    """What the ledger keeps of a schedule in one zone. Times are in microseconds UTC.

    `schedule` is the ledger's number for it, the same in all zones. It is known `since` then; `fired` is its last fire,
    and `missed` the last time that was let go instead of fired, None for never. `gone` says that no code has it any
    more, or that no tenant is in that zone.
    """

    schedule: int
    job: str
    key: str
    cron: str
    zone: str
    by_tenant: bool
    since: int
    fired: int | None
    missed: int | None
    gone: bool


class Registered(NamedTuple):
    """What the ledger keeps of the schedules that were registered.

    `numbers` are its numbers for them, in their order. `looked` is when it was last looked in which zones the tenants
    of each are (microseconds UTC), or since when it is known. `states` has each in each of its zones, but for what is
    gone.
    """

    numbers: list[int]
    looked: list[int]
    states: list[ScheduleState]


class Fire(NamedTuple):
    """A time at which a schedule is due: `at` in microseconds UTC, and the run that becomes of it.

    Without `work` the time is let go: it counts as fired, and is noted as missed.
    """

    schedule: int
    zone: str
    at: int
    work: NewWork | None


class LateWork(NamedTuple):
    """What a fire made and has not started: a job's execution for a `tenant`; None for a run without its tenants yet.

    `due_at` is when it should have started (microseconds UTC), `run` the run's id, and `reason` what it waits for.
    """

    job: str
    key: str
    tenant: str | None
    due_at: int
    run: str
    reason: str


class Fires(Protocol):
    """What every ledger keeps of schedules.

    All methods raise `LedgerError` where the ledger can't be used, and lose nothing that was acknowledged.
    """

    async def join(self) -> None:
        """Be a bot: this process gets an owner's row, and is shown as one that lets schedules fire. Idempotent."""
        ...

    async def register(self, schedules: Sequence[KnownSchedule], *, keep: Collection[str], now: int) -> Registered:
        """Say what schedules the code of this process has; give what the ledger keeps of them.

        Those that are new are known since `now`; so are those that come back after they were gone, those of another
        edition than before, and those that are known since later than that, by a clock that was ahead. Those that this
        code doesn't have are gone, unless another bot that lives has them, but for those of the jobs in `keep`, which
        can't be loaded. One that fires in tenants' zones has those zones that it had. `now` is in microseconds UTC.
        """
        ...

    async def affirm(self, schedules: Mapping[int, KnownSchedule], *, keep: Collection[str], now: int) -> None:
        """Say again what schedules (by number) the code of this process has, as its bot does now and then.

        Those that a process had which is gone are this one's, as its code has them, and nothing of them is new; those
        that no bot has any more are gone. Idempotent.
        """
        ...

    async def set_zones(self, schedule: int, zones: Collection[str], *, since: int, now: int) -> list[ScheduleState]:
        """Say in which zones the tenants of a schedule are; give what is kept for each, but for what is gone.

        Those that are new, or come back, are known `since` then, when they were last looked for (microseconds UTC);
        the others are gone.
        """
        ...

    async def looked(self, schedules: Collection[int], at: int) -> None:
        """Say that it was looked `at` a time (microseconds UTC) in which zones the tenants of these are."""
        ...

    async def fire(self, fires: Sequence[Fire]) -> list[bool]:
        """Due times → runs, in one transaction; tell of each whether it was new.

        A time at or before the last one of its schedule in its zone is no fire: nothing becomes of it.
        """
        ...

    async def states(self) -> list[ScheduleState]:
        """Give what is kept of all schedules in all zones, also of what is gone."""
        ...

    async def late(self, before: int, limit: int) -> list[LateWork]:
        """Give up to `limit` of what scheduled runs should have started `before` then (microseconds UTC), by due time.

        Executions that wait, or were skipped at their schedule's last fire since an earlier one is unfinished; runs
        whose tenants are not selected yet.
        """
        ...
