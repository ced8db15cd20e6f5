"""Pages of runs, on every ledger: whatever is asked for, all of it comes, once, and in order."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pinstripe.history import HeatMap
from pinstripe.ledger import RunFilter
from pinstripe.run import RunStatus
from tests.ledgers.moves import CANCELLED, FAILED, SUCCEEDED, carry_out, new_run, select, start

if TYPE_CHECKING:
    from pinstripe.history import History
    from pinstripe.ledger import Ledger
    from pinstripe.run import ExecutionStatus, Run
    from tests.ledgers.conftest import HandClock
    from tests.ledgers.stores import NewStore, Store

pytestmark = pytest.mark.anyio

JOBS = ["greet", "it's", "a_%"]
TENANTS = ["acme", "a%", "a_", "back\\slash", "näïve ☃", "'; drop table runs; --"]


class Kind(NamedTuple):
    """A run to make: for whom, and how each of its executions ended; None is one that waits."""

    job: str
    outcomes: dict[str, ExecutionStatus | None]


async def read_all(history: History, only: RunFilter) -> list[Run]:
    """Read page after page; each has no more than was asked for."""
    found: list[Run] = []
    before = None
    while True:
        page = await history.runs(only, before=before)
        assert len(page.runs) <= only.limit
        found += page.runs
        if page.next is None:
            return found
        assert before is None or page.next < before
        before = page.next


async def make(ledger: Ledger, kind: Kind) -> Run:
    run = await select(ledger, kind.outcomes, kind.job)
    await carry_out(ledger, run.id, {tenant: outcome for tenant, outcome in kind.outcomes.items() if outcome})
    return await ledger.find_run(run.id, failures=False)


async def test_where_no_ledger_is_nothing_was(store: Store) -> None:
    ledger = store.ledger()
    await ledger.open(write=False)
    history = ledger.history
    assert await history.runs(RunFilter()) == ([], None)
    assert await history.executions_of_tenant("acme") == ([], None)
    assert await history.points("greet", 10) == []
    assert await history.heat_map("greet", runs=10, rows=10) == HeatMap([], [], more=False)
    assert await history.failing(0, 10) == []


async def test_a_full_last_page_is_the_last(ledger: Ledger) -> None:
    runs = [await make(ledger, Kind("greet", {"acme": SUCCEEDED})) for _ in range(4)]
    page = await ledger.history.runs(RunFilter(limit=2))
    assert page.runs == [runs[3], runs[2]]
    assert await ledger.history.runs(RunFilter(limit=2), before=page.next) == ([runs[1], runs[0]], None)


async def test_what_came_meanwhile_is_not_in_the_pages_after(ledger: Ledger) -> None:
    runs = [await make(ledger, Kind("greet", {"acme": SUCCEEDED})) for _ in range(3)]
    page = await ledger.history.runs(RunFilter(limit=2))
    await make(ledger, Kind("greet", {"acme": SUCCEEDED}))
    assert await ledger.history.runs(RunFilter(limit=2), before=page.next) == ([runs[0]], None)


async def test_runs_come_without_failures(ledger: Ledger) -> None:
    run = await make(ledger, Kind("greet", {"acme": FAILED}))
    (found,) = (await ledger.history.runs(RunFilter(failures=True))).runs
    assert (found.id, found.executions.failed, found.failures) == (run.id, 1, ())


async def test_a_tenant_of_large_runs_is_found_in_pages(ledger: Ledger) -> None:
    tenants = [f"t{number:04d}" for number in range(1_002)]
    runs = []
    for large in (True, False, True):
        run = await ledger.create(new_run())
        for part in (tenants[:1_000], tenants[1_000:]) if large else (tenants[-1:],):
            await ledger.add(run.id, part)
        runs.append(await ledger.end_selection(run.id))
    found = await read_all(ledger.history, RunFilter(tenant=tenants[-1], limit=1))
    assert [run.id for run in found] == [run.id for run in reversed(runs)]
    assert [run.id for run in await read_all(ledger.history, RunFilter(tenant=tenants[0], limit=2))] == [
        runs[2].id,
        runs[0].id,
    ]
    mine = await ledger.history.executions_of_tenant(tenants[-1], limit=2)
    rest = await ledger.history.executions_of_tenant(tenants[-1], before=mine.next, limit=2)
    assert [each.run for each in (*mine.executions, *rest.executions)] == [run.id for run in reversed(runs)]
    assert rest.next is None


outcomes = st.sampled_from([SUCCEEDED, FAILED, CANCELLED, None])
kinds = st.builds(Kind, st.sampled_from(JOBS), st.dictionaries(st.sampled_from(TENANTS), outcomes, max_size=3))
filters = st.builds(
    RunFilter,
    job=st.none() | st.sampled_from(JOBS),
    tenant=st.none() | st.sampled_from(TENANTS),
    status=st.none() | st.sampled_from(RunStatus),
    limit=st.integers(1, 4),
)


@pytest.fixture(params=[2, 1_000], ids=["few looked at", "all looked at"])
def looked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Let a page look at few, so that most pages are short, or at all."""
    many: int = request.param
    for ledger in ("sqlite", "postgres"):
        for name in ("LOOKED", "LARGE_LOOKED"):
            monkeypatch.setattr(f"pinstripe.ledgers.{ledger}.run_pages.{name}", many)
        for name in ("LOOKED", "LARGE_LOOKED", "FOR_TENANT"):
            monkeypatch.setattr(f"pinstripe.ledgers.{ledger}.execution_pages.{name}", many)
    return many


