"""What a ledger's pages and turns cost when it has kept millions of executions."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from benchmarks.claims import claims
from benchmarks.figures import Figure, Size, middle
from benchmarks.kept import DAY, JOBS, KEPT_FOR, RARE, build
from benchmarks.projects import pinstripe, project, spend
from pinstripe.clock import SystemClock
from pinstripe.config import RetentionSettings
from pinstripe.ledger import NewRun, RunFilter, Settlement
from pinstripe.ledgers.sqlite import retention
from pinstripe.ledgers.sqlite.connection import connect, log_ahead
from pinstripe.ledgers.sqlite.ledger import SQLiteLedger
from pinstripe.run import ExecutionStatus, RunStatus, Trigger, new_run_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    import apsw

    from benchmarks.kept import Kept

T = TypeVar("T")

TITLE = "pages, counts and turns of a ledger with a long history"
MOST = 20
"""Milliseconds that a page may take."""

RETENTION = RetentionSettings(timedelta(days=7), timedelta(days=30), timedelta(days=1))
SLOTS = 20


def measure(size: Size) -> Sequence[Figure]:
    """Make the ledger, then time each page several times over."""
    with project() as folder:
        path = folder / ".pinstripe" / "ledger.db"
        path.parent.mkdir()
        kept = build(path, size.kept, size.kept_singles)
        made = [
            Figure("executions kept", kept.executions, "", note=f"in {kept.runs:,} runs, made in {kept.seconds:.0f} s"),
            Figure("the file", kept.path.stat().st_size / 2**20, "MiB"),
        ]
        pages = asyncio.run(_measure(kept, size))
        return [*made, *pages, *_fan_outs(folder, size), *asyncio.run(_prune(kept))]


async def _measure(kept: Kept, size: Size) -> list[Figure]:
    clock = SystemClock()
    ledger = SQLiteLedger(kept.path, clock=clock, retention=RETENTION)
    opening = await _timed(1, lambda: ledger.open(write=True))
    try:
        figures = [_figure("open", opening)]
        for what, page in _pages(ledger, kept).items():
            figures.append(_figure(what, await _timed(size.rounds, page)))
        figures += await _turns(ledger, clock, size)
        spent = await claims(ledger, clock, JOBS[1], size.turns, SLOTS)
        figures += [_figure(what, each) for what, each in spent.items()]
    finally:
        await ledger.close()
    return figures


def _pages(ledger: SQLiteLedger, kept: Kept) -> dict[str, Callable[[], Awaitable[Any]]]:
    now, busy, quiet = kept.now, "tenant-0000001", f"tenant-{min(99_990, kept.executions // 1_000):07d}"
    failed = RunStatus.FAILED
    only = partial(RunFilter, failures=False)  # as the command reads them, but for --json
    filters = {
        "no filter": only(),
        "--job": only(job=JOBS[3]),
        "--job, few runs": only(job=RARE),
        "--tenant, many runs": only(tenant=busy),
        "--tenant, few runs": only(tenant=quiet),
        "--status failed": only(status=failed),
        "--since 1h": only(since=now - DAY // 24),
        "--since 5s, few runs": only(since=now - KEPT_FOR // 100_000),
        "--job --status failed": only(job=JOBS[3], status=failed),
        "--job --status failed, none": only(job=RARE, status=failed),
        "--job --since 5s, few runs": only(job=JOBS[3], since=now - KEPT_FOR // 100_000),
        "--tenant --status failed": only(tenant=busy, status=failed),
        "--tenant --status cancelled, none": only(tenant=busy, status=RunStatus.CANCELLED),
        "--tenant --job, few runs": only(tenant=busy, job=RARE),
        "--tenant --since 5s, few runs": only(tenant=busy, since=now - KEPT_FOR // 100_000),
    }

    def listing(only: RunFilter) -> Callable[[], Awaitable[Any]]:
        return lambda: ledger.list_runs(only._replace(failures=False))

    return {
        **{f"list-runs, {name}": listing(wanted) for name, wanted in filters.items()},
        "show-run of the largest": lambda: ledger.find_run(kept.biggest),
        "show-run by the end of its id": lambda: ledger.find_run(kept.biggest[-8:]),
        "show-run last": lambda: ledger.find_run("last"),
        "show-run --tenant": lambda: ledger.find_execution(kept.biggest, "tenant-0000007"),
        f"last runs of {len(JOBS)} jobs": lambda: ledger.last_runs(JOBS),
        "a page of what to retry, the first": lambda: ledger.retryable(
            kept.biggest, skipped=True, after=None, limit=1_000
        ),
        "a page of what to retry, the last": lambda: ledger.retryable(
            kept.biggest, skipped=True, after="tenant-0099000", limit=1_000
        ),
        "a page of 1,000 queued tenants": lambda: ledger.queued_tenants(kept.biggest, after=None, limit=1_000),
        "1,000 tenants that succeeded": lambda: ledger.succeeded(
            kept.biggest, [f"tenant-{number:07d}" for number in range(1_000)]
        ),
        "rescue at the start of a command": ledger.rescue,
    }


async def _turns(ledger: SQLiteLedger, clock: SystemClock, size: Size) -> list[Figure]:
    """Insert pages of a new run, then settle and start its executions, as a worker does."""
    selection: dict[str, Any] = {"tenants": None, "exclude": [], "where": [], "force": False}
    tenants = [f"tenant-{number:07d}" for number in range(size.turns * SLOTS)]
    new = NewRun(new_run_id(clock.now()), JOBS[0], Trigger.CLI, [], {}, selection)
    run = (await ledger.create(new)).id
    pages = iter([tenants[first : first + 1_000] for first in range(0, len(tenants), 1_000)])
    inserts = await _timed(-(-len(tenants) // 1_000), lambda: ledger.add(run, next(pages)))
    await ledger.end_selection(run)
    ended: list[Settlement] = []
    turns = []
    for first in range(0, len(tenants), SLOTS):
        began = time.perf_counter()
        turn = await ledger.turn(run, ended, tenants[first : first + SLOTS])
        turns.append((time.perf_counter() - began) * 1_000)
        ended = [Settlement(claimed.id, claimed.epoch, ExecutionStatus.SUCCEEDED) for claimed in turn.claimed]
    await ledger.turn(run, ended, [])
    return [
        _figure("insert a page of 1,000 tenants", inserts),
        _figure(f"settle {SLOTS} and start {SLOTS}", turns),
    ]


def _fan_outs(folder: Path, size: Size) -> list[Figure]:
    """Run commands in this project: what is kept makes the indexes large that each execution is written to."""
    figures = []
    for tenants in size.fan_outs:
        seconds = [
            spend(pinstripe("run-background-job", "each"), folder, TENANTS=str(tenants)).seconds for _ in range(3)
        ]
        what = f"a fan-out to {tenants:,} tenants, the whole command"
        figures.append(Figure(what, tenants / middle(seconds), "tenants/s", least=25_000))
    return figures


async def _prune(kept: Kept) -> list[Figure]:
    """Make a pass over a ledger of which all logs and a part of the runs are past their time."""
    connection = connect(kept.path, write=True)
    log_ahead(connection, kept.path)
    transactions: list[float] = []

    async def write(request: Callable[[apsw.Connection], T]) -> T:
        began = time.perf_counter()
        connection.execute("begin immediate")
        answer = request(connection)
        connection.execute("commit")
        transactions.append((time.perf_counter() - began) * 1_000)
        return answer

    clock = _Later(KEPT_FOR // 2 + DAY)
    before = connection.total_changes()
    began = time.perf_counter()
    runs = await retention.prune(write, RETENTION, clock)
    seconds = time.perf_counter() - began
    removed = connection.total_changes() - before
    connection.close()
    rate = f"{removed / seconds:,.0f} rows/s; {runs} whole runs in this pass of {seconds * 1_000:,.0f} ms"
    return [_figure("one transaction of a pruning pass", transactions, note=rate)]


class _Later(SystemClock):
    """A clock that is ahead."""

    def __init__(self, ahead: int) -> None:
        self._ahead = ahead

    def now(self) -> int:
        return super().now() + self._ahead


async def _timed(rounds: int, call: Callable[[], Awaitable[Any]]) -> list[float]:
    """Give the milliseconds that each of several calls took."""
    spent = []
    for _ in range(rounds):
        began = time.perf_counter()
        await call()
        spent.append((time.perf_counter() - began) * 1_000)
    return spent


def _figure(what: str, spent: Sequence[float], note: str = "") -> Figure:
    worst = f"worst of {len(spent)}: {max(spent):,.2f} ms"
    return Figure(what, middle(spent), "ms", most=MOST, note=f"{worst}; {note}" if note else worst)
