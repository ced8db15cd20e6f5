"""Lists on PostgreSQL: whichever index is walked, what is given is the same."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pinstripe.errors import UnknownRun
from pinstripe.ledger import RunFilter
from pinstripe.ledgers.postgres import listing
from pinstripe.ledgers.postgres.listing import find_run, last_runs, list_runs, number_of
from pinstripe.run import RunStatus

if TYPE_CHECKING:
    from pinstripe.ledgers.postgres.store import Store
    from pinstripe.run import Run
    from tests.ledgers.postgres.conftest import Database

pytestmark = pytest.mark.anyio

JOBS = ["greet", "clean_up", "never"]
TENANTS = ["a", "b", "never"]
STATES = [RunStatus.QUEUED, RunStatus.SUCCEEDED, RunStatus.FAILED]
SECOND = 1_000_000

MADE = """
insert into runs(n, id, job, state, trigger, args, kwargs, selection, origin, created_at, finished_at, pruning, total)
values ({n}, '{id}', '{job}', '{state}', 'code', '[]', '{{}}', '', '', {created_at}, {finished_at}, {pruning}, {total})
"""


@pytest.fixture
def kept(process: Store, database: Database) -> list[dict[str, Any]]:
    """Keep two runs of each kind, one of them on its way out; every third number is of no run."""
    kinds = product(JOBS[:2], STATES, [[], ["a"], ["a", "b"]], [False, True])
    made: list[dict[str, Any]] = [
        dict(zip(("job", "state", "tenants", "pruning"), kind, strict=True)) for kind in kinds
    ]
    for place, run in enumerate(made):
        n = 3 + place + place // 2
        finished = "null" if run["state"] is RunStatus.QUEUED else n
        total = 1_001 if place % 5 == 0 else len(run["tenants"])
        run |= {"n": n, "id": f"{n:036x}", "created_at": n * 10 * SECOND, "finished_at": finished, "total": total}
        database.fetch(MADE.format(**run))
        for tenant in run["tenants"]:
            listed = str(total < 1_000)
            database.fetch(f"insert into executions(run, tenant, job, listed) values ({n}, '{tenant}', '', {listed})")
    return made


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(
    job=st.none() | st.sampled_from(JOBS),
    tenant=st.none() | st.sampled_from(TENANTS),
    status=st.none() | st.sampled_from([*STATES, RunStatus.RUNNING]),
    since=st.none() | st.integers(0, 700 * SECOND),
    limit=st.integers(1, 30),
)
async def test_what_is_listed_is_what_all_the_filters_let_through(
    process: Store, kept: list[dict[str, Any]], **asked: Any
) -> None:
    only = RunFilter(**asked)
    wanted = [
        run["id"]
        for run in reversed(kept)
        if not run["pruning"]
        and only.job in {None, run["job"]}
        and only.status in {None, run["state"]}
        and (only.tenant is None or only.tenant in run["tenants"])
        and (only.since is None or run["created_at"] >= only.since)
    ]
    found = await process.read(lambda tx: list_runs(tx, only))
    assert [run.id for run in found] == wanted[: only.limit]


@pytest.mark.parametrize("disorder", [0, 1, 59])
async def test_runs_may_be_recorded_a_minute_later_than_such_with_greater_numbers(
    process: Store, database: Database, kept: list[dict[str, Any]], disorder: int
) -> None:
    database.fetch(f"update runs set created_at = created_at + (n % 2) * {disorder * SECOND}")
    at = {run["id"]: run["created_at"] + run["n"] % 2 * disorder * SECOND for run in kept if not run["pruning"]}
    for since in range(0, 700 * SECOND, 7 * SECOND):
        found = await process.read(lambda tx: list_runs(tx, RunFilter(since=since)))  # noqa: B023 - awaited here
        assert {run.id for run in found} == {id_ for id_, created in at.items() if created >= since}


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("status", STATES)
async def test_each_filter_may_lead(process: Store, monkeypatch: pytest.MonkeyPatch, status: RunStatus) -> None:
    asked = RunFilter(job="greet", tenant="a", status=status)
    leads = ["tenant", "job", "number", "end" if status is RunStatus.SUCCEEDED else "state"]
    left = iter(leads)

    async def lead(*_: Any) -> str:
        return next(left)

    monkeypatch.setattr(listing, "fewest", lead)
    answers = [[run.id for run in await process.read(lambda tx: list_runs(tx, asked))] for _ in leads]
    assert len(answers[0]) == 2
    assert answers == [answers[0]] * 4


async def test_thefewest_lead(process: Store, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "_MANY", 5)
    values = {"id": "", "created_at": 1, "pruning": False, "total": 0, "finished_at": 1}
    for n in range(1, 11):
        job = "often" if n > 2 else "rare"
        state = "succeeded" if n > 4 else "failed"
        database.fetch(MADE.format(**values | {"n": n, "id": f"{n:036x}", "job": job, "state": state}))

    async def leads(**asked: Any) -> str:
        return await process.read(lambda tx: listing.fewest(tx, RunFilter(**asked), 0))

    succeeded = RunStatus.SUCCEEDED
    assert await leads() == "number"
    assert await leads(job="often") == "job"
    assert await leads(job="often", status=RunStatus.FAILED) == "state"
    assert await leads(job="rare", status=RunStatus.FAILED) == "job"
    assert await leads(job="often", tenant="a") == "tenant"
    assert await leads(status=succeeded) == "number"  # they are many, and in no index of their own
    assert await leads(job="often", status=succeeded) == "job"
    database.fetch("delete from runs where n > 7")
    assert await leads(status=succeeded) == "end"
    assert await leads(job="often", status=succeeded) == "end"


async def test_a_run_on_its_way_out_is_found_by_nothing(
    process: Store, database: Database, kept: list[dict[str, Any]]
) -> None:
    leaving = next(run for run in kept if run["pruning"])

    async def find(reference: str) -> Run:
        return await process.read(lambda tx: find_run(tx, reference, process.shown))

    for reference in (leaving["id"], leaving["id"][-2:]):
        with pytest.raises(UnknownRun, match="its retention has passed"):
            await find(reference)
    with pytest.raises(UnknownRun):
        await process.read(lambda tx: number_of(tx, leaving["id"], process.shown))
    database.fetch("update runs set pruning = true")
    with pytest.raises(UnknownRun, match="has no run yet"):
        await find("last")
    assert await process.read(lambda tx: last_runs(tx, JOBS)) == {}


async def test_the_last_runs_of_jobs(process: Store, kept: list[dict[str, Any]]) -> None:
    newest = {run["job"]: run["id"] for run in kept if not run["pruning"]}
    found = await process.read(lambda tx: last_runs(tx, ["never", "clean_up", "greet", "greet"]))
    assert {job: run.id for job, run in found.items()} == newest
    assert [*found] == ["clean_up", "greet"]


async def test_the_number_and_the_job_of_a_run(process: Store, kept: list[dict[str, Any]]) -> None:
    run = kept[4]
    assert await process.read(lambda tx: number_of(tx, run["id"], "")) == (run["n"], run["job"])


async def test_the_failures_of_several_runs_come_with_each_in_order(
    process: Store, database: Database, kept: list[dict[str, Any]]
) -> None:
    failed = [run for run in kept if run["state"] is RunStatus.FAILED and not run["pruning"]]
    database.fetch("delete from executions")
    for run in failed:
        for tenant in ("z", "B", "a"):
            values = f"{run['n']}, '{tenant}', '', 'failed', '{run['n']}', 'trace'"
            database.fetch(f"insert into executions(run, tenant, job, state, error, traceback) values ({values})")
        database.fetch(f"update runs set failed = 3 where n = {run['n']}")
    for found in await process.read(lambda tx: list_runs(tx, RunFilter(status=RunStatus.FAILED))):
        number = str(int(found.id, 16))
        assert [each[::2] for each in found.failures] == [(tenant, number) for tenant in ("B", "a", "z")]
        assert {each.traceback for each in found.failures} == {None}
        one = await process.read(lambda tx: find_run(tx, found.id, ""))  # noqa: B023 - awaited here
        assert {each.traceback for each in one.failures} == {"trace"}
    without = await process.read(lambda tx: list_runs(tx, RunFilter(status=RunStatus.FAILED, failures=False)))
    assert {run.failures for run in without} == {()}
