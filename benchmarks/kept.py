"""A ledger that has kept millions of executions, made straight by SQL: fan-outs, and many runs of one execution."""

from __future__ import annotations

import os
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from pinstripe.ledgers.sqlite.connection import connect
from pinstripe.ledgers.sqlite.schema import migrate
from pinstripe.run import new_run_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import apsw

JOBS = tuple(f"job_{number:02d}" for number in range(20))
"""The jobs of the history. `RARE` has few runs, none of them failed."""

RARE = "rare_job"
FAN_OUTS = (1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000)
"""How many tenants the fan-outs have, one after the other."""

DAY = 86_400_000_000
KEPT_FOR = 6 * DAY
"""Over how many microseconds the history spreads: all of it is inside the retention of seven days."""

TRACEBACK = 'Traceback (most recent call last):\n  File "lib/background_jobs/job.py", line 12, in run\n' * 6

_RUN = """
insert into runs(n, id, reversed_id, job, state, trigger, args, kwargs, selection, origin, selected, total, open,
  succeeded, failed, created_at, started_at, finished_at)
values (?, ?, ?, ?, ?, 'schedule', '[]', '{}', '{"tenants": null, "exclude": [], "where": [], "force": false}', ?, 1, ?,
  0, ?, ?, ?, ?, ?)
"""

# One in a hundred fails, with a traceback; the others leave nothing but their times.
_FAN_OUT = """
with recursive numbers(i) as (select 0 union all select i + 1 from numbers where i + 1 < :total)
insert into executions(run, tenant, job, listed, state, epoch, attempts, started_at, finished_at, error, traceback)
select :run, printf('tenant-%07d', i), :job, i < 1000, iif(i % 100 = 7, 'failed', 'succeeded'), 1, 1, :at, :at + 1000,
  iif(i % 100 = 7, 'ValueError: expected an address, got ' || i, null), iif(i % 100 = 7, :traceback, null)
from numbers
"""

_SINGLE = """
insert into executions(run, tenant, job, state, epoch, attempts, started_at, finished_at, error, traceback)
values (?, ?, ?, ?, 1, 1, ?, ?, ?, ?)
"""

# The logs of what succeeded are kept for a day.
_LOGS = """
insert into logs(execution, text, succeeded_at)
select id, printf('%.*c', 200, 'x'), iif(state = 'succeeded', finished_at, null) from executions
where state = 'failed' or (id % 20 = 0 and finished_at > :kept_since)
"""


@dataclass(frozen=True, slots=True)
class Shape:
    """What the fan-outs are like: how many tenants they have, one after the other, and of which jobs they are."""

    fan_outs: Sequence[int] = FAN_OUTS
    jobs: Sequence[str] = JOBS


@dataclass(frozen=True, slots=True)
class Kept:
    """A ledger with a history: how large it became, and some of its runs to look for."""

    executions: int
    runs: int
    seconds: float
    biggest: str
    """The id of the last of the largest fan-outs."""
    now: int
    """The time just after the history, in microseconds."""


def build(path: Path, executions: int, singles: int, now: int | None = None, shape: Shape | None = None) -> Kept:
    """Make the ledger in `path`: `singles` runs of one execution, and fan-outs for the rest."""
    began = time.perf_counter()
    now = now or time.time_ns() // 1_000
    connection = connect(path, write=True)
    migrate(connection, path)
    # Nothing needs to survive a crash while it is made. The indexes grow with it, so that their pages are as full as
    # months of runs leave them.
    connection.execute("pragma synchronous = off; pragma cache_size = -1000000; pragma journal_mode = off")
    connection.execute("begin immediate")
    runs, biggest = fill(_SQLite(connection), executions, singles, now, shape or Shape())
    connection.execute("commit; pragma journal_mode = wal; pragma synchronous = normal")
    connection.close()
    with path.open("rb") as file:
        os.fsync(file.fileno())  # so that no checkpoint has to wait for what was made here
    return Kept(executions, runs, time.perf_counter() - began, biggest, now)


