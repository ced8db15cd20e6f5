"""`--log-format json`: every line of standard error is one JSON object, of commands, jobs and what they start."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.commands.conftest import Command
    from tests.conftest import ProjectFolder

JOB = """
    import logging
    import os
    from pinstripe import BackgroundJob

    class Noisy(BackgroundJob):
        '''Say a lot.'''
        runs_in = {where}
        redact = ("word",)
        multi_tenant = True

        def run(self, word):
            print("printed\\x1b[31m")
            print("{{\\"not\\": \\"a line\\"}}")
            self.logger.info("logged %s\\nagain", word, extra={{"order": 5}})
            logging.getLogger("shop").warning("from the shop")
            raise ValueError("no postgresql://me:s3cret@db/shop for " + word)
    """

FIELDS = ["time", "level", "logger", "message"]


def lines(text: str) -> list[dict[str, Any]]:
    """Read lines, of which each must be an object with the fields that all have."""
    read = [json.loads(line) for line in text.splitlines()]
    assert all(list(line)[:4] == FIELDS and {"host", "pid"} <= set(line) for line in read)
    return read


def by(read: list[dict[str, Any]], logger: str) -> list[dict[str, Any]]:
    return [line for line in read if line["logger"] == logger]


@pytest.mark.parametrize("where", ["None", '"process"'], ids=["thread", "process"])
def test_all_that_a_worker_shows_is_json(process: Command, shop: ProjectFolder, where: str) -> None:
    shop.job("noisy", JOB.format(where=where))
    assert process("run-background-job", "noisy", "open-sesame", "--tenant", "acme", "--enqueue").code == 0
    answer = process("start-worker", "--drain", "--log-format", "json")
    assert (answer.code, answer.out) == (0, "")
    read = lines(answer.err)
    (run,) = process("list-runs", "--json").json
    told = {"job": "noisy", "run": run["id"], "tenant": "acme", "attempt": 1}
    printed = by(read, "pinstripe.output")
    assert [line["message"] for line in printed] == ["printed\x1b[31m", '{"not": "a line"}']
    (logged,) = by(read, "pinstripe.jobs.noisy")
    assert (logged["level"], logged["message"], logged["extra"]) == ("INFO", "logged ***\nagain", {"order": 5})
    (others,) = by(read, "shop")
    (failed,) = by(read, "pinstripe")
    assert failed["level"] == "WARNING"
    assert failed["exception"]["type"] == "ValueError"
    assert failed["exception"]["message"] == "no postgresql://me:***@db/shop for ***"
    assert "in run" in failed["exception"]["stack"]
    for line in (*printed, logged, others, failed):
        assert told.items() <= line.items()
    begun = by(read, "stdout")[0]
    assert (begun["level"], begun["message"][:10]) == ("INFO", "Working on")
    assert "s3cret" not in answer.err
    assert "open-sesame" not in answer.err
    kept = process("show-run", "last", "--tenant", "acme").out
    assert "INFO pinstripe.jobs.noisy: logged ***" in kept
    assert kept.count("printed") == 1


def configure(shop: ProjectFolder, settings: str) -> None:
    """Put settings to those of the shop."""
    file = shop.path / "pyproject.toml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("[tool.pinstripe]\n", f"[tool.pinstripe]\n{settings}\n", 1), encoding="utf-8")


def test_what_is_run_by_hand_is_for_people_whatever_is_set(process: Command, shop: ProjectFolder) -> None:
    configure(shop, 'log_format = "json"')
    assert process("run-background-job", "hello").out.startswith("hello\n")
    lines(process("start-worker", "--drain").err)
    assert process("start-worker", "--drain", "--log-format", "text").out.startswith("Working on")


def test_what_is_wrong_with_a_file_is_a_line_too(process: Command, shop: ProjectFolder) -> None:
    shop.job("broken", "import nothing_of_that_name\n")
    read = lines(process("start-worker", "--drain", "--log-format", "json").err)
    (told,) = by(read, "stderr")
    assert told["level"] == "WARNING"
    assert "nothing_of_that_name" in told["message"]


def test_how_a_command_fails_is_a_line_too(process: Command, shop: ProjectFolder) -> None:
    shop.file("pyproject.toml", '[tool.pinstripe]\nsetup = "nothing_of_that_name:setup"\n')
    answer = process("start-worker", "--drain", "--log-format", "json")
    assert answer.code == 2
    (told,) = lines(answer.err)
    assert (told["level"], told["message"][:15]) == ("ERROR", "setting `setup`")


@pytest.mark.parametrize("command", ["start-worker", "start-server"])
def test_processes_and_signals_speak_json_too(shop: ProjectFolder, command: str) -> None:
    words = ["--processes", "2", "--log-format", "json"]
    words += ["--host", "127.0.0.1:0"] if command == "start-server" else []
    shop.job("noisy", JOB.format(where="None"))
    enqueue = [sys.executable, "-m", "pinstripe", "run-background-job", "noisy", "open-sesame", "--enqueue"]
    subprocess.run(enqueue, cwd=shop.path, check=True, capture_output=True, timeout=60)
    started = [sys.executable, "-m", "pinstripe", command, *words]
    with subprocess.Popen(started, cwd=shop.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        read: list[dict[str, Any]] = []
        while not any(line["logger"] == "pinstripe" and "failed" in line["message"] for line in read):
            read += lines(process.stderr.readline())
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (143, "")
    read += lines(err)
    stopped = [line for line in read if line["message"].startswith("Stopping: ")]
    assert [(line["level"], line["pid"]) for line in stopped] == [("INFO", process.pid)]
    assert {line["pid"] for line in read if line["logger"] == "pinstripe.jobs.noisy"}.isdisjoint({process.pid})


CONFIGURES = """
    import logging

    def setup():
        logging.basicConfig(format="%(levelname)s: %(message)s", level="INFO")
    """


def test_a_logging_that_the_application_has_set_up_is_left_alone(process: Command, shop: ProjectFolder) -> None:
    shop.file("boot.py", CONFIGURES)
    configure(shop, 'setup = "boot:setup"\nlog_format = "json"')
    shop.job("noisy", JOB.format(where="None"))
    process("run-background-job", "noisy", "open-sesame", "--tenant", "acme", "--enqueue")
    answer = process("start-worker", "--drain")
    told = answer.err.splitlines()
    assert any(line.startswith("WARNING: noisy for tenant acme failed") for line in told)
    read = lines("\n".join(line for line in told if line.startswith("{")))
    messages = [line["message"] for line in by(read, "pinstripe.output")]
    assert "INFO: logged ***" in messages  # as its handler writes to a job's output, so that is shown and kept
    assert "INFO: logged ***" in process("show-run", "last", "--tenant", "acme").out
