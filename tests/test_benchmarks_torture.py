"""The verdict on a torture finds what is wrong: a sound project has no violation, and each harm done to it is one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import apsw
import pytest
from benchmarks.torture import jobs
from benchmarks.torture.__main__ import main
from benchmarks.torture.load import Enqueued
from benchmarks.torture.reading import SQLite
from benchmarks.torture.verdict import read_notes, repeated, unfinished, violations

if TYPE_CHECKING:
    from pathlib import Path

TENANTS = 20

PROGRAM = """
import asyncio, json, os
import pinstripe

async def main():
    async with pinstripe.open_project() as project, project.workspace(tenant=None) as workspace:
        runs = [await workspace.enqueue_background_job(job) for job in ("good", "raises")]
        runs += await workspace.enqueue_background_jobs("single", [(number,) for number in range(3)])
        await project.worker().work(drain=True)
        by_hand = await workspace.options(tenants=["tenant-00001"]).run_background_job("by_hand")
    print(json.dumps([[[run.id, run.job] for run in runs], by_hand.id]))

asyncio.run(main())
"""


class Tortured:
    """A project that has executed a few runs, with what it noted."""

    def __init__(self, folder: Path, enqueued: list[Enqueued], by_hand: list[str]) -> None:
        self.ledger = folder / ".pinstripe" / "ledger.db"
        self.notes = folder / "notes.txt"
        self.enqueued = enqueued
        self.by_hand = by_hand

    def violations(self) -> list[str]:
        """The verdict on it, each without its details."""
        found = violations(SQLite(self.ledger), read_notes(self.notes), self.enqueued, self.by_hand)
        return sorted(each.partition(" (")[0] for each in found)

    def write(self, statement: str) -> None:
        """Do harm to the ledger."""
        connection = apsw.Connection(str(self.ledger))
        connection.execute(statement)
        assert connection.changes() == 1
        connection.close()

    def key(self, job: str) -> str:
        """Give the key of an execution of the job."""
        connection = apsw.Connection(str(self.ledger))
        found = connection.execute(
            "select r.id || '/' || e.tenant from executions e join runs r on r.n = e.run where e.job = ? limit 1",
            (job,),
        ).fetchall()
        connection.close()
        return str(found[0][0])

    def note(self, line: str) -> None:
        """Add a line to what was noted."""
        with self.notes.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Enqueued], list[str]]:
    """A project whose runs went as they should; it is made once and copied for each harm."""
    folder = tmp_path_factory.mktemp("torture") / "sound"
    jobs.make(folder, tenants=TENANTS, lease=1)
    (folder / "notes.txt").touch()
    variables = {**os.environ, jobs.VARIABLE: str(folder / "notes.txt"), "TORTURE_PAUSE": "0", "TORTURE_LEASE": "1"}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    runs, by_hand = json.loads(done.stdout.splitlines()[-1])  # what the worker says stands before it
    return folder, [Enqueued(id_, job, 1 if job == "single" else TENANTS) for id_, job in runs], [by_hand]


@pytest.fixture
def tortured(sound: tuple[Path, list[Enqueued], list[str]], tmp_path: Path) -> Tortured:
    folder, enqueued, by_hand = sound
    return Tortured(shutil.copytree(folder, tmp_path / "copy"), [*enqueued], [*by_hand])


def test_what_went_as_it_should_is_no_violation(tortured: Tortured) -> None:
    assert tortured.violations() == []
    assert unfinished(SQLite(tortured.ledger)) == 0
    assert repeated(read_notes(tortured.notes)) == (0, 0)


def test_a_run_that_is_gone_is_lost(tortured: Tortured) -> None:
    tortured.enqueued.append(Enqueued("0199", "good", 1))
    tortured.by_hand.append("0198")
    assert tortured.violations() == ["lost"]


HARMS = {
    "delete from executions where id = (select min(id) from executions where job = 'good')": ["lost", "miscounted"],
    "update runs set succeeded = succeeded + 1 where job = 'by_hand'": ["miscounted"],
    "update runs set open = 1, finished_at = null, state = 'running' where job = 'good'": ["miscounted", "unfinished"],
    "update executions set crashes = 1 where id = (select min(id) from executions where job = 'good')": ["blamed"],
    "update executions set epoch = 9 where id = (select min(id) from executions where job = 'good')": [
        "succeeded without an end"
    ],
    "insert into slots(execution, job, tenant) values (1, 'good', '')": ["left in the queue"],
}


@pytest.mark.parametrize("harm", HARMS)
def test_harm_to_the_ledger_is_found(tortured: Tortured, harm: str) -> None:
    tortured.write(harm)
    assert tortured.violations() == HARMS[harm]


def test_another_end_than_the_jobs_is_found(tortured: Tortured) -> None:
    tortured.write("update executions set state = 'failed' where job = 'by_hand'")
    tortured.write("update runs set succeeded = 0, failed = 1, state = 'failed' where job = 'by_hand'")
    assert tortured.violations() == ["by_hand is failed"]


def test_a_start_that_should_not_have_been_is_found(tortured: Tortured) -> None:
    tortured.note(f"start {tortured.key('good')} 1 1")
    assert tortured.violations() == ["one fence twice"]
    tortured.note(f"start {tortured.key('raises')} 2 1")
    tortured.note(f"start {tortured.key('by_hand')} 2 1")
    assert tortured.violations() == ["by hand", "one fence twice", "started after its end"]
    assert repeated(read_notes(tortured.notes)) == (3, 1)


def test_what_the_command_may_be_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "--times TIMES" in capsys.readouterr().out
