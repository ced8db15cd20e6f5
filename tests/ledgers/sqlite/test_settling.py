from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe.ledger import Settlement
from pinstripe.ledgers.sqlite import settling
from pinstripe.ledgers.sqlite.settling import end_page, following, settle, start
from pinstripe.ledgers.sqlite.statements import statement
from pinstripe.run import TRANSITIONS, ExecutionStatus

if TYPE_CHECKING:
    import apsw

STATUSES = list(ExecutionStatus)
FINAL = [status for status, onward in TRANSITIONS.items() if not onward]
TENANTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@pytest.fixture
def run(connection: apsw.Connection) -> int:
    """Make a selected run with one execution in each state, named so; those that have started have the epoch 1."""
    values = {name: name for name in ("id", "reversed_id", "job", "args", "kwargs", "selection", "origin")}
    none = dict.fromkeys(("retry_of", "parent", "trace", "redacted"))
    rows = connection.execute(
        statement("create_run"), {**values, **none, "trigger": "code", "owner": 1, "now": 1}
    ).fetchall()
    run = int(str(rows[0][0]))
    connection.execute("update runs set selected = 1, state = 'running', total = 6, open = 2 where n = ?", (run,))
    for status in STATUSES:
        epoch = 0 if status is ExecutionStatus.QUEUED else 1
        connection.execute(
            "insert into executions(run, tenant, job, state, epoch) values (?, ?, 'job', ?, ?)",
            (run, str(status), str(status), epoch),
        )
    return run


def states(connection: apsw.Connection) -> dict[str, str]:
    return {str(tenant): str(state) for tenant, state in connection.execute("select tenant, state from executions")}


def assert_only(connection: apsw.Connection, was: ExecutionStatus, became: ExecutionStatus) -> None:
    """Check that one execution alone was moved, and where the table of transitions lets it."""
    assert became in TRANSITIONS[was]
    assert states(connection) == {**{str(status): str(status) for status in STATUSES}, str(was): str(became)}


def test_starting_takes_what_is_queued_alone(connection: apsw.Connection, run: int) -> None:
    claimed = start(connection, run, 1, [str(status) for status in STATUSES], 2)
    assert [(one.tenant, one.epoch, one.attempt) for one in claimed] == [("queued", 1, 1)]
    assert_only(connection, ExecutionStatus.QUEUED, ExecutionStatus.RUNNING)


@pytest.mark.parametrize("status", FINAL)
@pytest.mark.parametrize("error", [None, "an error"])
def test_settling_takes_what_runs_alone(
    connection: apsw.Connection, run: int, status: ExecutionStatus, error: str | None
) -> None:
    for epoch in (0, 1):
        settle(connection, run, [Settlement(id_, epoch, status, error) for id_ in range(1, 7)], 2)
    assert_only(connection, ExecutionStatus.RUNNING, status)
    counts = connection.execute("select open, succeeded + failed + cancelled + skipped, state from runs").fetchall()
    assert counts == [(1, 1, "running")]


@pytest.mark.parametrize("was", STATUSES)
@pytest.mark.parametrize("became", [ExecutionStatus.CANCELLED, ExecutionStatus.SKIPPED])
def test_ending_takes_what_is_open_alone(
    connection: apsw.Connection, run: int, was: ExecutionStatus, became: ExecutionStatus
) -> None:
    assert end_page(connection, run, None, {was: (became, "the reason")}, 2) is None
    if became in TRANSITIONS[was]:
        assert_only(connection, was, became)
    else:
        assert states(connection) == {str(status): str(status) for status in STATUSES}


def test_pages_end_where_the_executions_do(
    connection: apsw.Connection, run: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "PAGE", 1)
    ends = {ExecutionStatus.QUEUED: (ExecutionStatus.CANCELLED, "not started")}
    after, pages = None, []
    while (after := end_page(connection, run, after, ends, 2)) is not None:
        pages.append(after)
    assert pages == ["queued", "running"]
    assert_only(connection, ExecutionStatus.QUEUED, ExecutionStatus.CANCELLED)


@given(TENANTS, TENANTS)
def test_the_text_that_follows_is_the_next_one_there_can_be(tenant: str, other: str) -> None:
    assert tenant < following(tenant)
    assert (other >= following(tenant)) == (other > tenant)
    assert following(None) <= other
