from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pinstripe.commands.progress import Progress
from pinstripe.run import Counts, Run, RunStatus, Trigger

pytestmark = pytest.mark.anyio

RUN = Run("1", "greet", RunStatus.RUNNING, Trigger.CLI, (), {}, datetime(2026, 11, 21, tzinfo=UTC))


class HandClock:
    """A clock that a test sets by hand."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def now(self) -> int:
        return int(self.seconds * 1_000_000)

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


async def test_progress_lines_are_few(clock: HandClock, capsys: pytest.CaptureFixture[str]) -> None:
    screen = Progress(clock)
    screen.created(RUN)
    screen.selected(RUN, 1_000)
    said = []
    for done in range(1, 1_001):
        clock.seconds += 0.02
        screen.advanced(RUN, Counts(total=1_000, succeeded=done - done // 100, failed=done // 100), ())
        said += capsys.readouterr().err.splitlines()
    assert said[0] == "greet: 100 of 1,000, 1 failed, 50/s, 18.0 s left"
    assert len(said) == 9


async def test_a_slow_run_says_something_every_five_seconds(
    clock: HandClock, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = Progress(clock)
    screen.selected(RUN, 1_000)
    for done in range(1, 21):
        clock.seconds += 1
        screen.advanced(RUN, Counts(total=1_000, succeeded=done), ())
    assert len(capsys.readouterr().err.splitlines()) == 4


async def test_selecting_many_tenants_is_told(clock: HandClock, capsys: pytest.CaptureFixture[str]) -> None:
    screen = Progress(clock)
    screen.selecting(RUN, 1_000)
    clock.seconds += 5
    screen.selecting(RUN, 2_000)
    assert capsys.readouterr().err == "greet: selecting tenants, 2,000 so far\n"


async def test_tenants_stand_before_their_lines_where_there_are_several(
    clock: HandClock, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = Progress(clock)
    screen.selected(RUN, 2)
    screen.output("acme", "one\ntwo\n")
    screen.output("\x1b[2J", "three\n")
    screen.close()
    assert capsys.readouterr().out == "acme | one\nacme | two\n\\x1b[2J | three\n"
    screen.selected(RUN, 1)
    screen.output("acme", "alone\n")
    screen.close()
    assert capsys.readouterr().out == "alone\n"


async def test_what_a_job_says_of_its_progress_is_told_now_and_then(
    clock: HandClock, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = Progress(clock)
    screen.selected(RUN, 2)
    for done in range(100):
        clock.seconds += 0.125
        screen.progress("acme", done, 100)
    assert capsys.readouterr().err == "acme: 39 of 100\nacme: 79 of 100\n"


def test_a_single_execution_gets_the_terminal(clock: HandClock) -> None:
    on_terminal = Progress(clock, terminal=True)
    on_terminal.selected(RUN, 2)
    assert on_terminal.captures
    on_terminal.selected(RUN, 1)
    assert not on_terminal.captures
    in_pipe = Progress(clock)
    in_pipe.selected(RUN, 1)
    assert in_pipe.captures


async def test_a_run_that_is_seen_from_its_middle_on_has_its_rate_from_there(
    clock: HandClock, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = Progress(clock)
    screen.selected(replace(RUN, executions=Counts(total=1_000, succeeded=500)), 1_000)
    assert screen.pace() == "0 of 1,000"
    screen.advanced(RUN, Counts(total=1_000, succeeded=500), ())
    assert screen.pace() == "500 of 1,000"
    clock.seconds += 10
    screen.advanced(RUN, Counts(total=1_000, succeeded=600), ())
    assert capsys.readouterr().err == "greet: 600 of 1,000, 10/s, 40.0 s left\n"


async def test_where_nothing_has_come_further_no_line_is_said(
    clock: HandClock, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = Progress(clock)
    screen.selected(RUN, 1_000)
    for _ in range(20):
        clock.seconds += 5
        screen.advanced(RUN, Counts(total=1_000, succeeded=7), ())
    assert len(capsys.readouterr().err.splitlines()) == 1


async def test_each_reason_to_wait_is_said_once(clock: HandClock, capsys: pytest.CaptureFixture[str]) -> None:
    screen = Progress(clock)
    for reason in ("1 is queued", "1 is queued", None, "1 is queued", "1 is paused"):
        screen.waiting(RUN, reason)
    assert capsys.readouterr().err == "greet: 1 is queued\ngreet: 1 is queued\ngreet: 1 is paused\n"
