from __future__ import annotations

import functools
import json
import operator
import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe.run import (
    TRANSITIONS,
    Counts,
    ExecutionStatus,
    Failure,
    Run,
    RunStatus,
    Trigger,
    final_status,
    new_run_id,
    new_run_ids,
)

NOON = datetime(2026, 11, 21, 20, tzinfo=UTC)
ANY_TIME = st.integers(0, 2**48 * 1_000 - 1)

FINAL = {ExecutionStatus.SUCCEEDED, ExecutionStatus.FAILED, ExecutionStatus.CANCELLED, ExecutionStatus.SKIPPED}


def test_json_to_the_letter() -> None:
    run = Run(
        id="0199",
        job="send_newsletter",
        status=RunStatus.FAILED,
        trigger=Trigger.CLI,
        args=("weekly",),
        kwargs={},
        created_at=NOON,
        started_at=NOON.replace(microsecond=5),
        executions=Counts(total=3, succeeded=2, failed=1),
        failures=(Failure("acme", 1, "ValueError: bad address", "Traceback …"),),
    )
    assert json.dumps(run.to_json(), ensure_ascii=False) == (
        '{"id": "0199", "job": "send_newsletter", "status": "failed", "trigger": "cli", "args": ["weekly"], '
        '"kwargs": {}, "selecting": false, "retry_of": null, "parent": null, "scheduled_for": null, "error": null, '
        '"result": null, "created_at": "2026-11-21T20:00:00.000000Z", "started_at": "2026-11-21T20:00:00.000005Z", '
        '"finished_at": null, "executions": {"total": 3, "queued": 0, "running": 0, "succeeded": 2, "failed": 1, '
        '"cancelled": 0, "skipped": 0}, "failures": [{"tenant": "acme", "attempts": 1, '
        '"error": "ValueError: bad address", "traceback": "Traceback …"}]}'
    )


def test_json_without_tracebacks() -> None:
    run = Run(
        id="0199",
        job="j",
        status=RunStatus.FAILED,
        trigger=Trigger.RETRY,
        args=(),
        kwargs={"since": "2026-01-01"},
        created_at=NOON,
        scheduled_for=NOON,
        retry_of="0198",
        parent="0197",
        result={"sent": 3},
        failures=(Failure(None, 2, "KeyError: 'a'", "Traceback …"),),
    )
    written = run.to_json(tracebacks=False)
    assert written["failures"] == [{"tenant": None, "attempts": 2, "error": "KeyError: 'a'"}]
    assert (written["retry_of"], written["parent"], written["result"]) == ("0198", "0197", {"sent": 3})
    assert (written["scheduled_for"], written["trigger"]) == ("2026-11-21T20:00:00.000000Z", "retry")


def test_words_are_those_of_the_contract() -> None:
    assert [*RunStatus] == ["queued", "running", "succeeded", "failed", "cancelled"]
    assert [*ExecutionStatus] == ["queued", "running", "succeeded", "failed", "cancelled", "skipped"]
    assert [*Trigger] == ["cli", "code", "api", "schedule", "retry"]


@pytest.mark.parametrize("status", RunStatus)
def test_the_last_three_statuses_are_final(status: RunStatus) -> None:
    run = Run(id="1", job="j", status=status, trigger=Trigger.CLI, args=(), kwargs={}, created_at=NOON)
    assert run.finished == (status in {"succeeded", "failed", "cancelled"})


@given(st.none() | st.text(), st.integers(0, 5), st.integers(0, 5))
def test_how_a_run_ends(error: str | None, failed: int, cancelled: int) -> None:
    status = final_status(error=error, failed=failed, cancelled=cancelled)
    if error is not None or failed:
        assert status is RunStatus.FAILED
    elif cancelled:
        assert status is RunStatus.CANCELLED
    else:
        assert status is RunStatus.SUCCEEDED


def test_what_is_final_leads_nowhere_and_all_else_to_an_end() -> None:
    assert set(TRANSITIONS) == set(ExecutionStatus)
    assert {status for status, next_ones in TRANSITIONS.items() if not next_ones} == FINAL
    assert all(status not in next_ones for status, next_ones in TRANSITIONS.items())


@given(*[st.integers(0, 10**6)] * 6)
def test_done_counts_what_is_final(
    queued: int, running: int, succeeded: int, failed: int, cancelled: int, skipped: int
) -> None:
    total = queued + running + succeeded + failed + cancelled + skipped
    counts = Counts(total, queued, running, succeeded, failed, cancelled, skipped)
    assert counts.done == total - queued - running


@given(ANY_TIME)
def test_an_id_is_a_uuid_of_version_7(microseconds: int) -> None:
    text = new_run_id(microseconds)
    id_ = uuid.UUID(text)
    assert str(id_) == text
    assert id_.version == 7
    assert id_.variant == uuid.RFC_4122
    assert id_.int >> 80 == microseconds // 1_000


@given(ANY_TIME, ANY_TIME)
def test_ids_sort_by_their_milliseconds(one: int, other: int) -> None:
    if one // 1_000 < other // 1_000:
        assert new_run_id(one) < new_run_id(other)


def test_ids_of_one_moment_differ() -> None:
    assert len({new_run_id(1_790_000_000_000_000) for _ in range(1_000)}) == 1_000


@given(ANY_TIME, st.integers(0, 20))
def test_many_ids_are_made_as_one_is(microseconds: int, count: int) -> None:
    ids = [uuid.UUID(text) for text in new_run_ids(microseconds, count)]
    assert len({*ids}) == count
    assert {(id_.version, id_.variant, id_.int >> 80) for id_ in ids} <= {(7, uuid.RFC_4122, microseconds // 1_000)}


def test_many_ids_are_in_their_order_and_end_differently() -> None:
    ids = new_run_ids(1_790_000_000_000_000, 10_000)
    assert ids == sorted(ids)
    assert len({id_[-8:] for id_ in ids}) == 10_000


def test_many_ids_that_are_read_from_their_end_stand_together() -> None:
    """An index of them, which finds a run by the end of its id, is written in one place."""
    ids = new_run_ids(1_790_000_000_000_000, 10_000)
    assert len({id_[-4:] for id_ in ids}) == 1


def test_every_random_bit_of_ids_varies() -> None:
    ids = [uuid.UUID(new_run_id(0)).int for _ in range(1_000)]
    fixed = ~functools.reduce(operator.or_, (id_ ^ ids[0] for id_ in ids))
    assert fixed & (1 << 80) - 1 == 0xF << 76 | 0x3 << 62  # the version and the variant
