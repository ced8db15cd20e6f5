from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.commands.conftest import Command
    from tests.conftest import ProjectFolder


def test_one_execution_is_told_with_its_result(process: Command) -> None:
    answer = process("run-background-job", "hello")
    assert answer.code == 0
    first, second, third = answer.out.splitlines()
    assert first == "hello"
    assert second.startswith("hello succeeded in ")
    assert third == "Result: 5"
    assert answer.err == ""


def test_a_failing_tenant_stops_no_other_and_the_summary_tells_how_to_retry_it(process: Command) -> None:
    answer = process("run-background-job", "Greet")
    assert answer.code == 1
    lines = answer.out.splitlines()
    assert lines[:2] == ["acme | hello acme", "globex | hello globex"]
    assert lines[2].startswith("greet failed: 1 succeeded, 1 failed of 2 in ")
    short = lines[2].rpartition("(run ")[2].rstrip(")")
    assert lines[3:] == [
        "",
        "FAILED  ERROR",
        r"globex  ValueError: no \x1b[31maddress",
        "",
        f"See one:    pinstripe show-run {short} --tenant globex",
        f"Run again:  pinstripe retry-run {short}",
    ]


def test_the_only_execution_that_fails_is_told_with_its_traceback(pinstripe: Command) -> None:
    answer = pinstripe("run-background-job", "boom")
    assert answer.code == 1
    assert 'boom.py", line ' in answer.out
    assert r"ValueError: bad \x1b[2Jthing" in answer.out
    assert "\x1b" not in answer.out
    assert "Run again:  pinstripe retry-run " in answer.out


def test_json_is_one_run_and_nothing_else(process: Command) -> None:
    answer = process("run-background-job", "greet", "2", "--json")
    assert answer.code == 1
    run = answer.json
    assert list(run) == [
        *("id", "job", "status", "trigger", "args", "kwargs", "selecting", "retry_of", "parent", "scheduled_for"),
        *("error", "result", "created_at", "started_at", "finished_at", "executions", "failures"),
    ]
    assert run["executions"] == {
        "total": 2, "queued": 0, "running": 0, "succeeded": 1, "failed": 1, "cancelled": 0, "skipped": 0,
    }  # fmt: skip
    assert (run["job"], run["status"], run["trigger"], run["args"]) == ("greet", "failed", "cli", [2])
    assert [failure["tenant"] for failure in run["failures"]] == ["globex"]
    assert "acme | hello acme\n" in answer.err


def test_what_children_print_does_not_reach_the_json(shop: ProjectFolder, process: Command) -> None:
    shop.job(
        "shell",
        """
        import subprocess
        from pinstripe import BackgroundJob
        class Shell(BackgroundJob):
            async def run(self):
                subprocess.run(["echo", "from a child"], check=True)
        """,
    )
    answer = process("run-background-job", "shell", "--json", "--no-capture")
    assert answer.json["status"] == "succeeded"
    assert "from a child" in answer.err


@pytest.mark.parametrize(
    ("args", "times"),
    [
        (["greet", "-5"], -5),
        (["--name", "greet", "-5"], -5),
        (["greet", "--tenant", "acme", "-5"], -5),
        (["--tenant", "acme", "greet", "7"], 7),
        (["greet", "7", "--tenant", "acme"], 7),
        (["greet", "--param", "times=3"], 3),
        (["greet", "--param=times=3", "--tenant=acme"], 3),
        (["greet", "--tenant", "acme", "--", "4"], 4),
    ],
)
def test_options_and_arguments_are_told_apart(pinstripe: Command, args: list[str], times: int) -> None:
    answer = pinstripe("run-background-job", "--dry-run", "--json", *args)
    given = answer.json
    assert [*given["args"], *given["kwargs"].values()] == [times]


def test_after_two_dashes_everything_is_an_argument(shop: ProjectFolder, pinstripe: Command) -> None:
    shop.job(
        "say",
        """
        from pinstripe import BackgroundJob
        class Say(BackgroundJob):
            async def run(self, *words):
                return list(words)
        """,
    )
    answer = pinstripe("run-background-job", "say", "a", "--", "--json", "-x", "--")
    assert answer.out.splitlines()[-1] == 'Result: ["a", "--json", "-x", "--"]'


