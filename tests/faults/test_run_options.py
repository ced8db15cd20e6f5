"""The options of a run by hand do what they say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.faults.conftest import Faulty


@pytest.fixture(scope="module")
def ten(shared: Faulty) -> Faulty:
    """Give a project of ten tenants."""
    shared.tenants(
        "def tenants():\n    for number in range(10):\n        yield {'id': f't{number}', 'number': number}\n"
    )
    shared.job(
        "counting",
        """
        now = most = 0
        class Counting(BackgroundJob):
            multi_tenant = True
            async def run(self):
                global now, most
                now += 1
                most = max(most, now)
                for _ in range(20):
                    await asyncio.sleep(0)
                now -= 1
                print("most", most)
        """,
    )
    shared.job(
        "talking",
        """
        class Talking(BackgroundJob):
            multi_tenant = True
            async def run(self):
                print("said by", self.tenant.id)
                print(type(sys.stdout).__name__)
        """,
    )
    return shared


def test_fail_fast_starts_no_more_and_lets_running_ones_finish(ten: Faulty) -> None:
    ten.job(
        "fragile",
        """
        started = asyncio.Event()
        class Fragile(BackgroundJob):
            multi_tenant = True
            async def run(self):
                if self.tenant.id == "t1":
                    started.set()
                    raise ValueError("the first")
                await started.wait()
                await asyncio.sleep(0)
        """,
    )
    answer = ten("run-background-job", "fragile", "--fail-fast", "--concurrency", "3", "--json")
    assert answer.code == 1, answer
    counts = answer.json["executions"]
    assert (counts["failed"], counts["succeeded"], counts["cancelled"]) == (1, 2, 7)
    reason = ten.show("last", "--tenant", "t9")["error"]
    assert reason == "not started: another tenant failed (--fail-fast)"
    retried = ten("retry-run", "last", "--fail-fast", "--concurrency", "1", "--json")
    assert (retried.code, retried.json["executions"]["cancelled"]) == (1, 7)


@pytest.mark.parametrize("at_once", [1, 4])
def test_concurrency_is_how_many_go_on_at_once(ten: Faulty, at_once: int) -> None:
    answer = ten("run-background-job", "counting", "--concurrency", str(at_once))
    assert answer.code == 0, answer
    assert max(map(int, re.findall(r"most (\d+)", answer.out))) == at_once


def test_concurrency_of_the_settings(ten: Faulty) -> None:
    answer = ten("run-background-job", "counting", PINSTRIPE_WORKER_CONCURRENCY="2")
    assert answer.code == 0, answer
    assert max(map(int, re.findall(r"most (\d+)", answer.out))) == 2


def test_timeout_bounds_each_execution(ten: Faulty) -> None:
    ten.job(
        "slow",
        """
        class Slow(BackgroundJob):
            multi_tenant = True
            timeout = "1h"
            async def run(self):
                try:
                    if self.tenant.id == "t3":
                        await asyncio.Event().wait()
                finally:
                    print("cleaned up", self.attempt.cancelled)
        """,
    )
    answer = ten("run-background-job", "slow", "--timeout", "200ms", "--json")
    assert answer.code == 1, answer
    (failure,) = answer.json["failures"]
    assert (failure["tenant"], failure["error"]) == ("t3", "TimeoutError: exceeded its timeout of 200ms")
    assert ten.show("last", "--tenant", "t3")["log"] == "cleaned up True\n"


def test_no_capture_leaves_output_alone(ten: Faulty) -> None:
    captured = ten("run-background-job", "talking", "--tenant", "t1", "--tenant", "t2")
    assert captured.code == 0
    assert "_Stream" in captured.out
    assert ten.show("last", "--tenant", "t1")["log"].startswith("said by t1\n")
    left = ten("run-background-job", "talking", "--tenant", "t1", "--tenant", "t2", "--no-capture")
    assert left.code == 0
    assert "said by t1\nTextIOWrapper\n" in left.out
    assert ten.show("last", "--tenant", "t1")["log"] is None


def test_dry_run_runs_and_records_nothing(ten: Faulty) -> None:
    before = len(ten.runs())
    answer = ten("run-background-job", "talking", "--where", "number__ge=8", "--dry-run", "--json")
    assert answer.code == 0, answer
    assert answer.json == {"job": "talking", "args": [], "kwargs": {}, "total": 2, "tenants": ["t8", "t9"]}
    assert len(ten.runs()) == before


def test_a_reader_that_stops_reading_changes_nothing(ten: Faulty) -> None:
    """`| head` ends the reading, not the run."""
    answer = ten.python(
        """
        import subprocess
        command = subprocess.Popen([sys.executable, "-m", "pinstripe", "run-background-job", "talking"],
                                   stdout=subprocess.PIPE)
        command.stdout.close()
        print(command.wait(20))
        """
    )
    assert answer.out == "0\n", answer
    assert ten.counts() == {"total": 10, "succeeded": 10}
