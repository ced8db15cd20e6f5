from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.commands.conftest import Command
    from tests.conftest import ProjectFolder


def test_only_what_failed_runs_again_with_the_same_arguments(
    shop: ProjectFolder, pinstripe: Command, process: Command
) -> None:
    pinstripe("run-background-job", "greet", "2")
    first = pinstripe("list-runs", "--json").json[0]
    shop.file("mended", "")
    answer = process("retry-run", "last", "--json")
    assert answer.code == 0
    run = answer.json
    assert (run["trigger"], run["retry_of"], run["args"]) == ("retry", first["id"], [2])
    assert (run["executions"]["total"], run["executions"]["succeeded"]) == (1, 1)
    assert answer.err.count("hello globex") == 2
    assert "acme" not in answer.err


def test_nothing_to_retry_is_exit_code_3(pinstripe: Command) -> None:
    pinstripe("run-background-job", "hello")
    answer = pinstripe("retry-run", "last")
    assert (answer.code, answer.out) == (3, "")
    assert answer.err.startswith("Nothing to retry: ")
    assert pinstripe("retry-run", "last", "--skipped", "--json").out == ""


def test_the_line_that_retries_names_the_project(shop: ProjectFolder, pinstripe: Command) -> None:
    answer = pinstripe("run-background-job", "greet", "--project", str(shop.path))
    line = answer.out.splitlines()[-1]
    assert line.endswith(f" --project {shop.path}")
    shop.file("mended", "")
    assert pinstripe(*line.removeprefix("Run again:  pinstripe ").split()).code == 0


def test_an_unknown_run_is_exit_code_2(pinstripe: Command) -> None:
    assert pinstripe("retry-run", "last").code == 2
    pinstripe("run-background-job", "greet")
    assert pinstripe("retry-run", "ffffffff").code == 2
