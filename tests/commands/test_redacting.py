"""No command shows an argument that its job hides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.commands.conftest import Command
    from tests.conftest import ProjectFolder

SECRET = "sk_live_4711"

JOB = f"""
from pinstripe import BackgroundJob, Schedule

class Pay(BackgroundJob):
    redact = ["token"]
    schedule = Schedule("@daily", args=[1, "{SECRET}"])

    def run(self, amount: int, token: str = "{SECRET}-default"):
        print("paying by", token)
        raise ValueError(f"{{token}} is no good")
"""


@pytest.fixture(autouse=True)
def _with_the_job(shop: ProjectFolder) -> None:
    shop.job("pay", JOB)


def test_no_command_shows_it(pinstripe: Command, process: Command) -> None:
    ran = process("run-background-job", "pay", "5", SECRET)
    enqueued = pinstripe("run-background-job", "pay", "5", "--param", f"token={SECRET}", "--enqueue", "--json")
    worked = process("start-worker", "--drain")
    said = [
        ran,
        enqueued,
        worked,
        pinstripe("run-background-job", "pay", "5", SECRET, "--dry-run"),
        pinstripe("run-background-job", "pay", "5", SECRET, "--dry-run", "--json"),
        pinstripe("run-background-job", "pay", "x", SECRET, SECRET),
        pinstripe("run-background-job", "pay", "--param", f"tokn={SECRET}"),
        pinstripe("show-run", "last"),
        pinstripe("show-run", "last", "--json"),
        pinstripe("list-runs"),
        pinstripe("list-runs", "--json"),
        pinstripe("retry-run", "last", "--enqueue", "--json"),
        pinstripe("list-background-jobs"),
        pinstripe("list-background-jobs", "pay", "--json"),
        pinstripe("show-schedule", "pay"),
        pinstripe("show-schedule", "pay", "--json"),
        pinstripe("status", "--json"),
        process("retry-run", "last", "--json"),
    ]
    for answer in said:
        assert SECRET not in answer.out + answer.err
    assert "paying by ***\n" in ran.out
    assert "ValueError: *** is no good" in worked.out + worked.err
    assert enqueued.json["kwargs"] == {"token": "***"}
    assert said[3].out.startswith('pay(5, "***") would run')
    assert said[4].json["args"] == [5, "***"]
    assert "arguments   5, token=" in said[7].out
    assert 'arguments  1, "***"' in said[14].out


def test_an_attribute_that_names_no_parameter_is_told(shop: ProjectFolder, pinstripe: Command) -> None:
    shop.job("pay", JOB.replace('redact = ["token"]', 'redact = ["tokens"]'))
    answer = pinstripe("run-background-job", "pay", "5", SECRET)
    assert answer.code == 2
    assert "line 4: redact: run has no parameter 'tokens'; did you mean 'token'?" in answer.err
