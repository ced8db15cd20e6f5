from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click
import pytest

from pinstripe.commands.summary import exit_code, failures, retry_advice, summary
from pinstripe.queue import Pause
from pinstripe.run import Counts, Failure, Run, RunStatus, Trigger

BEGAN = datetime(2026, 11, 21, 20, tzinfo=UTC)
ID = "01990000-0000-7000-8000-00001f3a9c07"


def ended(status: RunStatus, counts: Counts, **more: Any) -> Run:
    return Run(
        ID, "greet", status, Trigger.CLI, (), {}, BEGAN, started_at=BEGAN, finished_at=BEGAN, executions=counts, **more
    )


def lines(run: Run) -> list[str]:
    return [click.unstyle(line) for line in summary(run, None)]


@pytest.mark.parametrize(
    ("status", "counts", "code"),
    [
        (RunStatus.SUCCEEDED, Counts(total=2, succeeded=2), 0),
        (RunStatus.SUCCEEDED, Counts(total=2, succeeded=1, skipped=1), 0),
        (RunStatus.SUCCEEDED, Counts(), 3),
        (RunStatus.SUCCEEDED, Counts(total=2, skipped=2), 3),
        (RunStatus.FAILED, Counts(total=2, succeeded=1, failed=1), 1),
        (RunStatus.FAILED, Counts(), 1),
        (RunStatus.CANCELLED, Counts(total=2, succeeded=1, cancelled=1), 1),
    ],
)
def test_exit_codes_say_what_happened(status: RunStatus, counts: Counts, code: int) -> None:
    assert exit_code(ended(status, counts)) == code


def test_a_retry_that_another_one_forestalled_says_so() -> None:
    late = ended(RunStatus.SUCCEEDED, Counts(), retry_of=ID)
    assert lines(late) == ["greet: nothing was left to retry, another retry was quicker (run 1f3a9c07)"]
    assert exit_code(late) == 3


def test_the_headline_is_honest() -> None:
    mixed = ended(RunStatus.FAILED, Counts(total=10, succeeded=5, failed=2, cancelled=2, skipped=1))
    assert lines(mixed)[0] == (
        "greet failed: 5 succeeded, 2 failed, 2 cancelled, 1 skipped of 10 in 0 ms (run 1f3a9c07)"
    )
    skipped = ended(RunStatus.SUCCEEDED, Counts(total=2, skipped=2))
    assert lines(skipped) == ["greet: all skipped, nothing ran in 0 ms (run 1f3a9c07)"]
    source = ended(RunStatus.FAILED, Counts(), error="the tenant source failed: OSError: gone")
    assert lines(source)[:2] == [
        "greet failed in 0 ms (run 1f3a9c07)",
        "Error: the tenant source failed: OSError: gone",
    ]
    alone = ended(RunStatus.FAILED, Counts(total=1, failed=1), failures=(Failure("acme", 1, "ValueError: x"),))
    assert lines(alone)[:2] == ["greet failed for acme in 0 ms (run 1f3a9c07)", "ValueError: x"]


def test_only_so_many_failures_are_shown_and_the_rest_is_counted() -> None:
    failed = tuple(Failure(f"t{number}", 1, "ValueError: x") for number in range(1_000))
    run = ended(RunStatus.FAILED, Counts(total=1_500, failed=1_500), failures=failed)
    shown = [click.unstyle(line) for line in failures(run, None, limit=2)]
    assert shown == [
        "",
        "FAILED  ERROR",
        "t0      ValueError: x",
        "t1      ValueError: x",
        "… and 1,498 more: pinstripe show-run 1f3a9c07 --json",
    ]


def test_retrying_is_offered_only_where_something_can_be_retried() -> None:
    assert list(retry_advice(ended(RunStatus.SUCCEEDED, Counts(total=1, succeeded=1)), None)) == []
    assert list(retry_advice(ended(RunStatus.CANCELLED, Counts(total=1, cancelled=1)), "/p")) == [
        "",
        "Run again:  pinstripe retry-run 1f3a9c07 --project /p",
    ]


def test_where_something_was_skipped_the_pauses_of_its_job_are_named() -> None:
    pauses = [Pause("hello", None, 0), Pause("greet", "acme", 0), Pause(None, "\x1b[2J", 0)]
    skipped = ended(RunStatus.SUCCEEDED, Counts(total=2, succeeded=1, skipped=1))
    told = [click.unstyle(line) for line in summary(skipped, None, pauses)]
    assert told[-1] == r"Paused: job greet for tenant acme, tenant \x1b[2J; --force runs it all the same."
    assert lines(skipped) == told[:-1]
    assert lines(skipped) == [click.unstyle(line) for line in summary(skipped, None, pauses[:1])]
    many = [Pause(None, str(number), 0) for number in range(5)]
    assert [*summary(skipped, None, many)][-1].startswith("Paused: tenant 0, tenant 1, tenant 2 and 2 more; ")
    assert "Paused" not in "".join(summary(ended(RunStatus.SUCCEEDED, Counts(total=1, succeeded=1)), None, many))
