"""Overviews, on every ledger: a job's last runs as points and as a heat map, and for whom jobs fail."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pinstripe.history import SAMPLED, Durations, HeatRow
from pinstripe.ledgers.overviews import LATER, durations_of
from pinstripe.run import ExecutionStatus
from tests.ledgers.moves import CANCELLED, FAILED, SKIPPED, SUCCEEDED, carry_out, ended, select, start

if TYPE_CHECKING:
    from pinstripe.ledger import Ledger
    from pinstripe.run import Run
    from tests.ledgers.conftest import HandClock
    from tests.ledgers.stores import NewStore

pytestmark = pytest.mark.anyio

QUEUED = ExecutionStatus.QUEUED
SECOND = 1_000_000


async def make(
    ledger: Ledger,
    outcomes: dict[str, ExecutionStatus | None],
    job: str = "greet",
    error: str | None = None,
    retry_of: str | None = None,
) -> Run:
    """Make a run whose executions ended so; None is one that waits."""
    run = await select(ledger, outcomes, job, retry_of=retry_of)
    claimed = await start(ledger, run.id, *(tenant for tenant, outcome in outcomes.items() if outcome))
    settlements = [
        ended(each, outcome, error=error) for tenant, each in claimed.items() if (outcome := outcomes[tenant])
    ]
    await ledger.turn(run.id, settlements, [])
    return await ledger.find_run(run.id, failures=False)


async def test_points_are_of_the_last_runs_oldest_first(ledger: Ledger, clock: HandClock) -> None:
    runs = [await make(ledger, {"acme": SUCCEEDED}) for _ in range(3)]
    await make(ledger, {"acme": SUCCEEDED}, "another")
    points = await ledger.history.points("greet", 2)
    assert [point.run for point in points] == runs[1:]
    assert all(point.durations and point.durations.counted == 1 for point in points)
    assert await ledger.history.points("never", 2) == []


async def test_how_long_executions_took(ledger: Ledger, clock: HandClock) -> None:
    tenants = [f"t{number:02d}" for number in range(20)]
    run = await select(ledger, [*tenants, "skipped", "waiting"])
    await carry_out(ledger, run.id, {"skipped": SKIPPED})
    claimed = await start(ledger, run.id, *tenants)
    for place, tenant in enumerate(tenants):
        clock.advance(timedelta(seconds=1))
        await ledger.turn(run.id, [ended(claimed[tenant], FAILED if place % 2 else SUCCEEDED)], [])
    ((found, durations),) = await ledger.history.points("greet", 5)
    assert (found.id, found.failures) == (run.id, ())
    assert durations is not None
    took = [each // SECOND for each in durations[:3]]
    assert (took, durations.counted) == ([10, 19, 20], 20)


async def test_a_run_in_which_nothing_has_finished_has_no_durations(ledger: Ledger) -> None:
    await make(ledger, {"acme": None})
    ((_, durations),) = await ledger.history.points("greet", 5)
    assert durations is None


async def test_durations_are_of_so_many_at_most(ledger: Ledger) -> None:
    await make(ledger, {f"t{number}": SUCCEEDED for number in range(SAMPLED + 5)})
    ((_, durations),) = await ledger.history.points("greet", 5)
    assert durations is not None
    assert durations.counted == SAMPLED


@given(st.lists(st.integers(-5, 10**12), min_size=1))
@settings(max_examples=200)
def test_percentiles_are_of_what_was_given(took: list[int]) -> None:
    durations = durations_of(took)
    assert durations is not None
    there = sorted(max(0, each) for each in took)
    assert durations.longest == there[-1]
    assert durations.counted == len(took)
    for value, percent in ((durations.p50, 50), (durations.p95, 95)):
        assert value in there
        assert 100 * sum(each <= value for each in there) >= percent * len(there)
        assert 100 * sum(each < value for each in there) < percent * len(there)


def test_percentiles_of_a_hundred() -> None:
    assert durations_of(range(1, 101)) == Durations(50, 95, 100, 100)
    assert durations_of([]) is None


async def test_who_failed_most_comes_first_in_the_heat_map(ledger: Ledger) -> None:
    runs = [
        await make(ledger, {"a": SUCCEEDED, "b": SUCCEEDED, "c": FAILED, "it's": FAILED}),
        await make(ledger, {"a": FAILED, "b": SKIPPED, "c": FAILED}),
        await make(ledger, {"b": CANCELLED, "c": FAILED, "d": None}),
    ]
    await make(ledger, {"z": FAILED}, "another")
    heat = await ledger.history.heat_map("greet", runs=10, rows=5)
    assert heat.runs == [await ledger.find_run(run.id, failures=False) for run in runs]
    assert heat.rows == [
        HeatRow("c", [FAILED, FAILED, FAILED], 3),
        HeatRow("a", [SUCCEEDED, FAILED, None], 1),
        HeatRow("it's", [FAILED, None, None], 1),
        HeatRow("b", [SUCCEEDED, SKIPPED, CANCELLED], 0),
        HeatRow("d", [None, None, QUEUED], 0),
    ]
    assert not heat.more
    fewer = await ledger.history.heat_map("greet", runs=2, rows=3)
    assert [row.tenant for row in fewer.rows] == ["c", "a", "b"]
    assert fewer.more
    assert [run.id for run in fewer.runs] == [run.id for run in runs[1:]]


async def test_a_job_without_tenants_has_no_rows_in_a_heat_map(ledger: Ledger) -> None:
    run = await make(ledger, {"": FAILED})
    heat = await ledger.history.heat_map("greet", runs=10, rows=5)
    assert (heat.runs, heat.rows, heat.more) == ([run], [], False)


TENANTS = ["a", "b%", "c_", "d\\", "e'", "f", "g", "ü"]
final = st.sampled_from([SUCCEEDED, FAILED, SKIPPED])


@given(
    made=st.lists(st.dictionaries(st.sampled_from(TENANTS), final, min_size=1), max_size=5),
    rows=st.integers(1, len(TENANTS) + 1),
)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_a_heat_map_leaves_out_only_what_has_no_room(
    new_store: NewStore, made: list[dict[str, ExecutionStatus | None]], rows: int
) -> None:
    store = new_store()
    store.prepare()
    ledger = store.ledger()
    await ledger.open()
    for outcomes in made:
        await make(ledger, outcomes)
    heat = await ledger.history.heat_map("greet", runs=10, rows=rows)
    everyone = {tenant for outcomes in made for tenant in outcomes}
    expected = []
    for tenant in everyone:
        states = [outcomes.get(tenant) for outcomes in made]
        expected.append(HeatRow(tenant, states, states.count(FAILED)))
    expected.sort(key=lambda row: (-row.failed, row.tenant))
    assert heat.rows == expected[:rows]
    assert heat.more is (len(everyone) > rows)
    await store.close()


async def test_for_whom_jobs_fail(ledger: Ledger, clock: HandClock) -> None:
    since = clock.now()
    await make(ledger, {"a": FAILED, "b": SUCCEEDED}, error="ValueError: first\nand more")
    clock.advance(timedelta(hours=1))
    between = clock.now()
    second = await make(ledger, {"a": FAILED, "it's": FAILED}, error="ValueError: second\nand more")
    clock.advance(timedelta(hours=1))
    third = await make(ledger, {"": FAILED}, "clean_up", error="")
    clock.advance(timedelta(hours=1))
    still_running = await make(ledger, {"b": FAILED, "c": None}, "send", error="TypeError")

    async def failing(since: int, limit: int = 10) -> list[tuple[str | None, str, int, str, str]]:
        found = await ledger.history.failing(since, limit)
        assert [each.finished_at for each in found] == sorted((each.finished_at for each in found), reverse=True)
        assert all(each.finished_at >= since for each in found)
        return [each[:5] for each in found]

    newest = [("b", "send", 1, still_running.id, "TypeError"), (None, "clean_up", 1, third.id, "")]
    assert await failing(since) == [
        *newest,
        ("a", "greet", 2, second.id, "ValueError: second"),
        ("it's", "greet", 1, second.id, "ValueError: second"),
    ]
    assert await failing(between) == [
        *newest,
        ("a", "greet", 1, second.id, "ValueError: second"),
        ("it's", "greet", 1, second.id, "ValueError: second"),
    ]
    assert await failing(since, 2) == newest
    assert await failing(clock.now()) == []


async def mended(ledger: Ledger, since: int) -> dict[tuple[str, str | None], str | None]:
    """Give what has succeeded since, and in which run, by job and tenant."""
    return {(each.job, each.tenant): each.mended for each in await ledger.history.failing(since, 10)}


async def test_what_has_succeeded_since_says_in_which_run(ledger: Ledger, clock: HandClock) -> None:
    since = clock.now()
    first = await make(ledger, {"a": FAILED, "b": FAILED, "c": FAILED, "d": SUCCEEDED})
    clock.advance(timedelta(minutes=1))
    alone = await make(ledger, {"": FAILED}, "clean_up")
    assert await mended(ledger, since) == {
        ("greet", "a"): None,
        ("greet", "b"): None,
        ("greet", "c"): None,
        ("clean_up", None): None,
    }
    clock.advance(timedelta(minutes=1))
    retry = await make(ledger, {"a": SUCCEEDED, "b": FAILED}, retry_of=first.id)
    later = await make(ledger, {"c": SUCCEEDED})
    await make(ledger, {"b": SUCCEEDED}, "another")
    again = await make(ledger, {"": SUCCEEDED}, "clean_up", retry_of=alone.id)
    assert await mended(ledger, since) == {
        ("greet", "a"): retry.id,
        ("greet", "b"): None,
        ("greet", "c"): later.id,
        ("clean_up", None): again.id,
    }
    clock.advance(timedelta(minutes=1))
    await make(ledger, {"a": FAILED})
    assert (await mended(ledger, since))["greet", "a"] is None


async def test_a_retry_is_found_behind_many_runs_and_a_tenant_s_own_run_too(ledger: Ledger, clock: HandClock) -> None:
    since = clock.now()
    first = await make(ledger, {"": FAILED, "a": FAILED, "b": FAILED})
    clock.advance(timedelta(minutes=1))
    retry = await make(ledger, {"": SUCCEEDED}, retry_of=first.id)
    own = await make(ledger, {"a": SUCCEEDED})
    for _ in range(LATER + 1):
        await make(ledger, {"z": SUCCEEDED})
    assert await mended(ledger, since) == {("greet", None): retry.id, ("greet", "a"): own.id, ("greet", "b"): None}


async def test_who_succeeded_in_a_large_run_is_found_in_it(ledger: Ledger, clock: HandClock) -> None:
    since = clock.now()
    await make(ledger, {"z": FAILED})
    clock.advance(timedelta(minutes=1))
    large = await make(ledger, {**{f"t{number:04}": None for number in range(1_200)}, "z": SUCCEEDED})
    assert await mended(ledger, since) == {("greet", "z"): large.id}
