"""What each look back costs at a ledger with a history, whichever ledger it is."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.figures import Figure, Size, middle, percentile
from benchmarks.kept import DAY, JOBS, RARE, Shape
from benchmarks.pages import MOST, timed
from pinstripe.actor import Actor, Door
from pinstripe.history import Action, AuditEntry, Tally
from pinstripe.ledger import RunFilter
from pinstripe.run import ExecutionStatus, RunStatus

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from benchmarks.kept import Kept
    from pinstripe.history import History

WIDE = ("nightly", "hourly", "weekly")
"""The jobs of the fan-outs."""

SHAPE = Shape((10_000,), WIDE)
"""All fan-outs have 10,000 tenants, which are the same."""

SINGLES = 50
"""One in so many executions is of a small run."""

MINUTES = 15
"""Of how many minutes there are tallies, for each look: a day's, where there are a hundred."""

BUSY, QUIET, LAST = "tenant-0000001", "tenant-0000107", "tenant-0009999"
"""Tenants: of a third of all small runs, of which all fail, and one that comes late in each fan-out."""


async def measure_looks(history: History, kept: Kept, size: Size) -> list[Figure]:
    """Note what is noted, then time each look many times over."""
    written = await _note(history, kept, size)
    figures = []
    for what, look in _looks(history, kept):
        figures.append(_figure(what, await timed(size.looks, look)))
    return [*written, *figures]


def _figure(what: str, spent: list[float]) -> Figure:
    note = f"half of them within {middle(spent):,.2f} ms; worst of {len(spent)}: {max(spent):,.2f} ms"
    return Figure(what, percentile(spent, 95), "ms", most=MOST, note=note)


async def _note(history: History, kept: Kept, size: Size) -> list[Figure]:
    """Note tallies, and some audit entries, each as one process does it."""
    now = kept.now // 60_000_000
    minutes = MINUTES * size.looks
    tallies = [
        Tally(minute, job, status, 100, 10**6)
        for minute in range(now - minutes, now)
        for job in JOBS
        for status in (ExecutionStatus.SUCCEEDED, ExecutionStatus.FAILED)
    ]
    parts = iter([tallies[first : first + 40] for first in range(0, len(tallies), 40)])
    adding = await timed(minutes, lambda: history.add_tallies(next(parts)))
    actor = Actor(Door.API, "benchmark")
    entries = iter(range(10 * size.looks))

    async def act() -> None:
        number = next(entries)
        entry = AuditEntry(kept.now + number, actor, Action.START, JOBS[number % 20], f"tenant-{number % 100:07d}")
        await history.end_audit(await history.begin_audit(entry), "started", run=kept.biggest)

    return [
        _figure("add 40 tallies", adding),
        _figure("begin and end an audit entry", await timed(10 * size.looks, act)),
    ]


def _looks(history: History, kept: Kept) -> Iterator[tuple[str, Callable[[], Awaitable[Any]]]]:
    """Give each look, and what it is called."""
    runs, only = history.runs, RunFilter(failures=False)
    failed, middle_run = RunStatus.FAILED, kept.runs // 2
    for what, filter_ in {
        "newest": only,
        "of a job": only._replace(job=JOBS[3]),
        "of a tenant": only._replace(tenant=BUSY),
        "of a tenant in large runs only": only._replace(tenant=LAST),
        "failed": only._replace(status=failed),
        "of a job, failed": only._replace(job=JOBS[3], status=failed),
        "of a job, failed, none": only._replace(job=RARE, status=failed),
        "of a tenant, failed": only._replace(tenant=BUSY, status=failed),
        "of a tenant and a job, cancelled, none": only._replace(job=JOBS[3], tenant=BUSY, status=RunStatus.CANCELLED),
        "of the last day, succeeded": only._replace(since=kept.now - DAY, status=RunStatus.SUCCEEDED),
    }.items():
        yield f"runs, {what}", partial(runs, filter_)
        yield f"runs, {what}, from the middle on", partial(runs, filter_, before=middle_run)
    run = kept.biggest
    for what, asked in {
        "first": {},
        "from the middle on": {"after": "tenant-0005000"},
        "failed": {"status": ExecutionStatus.FAILED},
        "succeeded": {"status": ExecutionStatus.SUCCEEDED},
        "queued, none": {"status": ExecutionStatus.QUEUED},
        "search, many": {"search": "TENANT-00"},
        "search, one": {"search": "9999"},
        "search, none": {"search": "nobody"},
        "search among failed": {"search": "99", "status": ExecutionStatus.FAILED},
        "search among succeeded": {"search": "99", "status": ExecutionStatus.SUCCEEDED},
    }.items():
        yield f"executions, {what}", partial(history.executions, run, **asked)  # type: ignore[arg-type]
    some = [f"tenant-{number:07d}" for number in range(0, 10_000, 50)]
    yield "executions of 200 tenants", partial(history.executions_of, run, some)
    of_tenant = history.executions_of_tenant
    for tenant in (BUSY, QUIET, LAST):
        what = f"executions of {tenant}"
        yield what, partial(of_tenant, tenant)
        yield f"{what}, from the middle on", partial(of_tenant, tenant, before=middle_run)
        yield f"{what}, failed", partial(of_tenant, tenant, status=ExecutionStatus.FAILED)
        cancelled = partial(of_tenant, tenant, job=WIDE[0], status=ExecutionStatus.CANCELLED)
        yield f"{what}, of a job, cancelled, none", cancelled
    for job in (WIDE[0], JOBS[3]):
        yield f"points of the last 50 runs of {job}", partial(history.points, job, 50)
        yield f"heat map of 30 runs and 50 tenants of {job}", partial(history.heat_map, job, runs=30, rows=50)
    yield "failing for a week, 20", partial(history.failing, kept.now - 7 * DAY, 20)
    yield "failing for an hour, 100", partial(history.failing, kept.now - DAY // 24, 100)
    yield "tallies of an hour", partial(history.tallies, kept.now // 60_000_000 - 60)
    yield "totals", history.totals
    yield "audit, newest", history.audit
    for name, value in {"job": JOBS[3], "tenant": BUSY, "run": run, "name": "nobody", "action": "login"}.items():
        yield f"audit, by {name}", partial(history.audit, filters={name: value})