@given(data=st.data())
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.usefixtures("looked")
async def test_pages_give_what_is_asked_for_once(new_store: NewStore, clock: HandClock, data: st.DataObject) -> None:
    store = new_store(clock)
    store.prepare()
    ledger = store.ledger()
    await ledger.open()
    made: list[tuple[Kind, Run]] = []
    for kind in data.draw(st.lists(kinds, max_size=8)):
        clock.advance(timedelta(minutes=2))  # such that no run may be recorded after one that was made later
        made.append((kind, await make(ledger, kind)))
    made.reverse()
    moments = [None, *(run.created_at for _, run in made)]
    for asked in data.draw(st.lists(filters, min_size=10, max_size=10)):
        moment = data.draw(st.sampled_from(moments))
        since = None if moment is None else round(moment.timestamp() * 1_000_000)
        expected = [
            run
            for kind, run in made
            if asked.job in {None, kind.job}
            and (asked.tenant is None or asked.tenant in kind.outcomes)
            and asked.status in {None, run.status}
            and (moment is None or run.created_at >= moment)
        ]
        assert await read_all(ledger.history, asked._replace(since=since)) == expected
    for tenant in TENANTS:
        await check_tenant(ledger.history, tenant, made, data)
    await store.close()


async def check_tenant(history: History, tenant: str, made: list[tuple[Kind, Run]], data: st.DataObject) -> None:
    """Read what was done for a tenant in pages, and compare."""
    job = data.draw(st.none() | st.sampled_from(JOBS))
    wanted = data.draw(st.none() | st.sampled_from([SUCCEEDED, FAILED, CANCELLED]))
    found = []
    before = None
    while True:
        page = await history.executions_of_tenant(tenant, job=job, status=wanted, before=before, limit=2)
        assert len(page.executions) <= 2
        found += [(each.run, each.status) for each in page.executions]
        assert all(each.tenant == tenant and job in {None, each.job} for each in page.executions)
        before = page.next
        if before is None:
            break
    assert [run for run, _ in found] == [
        run.id
        for kind, run in made
        if tenant in kind.outcomes and job in {None, kind.job} and wanted in {None, kind.outcomes[tenant]}
    ]


async def test_what_goes_on_is_counted_up_to_a_limit(ledger: Ledger) -> None:
    assert await ledger.history.count_running(10) == 0
    for _ in range(3):
        run = await select(ledger, ["a"])
        await start(ledger, run.id, "a")
    assert await ledger.history.count_running(10) == 3
    assert await ledger.history.count_running(2) == 2


async def test_retries_of_a_run_are_given_newest_first(ledger: Ledger) -> None:
    failed = await make(ledger, Kind("greet", {"acme": FAILED}))
    retries = [await ledger.create(new_run("greet", retry_of=failed.id, origin=failed.id)) for _ in range(3)]
    await make(ledger, Kind("greet", {"acme": FAILED}))
    history = ledger.history
    assert [one.id for one in await history.retries(failed.id, 20)] == [one.id for one in reversed(retries)]
    assert [one.id for one in await history.retries(failed.id, 1)] == [retries[-1].id]
    assert await history.retries(retries[0].id, 20) == []