@pytest.mark.parametrize(
    ("args", "ids"),
    [
        ([], ["acme", "globex"]),
        (["--tenant", "globex"], ["globex"]),
        (["--tenant", "globex", "--tenant", "globex"], ["globex"]),
        (["--except", "globex"], ["acme"]),
        (["--where", "seats__ge=6"], ["globex"]),
        (["--where", "seats__ge=5", "--where", "plan=pro"], ["acme"]),
        (["--tenant", "initech", "--force"], ["initech"]),
    ],
)
def test_tenants_are_chosen_by_options(pinstripe: Command, args: list[str], ids: list[str]) -> None:
    answer = pinstripe("run-background-job", "greet", "--dry-run", "--json", *args)
    assert answer.code == 0
    assert answer.json == {"job": "greet", "args": [], "kwargs": {}, "total": len(ids), "tenants": ids}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "Missing argument 'NAME': which job?"),
        (["greeet"], "there is no background job 'greeet'; did you mean greet?"),
        (["greet", "many"], "greet(times: int = 1)"),
        (["greet", "--param", "time=1"], "greet(times: int = 1)"),
        (["greet", "--param", "times"], "expected NAME=VALUE"),
        (["greet", "--param", "times=1", "--param", "times=2"], "times is given twice"),
        (["greet", "--tenant", "nobody"], "unknown tenant 'nobody'"),
        (["greet", "--tenant", "initech"], "--force"),
        (["greet", "--tenant", ""], "expected a tenant's id, got an empty text"),
        (["greet", "--tenant", "acme", "--except", "acme"], "--tenant and --except both name 'acme'"),
        (["greet", "--tenant"], "Option '--tenant' requires an argument."),
        (["hello", "--tenant", "acme"], "hello is not multi-tenant"),
        (["greet", "--where", "plan"], "expected KEY=VALUE"),
        (["greet", "--where", "seats__gte=5"], "seats__ge"),
        (["greet", "--concurrency", "0"], "Invalid value for '--concurrency'"),
        (["greet", "--timeout", "30"], "Invalid value for '--timeout'"),
        (["greet", "-x"], "An argument that begins with a dash goes behind `--`"),
        (["greet", "--days", "5"], "one by name is --param NAME=VALUE"),
    ],
)
def test_wrong_usage_is_explained_and_runs_nothing(pinstripe: Command, args: list[str], message: str) -> None:
    answer = pinstripe("run-background-job", *args)
    assert answer.code == 2
    assert answer.out == ""
    assert message in answer.err
    assert "Error: " in answer.err
    assert "Traceback" not in answer.err
    assert pinstripe("list-runs", "--json").json == []


def test_nothing_ran_where_no_tenant_matched(pinstripe: Command) -> None:
    answer = pinstripe("run-background-job", "greet", "--where", "plan=none")
    assert answer.code == 3
    assert answer.out.startswith("greet: no tenant matched, nothing ran (run ")


def test_a_source_that_fails_fails_the_run(shop: ProjectFolder, pinstripe: Command) -> None:
    shop.file("shop.py", "def tenants():\n    yield {'id': 'acme', 'active': True}\n    raise OSError('gone')\n")
    answer = pinstripe("run-background-job", "greet")
    assert answer.code == 1
    assert answer.out.startswith("greet failed ")
    assert "OSError: gone" in answer.out + answer.err


def test_fail_fast_starts_no_more(pinstripe: Command) -> None:
    answer = pinstripe("run-background-job", "greet", "--where", "seats__ge=5", "--fail-fast", "--concurrency", "1")
    assert answer.code == 1
    run = pinstripe("show-run", "last", "--json").json
    assert run["executions"]["failed"] == 1


def test_a_timeout_is_each_executions(pinstripe: Command) -> None:
    answer = pinstripe("run-background-job", "wait", "--timeout", "50ms")
    assert answer.code == 1
    assert "2 failed of 2" in answer.out


def test_without_capture_no_log_is_kept(process: Command, pinstripe: Command) -> None:
    answer = process("run-background-job", "hello", "--no-capture")
    assert answer.out.startswith("hello\n")
    assert "OUTPUT" not in pinstripe("show-run", "last").out
    process("run-background-job", "hello")
    assert pinstripe("show-run", "last").out.endswith("OUTPUT\nhello\n")


def test_a_ledger_that_cannot_be_used_is_exit_code_4(shop: ProjectFolder, pinstripe: Command) -> None:
    shop.file(".pinstripe/ledger.db", "this is no database" * 1_000)
    answer = pinstripe("run-background-job", "hello")
    assert answer.code == 4
    assert answer.err.startswith("Error: ")
    assert "hello" not in answer.out


def test_a_reader_that_goes_away_does_not_stop_the_run(shop: ProjectFolder, process: Command) -> None:
    import subprocess
    import sys

    shop.job(
        "talk",
        """
        from pinstripe import BackgroundJob
        class Talk(BackgroundJob):
            async def run(self):
                for _ in range(20_000):
                    print("a line that nobody reads")
        """,
    )
    command = [sys.executable, "-m", "pinstripe", "run-background-job", "talk"]
    with subprocess.Popen(command, cwd=shop.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as started:
        assert started.stdout is not None
        assert started.stderr is not None
        started.stdout.readline()
        started.stdout.close()
        errors = started.stderr.read()
    assert started.returncode == 0
    assert errors == b""
    assert process("show-run", "last", "--json").json["status"] == "succeeded"
