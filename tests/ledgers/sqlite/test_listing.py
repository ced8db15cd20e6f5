from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pinstripe.errors import UnknownRun
from pinstripe.ledger import RunFilter
from pinstripe.ledgers.sqlite import listing
from pinstripe.ledgers.sqlite.listing import find_run, last_runs, list_runs, number_of
from pinstripe.ledgers.sqlite.statements import statement
from pinstripe.run import RunStatus

if TYPE_CHECKING:
    from pathlib import Path

    import apsw

JOBS = ["greet", "clean_up", "never"]
TENANTS = ["a", "b", "never"]
STATES = [RunStatus.QUEUED, RunStatus.SUCCEEDED, RunStatus.FAILED]


@pytest.fixture
def kept(connection: apsw.Connection) -> list[dict[str, Any]]:
    """Keep two runs of each kind, one of them on its way out."""
    kinds = product(JOBS[:2], STATES[:2], [[], ["a"], ["a", "b"]], [0, 1])
    made: list[dict[str, Any]] = [
        dict(zip(("job", "state", "tenants", "pruning"), kind, strict=True)) for kind in kinds
    ]
    for n, run in enumerate(made, 1):
        run |= {"n": n, "id": f"{n:036x}", "created_at": n * 10}
        others = dict.fromkeys(("args", "kwargs"), "[]") | dict.fromkeys(("selection", "origin"), "")
        values = {**others, **run, "reversed_id": run["id"][::-1], "trigger": "code", "owner": 1, "now": n * 10}
        values |= {"kwargs": "{}"} | dict.fromkeys(("retry_of", "parent", "trace", "redacted"))
        connection.execute(statement("create_run"), values).fetchall()
        connection.execute("update runs set state = ?, pruning = ? where n = ?", (str(run["state"]), run["pruning"], n))
        for tenant in run["tenants"]:
            connection.execute("insert into executions(run, tenant, job) values (?, ?, '')", (n, tenant))
    return made


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(
    job=st.none() | st.sampled_from(JOBS),
    tenant=st.none() | st.sampled_from(TENANTS),
    status=st.none() | st.sampled_from(STATES),
    since=st.none() | st.integers(0, 300),
    limit=st.integers(1, 30),
)
def test_what_is_listed_is_what_all_the_filters_let_through(
    connection: apsw.Connection, kept: list[dict[str, Any]], **asked: Any
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
    assert [run.id for run in list_runs(connection, only)] == wanted[: only.limit]


def test_a_run_on_its_way_out_is_found_by_nothing(
    connection: apsw.Connection, kept: list[dict[str, Any]], path: Path
) -> None:
    leaving = next(run for run in kept if run["pruning"])
    for reference in (leaving["id"], leaving["id"][-2:]):
        with pytest.raises(UnknownRun, match="its retention has passed"):
            find_run(connection, reference, path)
    with pytest.raises(UnknownRun):
        number_of(connection, leaving["id"], path)
    connection.execute("update runs set pruning = 1")
    with pytest.raises(UnknownRun, match="has no run yet"):
        find_run(connection, "last", path)
    assert last_runs(connection, JOBS) == {}


def test_the_number_and_the_job_of_a_run(connection: apsw.Connection, kept: list[dict[str, Any]], path: Path) -> None:
    run = kept[4]
    assert number_of(connection, run["id"], path) == (run["n"], run["job"])


@pytest.mark.usefixtures("kept")
def test_each_filter_may_lead(connection: apsw.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever index is walked, the answer is the same."""
    asked = RunFilter(job="greet", tenant="a", status=RunStatus.QUEUED)
    answers = []
    for lead in ("tenant", "job", "state", "number"):
        monkeypatch.setattr(listing, "_fewest", lambda *_, lead=lead: lead)
        answers.append([run.id for run in list_runs(connection, asked)])
    assert len(answers[0]) == 2
    assert answers == [answers[0]] * 4
