"""A job's schedules, held against one another, the project's zone, and what `run` takes."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.config import find_project, load_settings
from pinstripe.definition import BrokenJob, Definition
from pinstripe.project import Project

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import ProjectFolder


@pytest.fixture
def load(project_folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Definition | BrokenJob]:
    """Load a job whose class has this `schedule` on its second line, and whose `run` takes these parameters."""
    project_folder.configure('time_zone = "Europe/Paris"')
    monkeypatch.syspath_prepend(project_folder.path)

    def load_it(schedule: str, parameters: str = "") -> Any:
        project_folder.job(
            "the_job",
            "from pinstripe import BackgroundJob, Schedule\nclass Job(BackgroundJob):\n"
            f"    schedule = {schedule}\n    async def run(self, {parameters}): ...\n",
        )
        project = Project(load_settings(find_project(project_folder.path)))
        (found,) = project.registry.load_all()
        return found

    return load_it


@pytest.mark.parametrize(
    ("schedule", "reason"),
    [
        ("['@daily', '0 0 * * *']", "schedule: two schedules of one job are the same: '0 0 * * *' in"),
        ("['@daily', Schedule('@daily', time_zone='Europe/Paris')]", "schedule: two schedules of one job are the same"),
        ("[Schedule('@daily', name='a'), Schedule('@weekly', name='a')]", "schedule: two schedules of one job have"),
    ],
)
def test_two_that_nothing_tells_apart_are_refused(load: Callable[..., BrokenJob], schedule: str, reason: str) -> None:
    broken = load(schedule)
    assert (broken.line, broken.reason.partition(reason)[0]) == (3, "")


def test_what_differs_in_anything_is_there_twice(load: Callable[..., Definition]) -> None:
    others = ("time_zone='Asia/Tokyo'", "name='a'", "args=(1,)")
    lines = ", ".join(["'@daily'", *(f"Schedule('@daily', {other})" for other in others)])
    assert len(load(f"[{lines}]", "number=0").schedules) == 4


@pytest.mark.parametrize(
    ("schedule", "parameters", "reason"),
    [
        ("'@daily'", "number: int", "schedule: what '0 0 * * *' gives to run: … the_job(number: int): number: missing"),
        ("'@daily'", "*, number: int", "number: missing"),
        ("Schedule('@daily', name='late')", "number", "schedule: what 'late' gives to run: …: number: missing"),
        ("Schedule('@daily', args=(1,))", "", "the_job(): argument 1 is surplus"),
        ("Schedule('@daily', args=('one',))", "number: int = 5", "the_job(number: int = 5): number: expected …'one'"),
        ("Schedule('@daily', kwargs={'nummer': 1})", "number=5", "nummer: there is no such argument … number?"),
        ("Schedule('@daily', args=(1,), kwargs={'number': 1})", "number=5", "number: given twice"),
        ("['@hourly', Schedule('@daily', args=(1, 2))]", "number=5", "what '0 0 * * *' gives to run: …"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_with_the_signature(
    load: Callable[..., BrokenJob], schedule: str, parameters: str, reason: str
) -> None:
    broken = load(schedule, parameters)
    assert isinstance(broken, BrokenJob)
    assert broken.line == 3
    assert all(part in broken.reason for part in reason.split("…"))


@pytest.mark.parametrize(
    ("schedule", "parameters"),
    [
        ("'@daily'", ""),
        ("'@daily'", "number: int = 5, *more, **others"),
        ("Schedule('@daily', args=(1,), kwargs={'name': 'x'})", "number: int, *, name: str"),
        ("Schedule('@daily', args=('1.50',))", "price: __import__('decimal').Decimal"),
        ("Schedule('@daily', args=(1, 2, 3), kwargs={'name': 'x'})", "*numbers: int, **others: str"),
    ],
)
def test_arguments_that_fit_are_kept_as_they_are(
    load: Callable[..., Definition], schedule: str, parameters: str
) -> None:
    found = load(schedule, parameters)
    assert isinstance(found, Definition)


def test_check_tells_of_arguments_that_do_not_fit(
    load: Callable[..., BrokenJob], project_folder: ProjectFolder
) -> None:
    load("'@daily'", "number")
    command = [sys.executable, "-m", "pinstripe", "check"]
    done = subprocess.run(command, cwd=project_folder.path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "the_job.py:3" in done.stdout
    assert "number: missing" in done.stdout


def test_a_job_that_needs_nothing_is_checked_without_what_reads_arguments(project_folder: ProjectFolder) -> None:
    project_folder.job(
        "the_job",
        "import datetime\nfrom pinstripe import BackgroundJob\nclass Job(BackgroundJob):\n    schedule = '@daily'\n"
        "    async def run(self, day: datetime.date | None = None): ...\n",
    )
    program = """
import sys
sys.path.insert(0, ".")
from pinstripe.config import find_project, load_settings
from pinstripe.project import Project
found, = Project(load_settings(find_project())).registry.load_all()
print(found.name, "pydantic" in sys.modules)
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=project_folder.path, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "the_job False\n"
