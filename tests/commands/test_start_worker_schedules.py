"""start-worker lets schedules fire: with one process and with several, each time once."""

from __future__ import annotations

import os
import signal
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.commands.conftest import Command, Start
    from tests.conftest import ProjectFolder

TICK = """
    from pinstripe import BackgroundJob

    class Tick(BackgroundJob):
        schedule = "* * * * * *"
        overlap = "allow"
        async def run(self):
            print(f"for {self.attempt.scheduled_for:%S}")
"""


@pytest.fixture(autouse=True)
def _tick(shop: ProjectFolder) -> None:
    shop.job("tick", TICK)


def fires(pinstripe: Command) -> list[datetime]:
    """Give the times for which there are runs."""
    runs: list[dict[str, Any]] = pinstripe("list-runs", "--job", "tick", "--limit", "100", "--json").json
    return sorted(datetime.fromisoformat(run["scheduled_for"]) for run in runs)


def is_complete(times: list[datetime]) -> bool:
    """Tell whether there is one for each second."""
    return {(later - earlier).total_seconds() for earlier, later in pairwise(times)} == {1.0}


@pytest.mark.parametrize("processes", ["1", "2"])
def test_each_time_fires_once_and_none_does_afterwards(pinstripe: Command, started: Start, processes: str) -> None:
    worker = started("start-worker", "--processes", processes)
    worker.wait_for("Letting 2 schedules fire\n")
    for _ in range(2):
        worker.seen = ""
        worker.wait_for("tick | for ")
    os.kill(worker.process.pid, signal.SIGTERM)
    assert worker.end() == 143
    times = fires(pinstripe)
    assert len(times) >= 2
    assert is_complete(times)


def test_two_commands_fire_each_time_once(pinstripe: Command, started: Start) -> None:
    workers = [started("start-worker", "--processes", "1"), started("start-worker", "--without-bot")]
    workers.append(started("start-worker", "--processes", "2"))
    for worker in workers[::2]:
        worker.wait_for("Letting 2 schedules fire\n")
    workers[1].wait_for("Working on ")
    assert "schedules fire" not in workers[1].seen
    while len(fires(pinstripe)) < 3:  # each of them may have executed them
        pass
    processes = pinstripe("status", "--json").json["processes"]
    assert sum(process["bot"] for process in processes) == 2
    for worker in workers:
        os.kill(worker.process.pid, signal.SIGTERM)
        assert worker.end() == 143
        assert "Traceback" not in worker.seen
    assert is_complete(fires(pinstripe))


def test_what_was_killed_is_caught_up_once(pinstripe: Command, started: Start) -> None:
    worker = started("start-worker")
    worker.wait_for("tick | for ")
    os.kill(worker.process.pid, signal.SIGKILL)
    worker.end()
    before = len(fires(pinstripe))
    again = started("start-worker")
    for _ in range(2):  # the first may be what the other had begun
        again.seen = ""
        again.wait_for("tick | for ")
    os.kill(again.process.pid, signal.SIGTERM)
    assert again.end() == 143
    times = fires(pinstripe)
    assert len(times) > before
    assert is_complete(times)  # it was back within the seconds in which a fire is only late


def test_without_a_bot_nothing_fires(pinstripe: Command, process: Command) -> None:
    for words in (("--drain",), ("--drain", "--without-bot"), ("--drain", "--processes", "2")):
        answer = process("start-worker", *words)
        assert answer.code == 0
        assert "schedules fire" not in answer.out
    assert fires(pinstripe) == []
    assert pinstripe("status", "--json").json["schedules"]["total"] == 0


def test_a_broken_job_keeps_no_other_from_firing(shop: ProjectFolder, started: Start) -> None:
    shop.job("broken", "this is no Python\n")
    shop.job("odd", TICK.replace("Tick", "Odd").replace('"* * * * * *"', '"* * * * * 99"'))
    worker = started("start-worker")
    worker.wait_for("Letting 2 schedules fire\n")
    assert "day of week is '99'" in worker.seen
    worker.wait_for("tick | for ")
    os.kill(worker.process.pid, signal.SIGTERM)
    assert worker.end() == 143
