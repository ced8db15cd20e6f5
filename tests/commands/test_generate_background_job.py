from __future__ import annotations

import shlex
import subprocess
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from pinstripe.background_job import BackgroundJob
from pinstripe.commands.generate_background_job import command

if TYPE_CHECKING:
    from click.testing import Result

    from tests.conftest import ProjectFolder


@pytest.fixture(autouse=True)
def _in_the_project(project_folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project_folder.path)
    monkeypatch.syspath_prepend(str(project_folder.path))


def generate(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


def load(module: str, name: str) -> Any:
    job_class = getattr(import_module(f"lib.background_jobs.{module}"), name)
    assert issubclass(job_class, BackgroundJob)
    return job_class


def test_a_plain_job(project_folder: ProjectFolder) -> None:
    result = generate("Cleanup-OldData")
    path = project_folder.path / "lib" / "background_jobs" / "cleanup_old_data.py"
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [f"Wrote {path}", "Run it:  pinstripe run-background-job cleanup_old_data"]
    assert path.is_file()
    job_class = load("cleanup_old_data", "CleanupOldData")
    assert (job_class.schedule, job_class.multi_tenant) == (None, None)


def test_a_job_with_everything(project_folder: ProjectFolder) -> None:
    result = generate("billing/CloseMonth", "--schedule", "0  9 * * MON", "--multi-tenant")
    assert result.exit_code == 0
    assert "[tool.pinstripe.tenants]" in result.stdout
    job_class = load("billing.close_month", "CloseMonth")
    assert (job_class.schedule, job_class.multi_tenant) == ("0 9 * * MON", True)


@pytest.mark.parametrize("name", ["3_days", "billing/2nd_reminder"])
def test_a_name_that_can_not_be_imported_is_refused(name: str, project_folder: ProjectFolder) -> None:
    result = generate(name)
    assert result.exit_code == 2
    assert "expected a letter first" in result.stderr
    assert not list(project_folder.path.rglob(f"{name}.py"))


def test_where_tenants_are_known_nobody_asks_for_them(project_folder: ProjectFolder) -> None:
    project_folder.configure("tenants.source = 'shop.tenancy:tenants'")
    assert "[tool.pinstripe.tenants]" not in generate("close_month", "--multi-tenant").stdout


def test_jobs_go_where_the_settings_say(project_folder: ProjectFolder) -> None:
    project_folder.configure("background_jobs = 'jobs'")
    assert generate("purge").exit_code == 0
    assert (project_folder.path / "jobs" / "purge.py").is_file()


@pytest.mark.parametrize(
    "options",
    [(), ("--schedule", "@daily"), ("--multi-tenant",), ("--schedule", "5 4 * * *", "--multi-tenant")],
    ids=str,
)
def test_what_is_written_is_clean(project_folder: ProjectFolder, options: tuple[str, ...]) -> None:
    assert generate("a_rather_long_name_of_a_job", *options).exit_code == 0
    path = project_folder.path / "lib" / "background_jobs" / "a_rather_long_name_of_a_job.py"
    for check in (
        ["check", "--select=ALL", "--ignore=D100,D102,INP001,D203,D213,COM812,CPY001,FA102"],
        ["format", "--check"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *check, "--isolated", "--line-length=120", "--target-version=py311", path],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


def test_nothing_is_overwritten(project_folder: ProjectFolder) -> None:
    path = project_folder.job("close_month", "# mine")
    result = generate("CloseMonth")
    assert result.exit_code == 1
    assert f"{path} exists already" in result.stderr
    assert path.read_text() == "# mine"


def test_a_name_in_another_spelling_is_taken(project_folder: ProjectFolder) -> None:
    path = project_folder.job("Close-Month", "# mine")
    result = generate("close_month")
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"{path} is the job 'close_month' already" in result.stderr


@pytest.mark.parametrize(("there", "new"), [("billing", "billing/close_month"), ("billing/close_month", "billing")])
def test_a_file_and_a_folder_of_one_name_are_refused(project_folder: ProjectFolder, there: str, new: str) -> None:
    project_folder.job(there, "# mine")
    result = generate(new)
    assert result.exit_code == 1
    assert "can't both be imported" in result.stderr


def test_files_that_are_no_jobs_are_in_nobodys_way(project_folder: ProjectFolder) -> None:
    project_folder.job("_purge", "# not a job")
    project_folder.job("_shared/purge", "# not a job")
    project_folder.job("-", "# not a job")
    assert generate("purge").exit_code == 0


@pytest.mark.parametrize("name", ["", "--", "../x", "a//b"])
def test_a_name_of_nothing_is_refused(name: str) -> None:
    result = generate("--", name)
    assert result.exit_code == 2
    assert "Invalid value for NAME: expected a job name such as 'send_newsletter'" in result.stderr


def test_a_bad_schedule_is_refused_before_anything_is_written(project_folder: ProjectFolder) -> None:
    result = generate("purge", "--schedule", "60 * * * *")
    assert result.exit_code == 2
    assert "Invalid value for --schedule: cron line '60 * * * *': minute is '60'" in result.stderr
    assert list((project_folder.path / "lib" / "background_jobs").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_said_so(project_folder: ProjectFolder) -> None:
    project_folder.file("lib/background_jobs/billing", "a file without a suffix")
    result = generate("billing/close_month")
    assert result.exit_code == 1
    assert "can't be written: " in result.stderr


def test_git_ignoring_the_new_file_is_warned_of(project_folder: ProjectFolder) -> None:
    subprocess.run(["git", "init", "--quiet", project_folder.path], check=True)
    project_folder.file(".gitignore", "lib/\n")
    result = generate("purge")
    assert result.exit_code == 0
    assert "Warning: git ignores purge.py (.gitignore:1:lib/)" in result.stderr
    remedy = result.stderr.rpartition(": ")[2]
    subprocess.run(shlex.split(remedy), cwd=project_folder.path, check=True)
    kept = subprocess.run(["git", "ls-files"], cwd=project_folder.path, check=True, capture_output=True, text=True)
    assert kept.stdout == "lib/background_jobs/purge.py\n"


def test_help_has_an_example() -> None:
    assert "pinstripe generate-background-job billing/close_month --multi-tenant" in generate("--help").stdout
