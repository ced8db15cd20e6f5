"""The moves of executions in PostgreSQL's transactions: each takes what it may, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pinstripe.ledger import Settlement
from pinstripe.ledgers.postgres import settling
from pinstripe.ledgers.postgres.settling import count, end_page, in_order, settle, skip, start
from pinstripe.run import TRANSITIONS, ExecutionStatus

if TYPE_CHECKING:
    from pinstripe.ledgers.postgres.store import Store
    from pinstripe.ledgers.postgres.transaction import Transaction
    from tests.ledgers.postgres.conftest import Database

pytestmark = pytest.mark.anyio

STATUSES = list(ExecutionStatus)
FINAL = [status for status, onward in TRANSITIONS.items() if not onward]
RUN = 1

MADE = """
insert into runs(id, job, state, trigger, args, kwargs, selection, origin, created_at, selected, total, open)
values ('the-id', 'job', 'running', 'code', '', '', '', '', 1, true, 6, 2);
"""


@pytest.fixture
def run(process: Store, database: Database) -> int:
    """Make a selected run with one execution in each state, named so; those that have started have the epoch 1."""
    database.fetch(MADE)
    for status in STATUSES:
        epoch = 0 if status is ExecutionStatus.QUEUED else 1
        values = f"{RUN}, '{status}', 'job', '{status}', {epoch}"
        database.fetch(f"insert into executions(run, tenant, job, state, epoch) values ({values})")
    return RUN


def states(database: Database) -> dict[str, str]:
    return dict(database.fetch("select tenant, state from executions"))


def assert_only(database: Database, was: ExecutionStatus, became: ExecutionStatus) -> None:
    """Check that one execution alone was moved, and where the table of transitions lets it."""
    assert became in TRANSITIONS[was]
    assert states(database) == {**{str(status): str(status) for status in STATUSES}, str(was): str(became)}


async def test_starting_takes_what_is_queued_alone(process: Store, database: Database, run: int) -> None:
    claimed = await process.write(lambda tx: start(tx, run, 1, [str(status) for status in STATUSES], 2))
    assert [(one.tenant, one.epoch, one.attempt) for one in claimed] == [("queued", 1, 1)]
    assert_only(database, ExecutionStatus.QUEUED, ExecutionStatus.RUNNING)


async def test_what_is_started_comes_in_order(process: Store, database: Database, run: int) -> None:
    tenants = [f"t{n:03}" for n in range(200)]
    for tenant in tenants:
        database.fetch(f"insert into executions(run, tenant, job) values ({run}, '{tenant}', 'job')")
    claimed = await process.write(lambda tx: start(tx, run, 1, tenants[::-1], 2))
    assert [one.tenant for one in claimed] == tenants


async def test_skipping_takes_what_is_queued_alone(process: Store, database: Database, run: int) -> None:
    tenants = [str(status) for status in STATUSES]
    assert await process.write(lambda tx: skip(tx, run, tenants, "paused", 2)) == 1
    assert_only(database, ExecutionStatus.QUEUED, ExecutionStatus.SKIPPED)


@pytest.mark.parametrize("status", FINAL)
@pytest.mark.parametrize("error", [None, "an error"])
async def test_settling_takes_what_runs_alone(
    process: Store, database: Database, run: int, status: ExecutionStatus, error: str | None
) -> None:
    for epoch in (0, 1):
        settlements = [Settlement(id_, epoch, status, error) for id_ in range(6, 0, -1)]

        async def both(tx: Transaction) -> None:
            ended = await settle(tx, run, settlements, 2)  # noqa: B023 - awaited here
            await count(tx, {run: ended}, 2)

        await process.write(both)
    assert_only(database, ExecutionStatus.RUNNING, status)
    counts = database.fetch("select open, succeeded + failed + cancelled + skipped, state from runs")
    assert counts == [(1, 1, "running")]


async def test_what_has_all_ends_at_once_is_settled_in_one_statement(
    process: Store, database: Database, run: int
) -> None:
    database.fetch("update executions set state = 'running', epoch = id")
    ends = [*FINAL, ExecutionStatus.SUCCEEDED, ExecutionStatus.FAILED]
    settlements = [
        Settlement(n, n, status, f"error {n}", f"trace {n}", f"[{n}]", f"log {n}" if n % 2 else None)
        for n, status in enumerate(ends, 1)
    ]
    ended = await process.write(lambda tx: settle(tx, run, settlements, 2))
    assert ended == {status: ends.count(status) for status in FINAL}
    rows = database.fetch("select id, state, error, traceback, result, owner, finished_at from executions order by id")
    assert rows == [(n, str(status), f"error {n}", f"trace {n}", f"[{n}]", None, 2) for n, status in enumerate(ends, 1)]
    logs = database.fetch("select execution, text, succeeded_at from logs order by execution")
    kept = [(n, f"log {n}", 2 if ends[n - 1] is ExecutionStatus.SUCCEEDED else None) for n in (1, 3, 5)]
    assert logs == kept


def test_of_two_settlements_of_one_start_the_first_counts_that_tells_something() -> None:
    plain, error = Settlement(1, 1, ExecutionStatus.SUCCEEDED), Settlement(1, 1, ExecutionStatus.FAILED, "an error")
    late, older = Settlement(1, 1, ExecutionStatus.FAILED, log=""), Settlement(1, 0, ExecutionStatus.SUCCEEDED)
    first = Settlement(0, 5, ExecutionStatus.SUCCEEDED)
    assert in_order([plain, error, late, older, first, plain]) == [first, older, error]
    assert in_order([plain, plain]) == [plain]


async def test_several_runs_are_counted_in_one_statement_and_closed_with_their_last(
    process: Store, database: Database, run: int
) -> None:
    ids = database.fetch(
        "insert into runs(id, job, state, trigger, args, kwargs, selection, origin, created_at, selected, total, open)"
        " select 'id' || n, 'job', 'running', 'code', '', '', '', '', 1, n < 4, 3, 3 from generate_series(1, 4) n"
        " returning n"
    )
    numbers = [n for (n,) in ids]
    succeeded, failed, cancelled = ExecutionStatus.SUCCEEDED, ExecutionStatus.FAILED, ExecutionStatus.CANCELLED
    ended = {
        numbers[3]: {succeeded: 3},  # still selecting
        numbers[0]: {succeeded: 3},
        numbers[1]: {succeeded: 1, failed: 1, cancelled: 1},
        numbers[2]: {succeeded: 2, cancelled: 1},
        run: {succeeded: 1},
        77: {succeeded: 1},  # that is gone
        78: {},
    }
    await process.write(lambda tx: count(tx, ended, 9))
    rows = database.fetch("select state, open, succeeded, failed, cancelled, finished_at from runs order by n")
    assert rows == [
        ("running", 1, 1, 0, 0, None),
        ("succeeded", 0, 3, 0, 0, 9),
        ("failed", 0, 1, 1, 1, 9),
        ("cancelled", 0, 2, 0, 1, 9),
        ("running", 0, 3, 0, 0, None),
    ]


@pytest.mark.parametrize("was", STATUSES)
@pytest.mark.parametrize("became", [ExecutionStatus.CANCELLED, ExecutionStatus.SKIPPED])
async def test_ending_takes_what_is_open_alone(
    process: Store, database: Database, run: int, was: ExecutionStatus, became: ExecutionStatus
) -> None:
    assert await process.write(lambda tx: end_page(tx, run, None, {was: (became, "the reason")}, 2)) is None
    if became in TRANSITIONS[was]:
        assert_only(database, was, became)
    else:
        assert states(database) == {str(status): str(status) for status in STATUSES}


async def test_pages_end_where_the_executions_do(
    process: Store, database: Database, run: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "PAGE", 1)
    ends = {ExecutionStatus.QUEUED: (ExecutionStatus.CANCELLED, "not started")}
    after, pages = None, []
    while (after := await process.write(lambda tx: end_page(tx, run, after, ends, 2))) is not None:
        pages.append(after)
    assert pages == ["queued", "running"]
    assert_only(database, ExecutionStatus.QUEUED, ExecutionStatus.CANCELLED)


async def test_the_execution_without_a_tenant_is_on_the_first_page(process: Store, database: Database) -> None:
    database.fetch(MADE)
    database.fetch("insert into executions(run, tenant, job) values (1, '', 'job'), (1, 'a', 'job')")
    ends = {ExecutionStatus.QUEUED: (ExecutionStatus.CANCELLED, "not started")}
    assert await process.write(lambda tx: end_page(tx, RUN, "", ends, 2)) is None
    assert states(database) == {"": "queued", "a": "cancelled"}
    assert await process.write(lambda tx: end_page(tx, RUN, None, ends, 2)) is None
    assert states(database) == {"": "cancelled", "a": "cancelled"}
