"""What each page, count and turn costs of a ledger that has a history, whichever ledger it is."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.claims import claims
from benchmarks.figures import Figure, Size, middle
from benchmarks.kept import DAY, JOBS, KEPT_FOR, RARE
from pinstripe.ledger import NewRun, RunFilter, Settlement
from pinstripe.run import ExecutionStatus, RunStatus, Trigger, new_run_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from benchmarks.kept import Kept
    from pinstripe.clock import Clock
    from pinstripe.ledger import Ledger

MOST = 20
"""Milliseconds that a page may take."""

SLOTS = 20


async def measure_pages(ledger: Ledger, clock: Clock, kept: Kept, size: Size) -> list[Figure]:
    """Open the ledger, and time each page several times over, then the turns of new runs."""
    opening = await timed(1, lambda: ledger.open(write=True))
    figures = [figure("open", opening)]
    for what, page in _pages(ledger, kept).items():
        figures.append(figure(what, await timed(size.rounds, page)))
    figures += await _turns(ledger, clock, size)
    spent = await claims(ledger, clock, JOBS[1], size.turns, SLOTS)
    return [*figures, *(figure(what, each) for what, each in spent.items())]


async def timed(rounds: int, call: Callable[[], Awaitable[Any]]) -> list[float]:
    """Give the milliseconds that each of several calls took."""
    spent = []
    for _ in range(rounds):
        began = time.perf_counter()
        await call()
        spent.append((time.perf_counter() - began) * 1_000)
    return spent


def figure(what: str, spent: Sequence[float], note: str = "") -> Figure:
    """Give the line of what took so many milliseconds each time."""
    worst = f"worst of {len(spent)}: {max(spent):,.2f} ms"
    return Figure(what, middle(spent), "ms", most=MOST, note=f"{worst}; {note}" if note else worst)


def _pages(ledger: Ledger, kept: Kept) -> dict[str, Callable[[], Awaitable[Any]]]:
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


async def _turns(ledger: Ledger, clock: Clock, size: Size) -> list[Figure]:
    """Insert pages of a new run, then settle and start its executions, as a worker does."""
    selection: dict[str, Any] = {"tenants": None, "exclude": [], "where": [], "force": False}
    tenants = [f"tenant-{number:07d}" for number in range(size.turns * SLOTS)]
    new = NewRun(new_run_id(clock.now()), JOBS[0], Trigger.CLI, [], {}, selection)
    run = (await ledger.create(new)).id
    pages = iter([tenants[first : first + 1_000] for first in range(0, len(tenants), 1_000)])
    inserts = await timed(-(-len(tenants) // 1_000), lambda: ledger.add(run, next(pages)))
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
        figure("insert a page of 1,000 tenants", inserts),
        figure(f"settle {SLOTS} and start {SLOTS}", turns),
    ]