class Writer(Protocol):
    """What writes a history into a ledger, all of it in one transaction."""

    def write(self, runs: Sequence[Sequence[Any]], singles: Sequence[Sequence[Any]]) -> None:
        """Write runs (`_run` says of what) and executions of such as have one (see `fill`)."""
        ...

    def fan_out(self, run: int, job: str, total: int, at: int) -> None:
        """Write so many executions of one run; of each hundred one failed."""
        ...

    def logs(self, kept_since: int) -> None:
        """Write what all that failed has printed, and some of what has succeeded since."""
        ...


def fill(writer: Writer, executions: int, singles: int, now: int, shape: Shape) -> tuple[int, str]:
    """Write `singles` runs of one execution, and fan-outs for the rest; give how many runs there are, and the largest.

    Each single execution is its run's number, its tenant and job, its state, when it began and ended, its error and its
    traceback.
    """
    dice = random.Random(2026)
    fan_outs = list(_fan_outs(executions - singles, shape.fan_outs))
    every = max(1, singles // len(fan_outs))
    step = KEPT_FOR // (singles + len(fan_outs) + 1)
    at, number, biggest, largest = now - KEPT_FOR, 0, "", 0
    waiting: list[Sequence[Any]] = []
    executed: list[Sequence[Any]] = []
    for single in range(singles):
        at += step
        number += 1
        failed = dice.random() < 0.01
        job = RARE if single % 2_000 == 0 else dice.choice(JOBS)
        failed = failed and job != RARE
        tenant = ("", f"tenant-{dice.randrange(1_000):07d}", "tenant-0000001")[single % 3]
        waiting.append(_run(number, job, 1, int(failed), at))
        error = ("ValueError: expected an address", TRACEBACK) if failed else (None, None)
        executed.append((number, tenant, job, "failed" if failed else "succeeded", at, at + 1_000, *error))
        if (single + 1) % every == 0 and fan_outs:
            _write(writer, waiting, executed)
            at += step
            number += 1
            total = fan_outs.pop(0)
            row = _run(number, dice.choice(shape.jobs), total, len(range(7, total, 100)), at)
            if total >= largest:
                biggest, largest = str(row[1]), total
            waiting.append(row)
            writer.fan_out(number, row[2], total, at)
    _write(writer, waiting, executed)
    writer.logs(now - DAY)
    return number, biggest


def _fan_outs(executions: int, sizes: Sequence[int]) -> Iterator[int]:
    """Part the executions into fan-outs of several sizes, the large ones among the small."""
    turn = 0
    while executions > 0:
        total = min(sizes[turn % len(sizes)], executions)
        executions -= total
        turn += 1
        yield total


def _run(number: int, job: str, total: int, failed: int, at: int) -> Sequence[Any]:
    """Give n, id, job, state, origin, total, succeeded, failed, created_at, started_at and finished_at."""
    id_ = new_run_id(at)
    state = "failed" if failed else "succeeded"
    return (number, id_, job, state, id_, total, total - failed, failed, at, at, at + 1_000 + total * 20)


def _write(writer: Writer, runs: list[Sequence[Any]], executions: list[Sequence[Any]]) -> None:
    writer.write(runs, executions)
    runs.clear()
    executions.clear()


class _SQLite:
    """Writes it by statements of SQLite's."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def write(self, runs: Sequence[Sequence[Any]], singles: Sequence[Sequence[Any]]) -> None:
        self._connection.executemany(_RUN, ((n, id_, id_[::-1], *rest) for n, id_, *rest in runs))
        self._connection.executemany(_SINGLE, singles)

    def fan_out(self, run: int, job: str, total: int, at: int) -> None:
        values = {"run": run, "job": job, "total": total, "at": at, "traceback": TRACEBACK}
        self._connection.execute(_FAN_OUT, values)

    def logs(self, kept_since: int) -> None:
        self._connection.execute(_LOGS, {"kept_since": kept_since})
