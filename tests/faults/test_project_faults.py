"""A project, a setting, a job's file, a service or an argument that is wrong: told with its place; others still run."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.conftest import Faulty

ALL = (("run-background-job", "innocent"), ("list-runs",), ("list-background-jobs",), ("check",), ("show-config",))


def test_no_project(project: Faulty, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    nowhere.mkdir()
    for command in ALL:
        answer = project(*command, "--project", str(nowhere))
        assert answer.code == 2, answer
        assert str(nowhere) in answer.err
        assert "pyproject.toml" in answer.err
        assert "generate-project" in answer.err
    assert list(nowhere.iterdir()) == []
    code = project.python(f"asyncio.run(pinstripe.open_project({str(nowhere)!r}).__aenter__())")
    assert "ConfigurationError" in code.err


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ('time_zon = "UTC"', ["time_zon", "time_zone", "pyproject.toml"]),
        ("time_zone = 3", ["time_zone", "3"]),
        ('time_zone = "Mars/Phobos"', ["time_zone", "Mars/Phobos"]),
        ("[tool.pinstripe.worker]\nconcurrency = 'many'", ["worker.concurrency", "'many'"]),
        ("[tool.pinstripe.worker]\nconcurrency = 0", ["worker.concurrency", "0"]),
        ("[tool.pinstripe.worker]\nshutdown_grace = 25", ["worker.shutdown_grace", "found 25", "'30s'"]),
        ("[tool.pinstripe.wroker]\nconcurrency = 3", ["wroker", "worker"]),
        ("retention = '7d'", ["retention", "'7d'"]),
        ("ledger = ", ["pyproject.toml", "line 2"]),
    ],
)
def test_a_wrong_setting(project: Faulty, settings: str, told: list[str]) -> None:
    project.folder.configure(settings + "\n")
    answer = project("run-background-job", "innocent")
    assert answer.code == 2, answer
    for part in told:
        assert part in answer.err
    assert "Traceback" not in answer.err
    assert not (project.path / ".pinstripe").exists()


def test_a_wrong_setting_in_the_environment(project: Faulty) -> None:
    answer = project("run-background-job", "innocent", PINSTRIPE_WORKER_CONCURRENCY="many")
    assert answer.code == 2, answer
    assert "PINSTRIPE_WORKER_CONCURRENCY" in answer.err
    assert "many" in answer.err
    answer = project("run-background-job", "innocent", PINSTRIPE_WORKER_CONCURENCY="3")
    assert answer.code == 2, answer
    assert "PINSTRIPE_WORKER_CONCURENCY" in answer.err
    assert "PINSTRIPE_WORKER_CONCURRENCY" in answer.err


def test_a_setup_that_fails(project: Faulty) -> None:
    project.folder.configure('setup = "boot:start"\n')
    project.folder.file("boot.py", "def start(): raise OSError('no database')\n")
    answer = project("run-background-job", "innocent")
    assert answer.code == 2
    assert "setting `setup`: boot:start raised OSError: no database" in answer.err
    assert project("check").code == 1
    assert project("list-runs").code == 0


BROKEN = {
    "a_syntax_error": ("class Job(BackgroundJob)\n    pass\n", ["line 4", "SyntaxError"]),
    "an_import_error": ("import no_such_module\n", ["line 4", "no_such_module"]),
    "a_raise": ("raise RuntimeError('at import')\n", ["RuntimeError: at import"]),
    "an_exit": ("sys.exit(9)\n", ["SystemExit"]),
    "no_job": ("x = 1\n", ["BackgroundJob"]),
    "two_jobs": (
        "class Job(BackgroundJob):\n    async def run(self): pass\nclass Two(Job):\n    pass\n",
        ["Job", "Two"],
    ),
    "an_unknown_service": (
        "class Job(BackgroundJob):\n    mailler: object\n    async def run(self): pass\n",
        ["mailler", "mailer"],
    ),
    "a_bad_schedule": (
        "class Job(BackgroundJob):\n    schedule = '61 * * * *'\n    async def run(self): pass\n",
        ["schedule", "61"],
    ),
    "a_timeout_in_a_thread": (
        "class Job(BackgroundJob):\n    timeout = '5s'\n    def run(self): pass\n",
        ["timeout", "runs_in = 'process'"],
    ),
}


@pytest.fixture(scope="module")
def broken(shared: Faulty) -> Faulty:
    """Give a project with one job file for each way to be wrong, beside those that are right."""
    shared.folder.service("mailer", "def mailer():\n    return 'mailer'\n")
    for name, (source, _) in BROKEN.items():
        shared.job(name, source)
    shared.job("twice", "class Job(BackgroundJob):\n    async def run(self): pass\n")
    shared.job("Twice", "class Job(BackgroundJob):\n    async def run(self): pass\n")
    return shared


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_job_file_breaks_only_itself(broken: Faulty, name: str) -> None:
    answer = broken("run-background-job", name)
    assert answer.code == 2, answer
    assert f"{name}.py" in answer.err
    for part in BROKEN[name][1]:
        assert part in answer.err
    assert not [run for run in broken.runs() if run["job"] == name]


def test_the_others_run_beside_broken_files(broken: Faulty) -> None:
    broken.works()


def test_check_and_list_show_every_broken_file(broken: Faulty) -> None:
    check = broken("check")
    listed = broken("list-background-jobs")
    assert (check.code, listed.code) == (1, 0)
    assert "innocent" in listed.out
    for name, (_, told) in BROKEN.items():
        for answer in (check, listed):
            assert f"{name}.py" in answer.out, answer.out
            assert told[-1] in answer.out


def test_two_files_with_one_name(broken: Faulty) -> None:
    answer = broken("run-background-job", "twice")
    assert answer.code == 2
    assert "twice.py" in answer.err
    assert "Twice.py" in answer.err


def test_an_unknown_job_and_its_nearest_names(project: Faulty) -> None:
    answer = project("run-background-job", "inocent")
    assert answer.code == 2
    assert "'inocent'" in answer.err
    assert "innocent" in answer.err.replace("'inocent'", "")
    assert project.runs() == []
    code = project.python(
        """
        async def main():
            async with pinstripe.open_project() as project:
                async with project.workspace() as workspace:
                    try:
                        await workspace.run_background_job("inocent")
                    except LookupError as error:
                        print(type(error).__name__)
        asyncio.run(main())
        """
    )
    assert code.out == "UnknownJob\n", code


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "times"),
        (["x"], "times"),
        (["3", "4", "5"], "times"),
        (["3", "--param", "tiems=4"], "tiems"),
        (["3", "--param", "times=4"], "times"),
        (["3", "--param", "flag=perhaps"], "flag"),
    ],
)
def test_wrong_arguments(project: Faulty, arguments: list[str], told: str) -> None:
    project.job(
        "counted",
        """
        class Counted(BackgroundJob):
            async def run(self, times: int, flag: bool = False):
                return times
        """,
    )
    answer = project("run-background-job", "counted", *arguments)
    assert answer.code == 2, answer
    assert told in answer.err
    assert "counted(times: int, flag: bool = False)" in answer.err
    assert project.runs() == []


def test_arguments_that_are_not_json(project: Faulty) -> None:
    project.job("taking", "class Taking(BackgroundJob):\n    async def run(self, thing):\n        return 1\n")
    code = project.python(
        """
        async def main():
            async with pinstripe.open_project() as project:
                async with project.workspace() as workspace:
                    for thing in (object(), float("nan"), {1: 2}, b"bytes"):
                        try:
                            await workspace.run_background_job("taking", thing)
                        except TypeError as error:
                            print(type(error).__name__, "taking(thing)" in str(error))
        asyncio.run(main())
        """
    )
    assert code.out.splitlines() == ["InvalidArguments True"] * 4, code
    assert project.runs() == []
    project.job(
        "listed", "class Listed(BackgroundJob):\n    async def run(self, ids: list[int]):\n        return ids\n"
    )
    for wrong in ("[1, ", '{"a": 1}', '["x"]'):
        answer = project("run-background-job", "listed", wrong)
        assert (answer.code, "ids" in answer.err) == (2, True), answer
    assert project("run-background-job", "listed", "[1, 2]", "--json").json["result"] == [1, 2]


SERVICES = {
    "closed": "def {0}():\n    raise OSError('no way in')\n",
    "stuck_open": "def {0}():\n    yield 'it'\n    raise OSError('no way out')\n",
    "silent": "def {0}():\n    return\n    yield\n",
    "chicken": "def {0}(egg):\n    return 1\n",
    "egg": "def {0}(chicken):\n    return 1\n",
    "misnamed": "def another():\n    return 1\n",
    "unreadable": "def {0}(:\n",
    "needy": "def {0}(nothing_like_it):\n    return 1\n",
}


@pytest.fixture(scope="module")
def with_services(broken: Faulty) -> Faulty:
    """Give the project a faulty service of each kind, and a job for each."""
    for name, source in SERVICES.items():
        broken.folder.service(name, source.format(name))
        broken.job(
            f"uses_{name}",
            f"class Uses(BackgroundJob):\n    {name}: object\n    mailer: object\n"
            "    async def run(self):\n        return self.mailer\n",
        )
    return broken


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("closed", "failed to open: OSError: no way in"),
        ("stuck_open", "service stuck_open failed to close: OSError: no way out"),
        ("silent", "expected its generator to yield the service once"),
    ],
)
def test_a_service_that_fails_to_open_or_close(with_services: Faulty, name: str, error: str) -> None:
    answer = with_services("run-background-job", f"uses_{name}", "--json")
    assert answer.code == 1, answer
    assert error in answer.json["failures"][0]["error"]
    assert with_services.show(answer.json["id"])["status"] == "failed"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("chicken", ["chicken", "egg"]),
        ("misnamed", ["misnamed.py"]),
        ("unreadable", ["unreadable.py", "line 1"]),
        ("needy", ["nothing_like_it", "needy.py"]),
    ],
)
def test_a_service_that_can_not_be(with_services: Faulty, name: str, told: list[str]) -> None:
    """It is found before anything runs; `check` finds it too."""
    answer = with_services("run-background-job", f"uses_{name}")
    assert answer.code == 2, answer
    for part in told:
        assert part in answer.err
    assert not [run for run in with_services.runs() if run["job"] == f"uses_{name}"]
    check = with_services("check").out
    for part in told:
        assert part in check


def test_the_others_run_beside_broken_services(with_services: Faulty) -> None:
    with_services.works()


def test_lib_ignored_by_git(project: Faulty) -> None:
    if shutil.which("git") is None:
        pytest.skip("there is no git here")
    subprocess.run(["git", "init", "--quiet", str(project.path)], check=True)
    (project.path / ".gitignore").write_text("lib/\n")
    check = project("check")
    assert check.code == 1
    assert "git ignores it by .gitignore:1:lib/" in check.out.replace(f"{project.path}/", ""), check
    generated = project("generate-background-job", "another")
    assert generated.code == 0
    assert "git ignores" in generated.out + generated.err
    assert (project.path / "lib/background_jobs/another.py").exists()
    inside = project("generate-project", "inside")
    assert inside.code == 0, inside
    assert "git ignores" in inside.out + inside.err
    project.works()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run-background-job"], "which job?"),
        (["run-background-jobs", "innocent"], "run-background-job"),
        (["run-background-job", "innocent", "--timeout", "5"], "'30s'"),
        (["run-background-job", "innocent", "--concurrency", "0"], "--concurrency"),
        (["run-background-job", "innocent", "--tenant", "acme"], "not multi-tenant"),
        (["run-background-job", "innocent", "--tenent", "acme"], "--tenant"),
        (["show-run", "nope"], "nothing has run yet"),
        (["retry-run", "nope"], "'nope' is not a run"),
        (["retry-run", "last"], "no run yet"),
        (["list-runs", "--status", "fialed"], "failed"),
        (["list-runs", "--since", "yesterday"], "yesterday"),
    ],
)
def test_wrong_usage(project: Faulty, arguments: list[str], told: str) -> None:
    answer = project(*arguments)
    assert answer.code == 2, answer
    assert told in answer.err
    assert "Traceback" not in answer.err
