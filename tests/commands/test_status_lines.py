from __future__ import annotations

from datetime import timedelta

import pytest

from pinstripe.commands.status_lines import SHOWN, status_lines
from pinstripe.overdue import Overdue, SchedulesStatus
from pinstripe.priority import Priority
from pinstripe.queue import Held, Process, QueueStatus, RunningExecution, Waiting

LEASE = timedelta(seconds=60)
HOUR = 3_600_000_000
NOW = 10 * HOUR
NOTHING = SchedulesStatus(0, None, 0, [])


def process(concurrency: int | None = None, *, bot: bool = False, stopping: bool = False, silent: int = 0) -> Process:
    heard = NOW - silent * 1_000_000
    return Process(1, "web-1/4026531836", 4711, "0.1.0", heard, None, 0, concurrency, stopping, bot)


def lines(
    schedules: SchedulesStatus = NOTHING, *processes: Process, ready: int = 0, folder: str | None = None
) -> list[str]:
    status = QueueStatus([*processes], [Waiting(Priority.DEFAULT, ready, NOW)], {}, 0, 0, None, [])
    return list(status_lines(status, schedules, NOW, LEASE, folder))


def overdue(number: int = 1, **others: object) -> list[Overdue]:
    one = Overdue("greet", "hourly", "acme", 9 * HOUR, "r1", "waits for a worker")
    return [one._replace(due_at=one.due_at + n, **others) for n in range(number)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "state"),
    [
        (process(), "by hand"),
        (process(20), "works"),
        (process(bot=True), "bot"),
        (process(20, bot=True), "works, bot"),
        (process(20, bot=True, stopping=True), "stopping"),
        (process(20, bot=True, stopping=True, silent=61), "silent"),
    ],
)
def test_a_process_is_shown_with_what_it_does(one: Process, state: str) -> None:
    line = lines(NOTHING, one)[1]
    assert line.startswith("web-1  4711 ")
    assert line.endswith(f" ago  {state}")


def running(number: int, **others: object) -> tuple[RunningExecution, ...]:
    one = RunningExecution("close_month", "acme", "0199f2c4-0000-7000-8000-00001f3a9c07", NOW - 250_000_000)
    return (one._replace(**others),) * number  # type: ignore[arg-type]


def test_below_a_process_is_what_it_has_run_for_longest() -> None:
    busy = process(20)._replace(running=7, executions=running(5))
    idle = process(20)._replace(host="web-2")
    shown = lines(NOTHING, busy, idle)
    assert shown[2] == "  close_month for acme: 4 min 10 s so far, in run 1f3a9c07"
    assert shown[2:7] == [shown[2]] * 5
    assert shown[7] == "  + 2 more"
    assert shown[8].startswith("web-2")
    assert shown[9] == ""


def test_what_has_no_tenant_is_shown_without_one_and_alone() -> None:
    busy = process(20)._replace(running=1, executions=running(1, tenant=None, job="gr\x1b[2Jeet"))
    assert lines(NOTHING, busy)[2:4] == ["  gr\\x1b[2Jeet: 4 min 10 s so far, in run 1f3a9c07", ""]


def test_what_waits_for_a_worker_that_has_its_job_is_named() -> None:
    status = QueueStatus(
        [], [], {Held.DUE: 1_205}, 0, 0, 11 * HOUR, [], {"close_month": 1_200, "greet": 1}, {"greet": 2, "send": 1}
    )
    shown = list(status_lines(status, NOTHING, NOW, LEASE, None))
    at = shown.index("No worker that took it has the job:")
    assert shown[at - 1] == "Held: 1,201 wait for a worker that has their job, 4 wait for their time"
    assert shown[at + 1 : at + 3] == [
        "  close_month, 1,200 wait",
        "  greet, 1 waits, 2 runs whose tenants are to be selected",
    ]


def test_a_run_whose_tenants_are_selected_later_is_due() -> None:
    status = QueueStatus([], [], {}, 0, 1, 11 * HOUR, [])
    shown = list(status_lines(status, NOTHING, NOW, LEASE, None))
    assert shown[-4:-2] == ["Selecting tenants: 1 run", "Next due: 1970-01-01 11:00:00Z"]


def test_without_schedules_there_is_no_line_about_them() -> None:
    assert lines()[-1] == "Running: 0"


def test_schedules_are_counted_with_the_next_fire() -> None:
    bot = process(bot=True)
    assert lines(SchedulesStatus(1_200, 11 * HOUR, 1, []), bot)[-1] == (
        "Schedules: 1,200, the next fires at 1970-01-01 11:00:00Z"
    )
    assert lines(SchedulesStatus(1, None, 1, []), bot)[-1] == "Schedules: 1"
    assert "Schedules: 2, the next is due at 1970-01-01 11:00:00Z" in lines(SchedulesStatus(2, 11 * HOUR, 0, []))


def test_what_should_have_run_is_a_table() -> None:
    late = [*overdue(), *overdue(job="sweep", tenant=None, run=None, reason="missed\nand more")]
    assert [line.rstrip() for line in lines(SchedulesStatus(2, None, 1, late))[-4:]] == [
        "Should have run by now: 2",
        "\x1b[2mJOB    TENANT  DUE                   WHY\x1b[0m",
        "greet  acme    1970-01-01 09:00:00Z  waits for a worker",
        "sweep  -       1970-01-01 09:00:00Z  missed…",
    ]


def test_what_stands_there_can_do_nothing_to_the_terminal() -> None:
    late = overdue(job="gr\x1b[2Jeet", tenant="a\x1b[1m", reason="could not: \x1b[31mred")
    text = "\n".join(lines(SchedulesStatus(1, None, 1, late))[-1:])
    assert text == "gr\\x1b[2Jeet  a\\x1b[1m  1970-01-01 09:00:00Z  could not: \\x1b[31mred"


def test_more_than_a_screen_holds_is_counted() -> None:
    shown = lines(SchedulesStatus(1, None, 1, overdue(SHOWN)))
    assert shown[-1].startswith("greet ")
    more = lines(SchedulesStatus(1, None, 1, overdue(1_000)), folder="my shop")
    assert "Should have run by now: 1,000 or more" in more
    assert more[-1] == "… and 980 or more others:  pinstripe status --json --project 'my shop'"
    some = lines(SchedulesStatus(1, None, 1, overdue(SHOWN + 2)))
    assert f"Should have run by now: {SHOWN + 2}" in some
    assert some[-1] == "… and 2 others:  pinstripe status --json"


def test_it_says_what_to_start() -> None:
    there = SchedulesStatus(1, 11 * HOUR, 0, [])
    no_bot = "No bot runs, so no schedule fires; start one:  pinstripe start-server"
    no_worker = "Work waits, and no worker is there; start one:  pinstripe start-worker"
    assert lines(there)[-2:] == ["", no_bot]
    assert lines(there, process(20))[-1] == no_bot
    assert lines(there, ready=1)[-3:] == ["", no_bot, no_worker]
    assert lines(there._replace(bots=1), process(bot=True), ready=1)[-2:] == ["", no_worker]
    assert lines(there, folder="my shop")[-1] == f"{no_bot} --project 'my shop'"
    assert lines(there._replace(bots=1), process(20, bot=True), ready=1)[-1].startswith("Schedules: ")
