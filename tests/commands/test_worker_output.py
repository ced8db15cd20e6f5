"""What jobs print in a worker."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from pinstripe.commands.worker_output import WorkerOutput

if TYPE_CHECKING:
    import pytest


def test_each_line_comes_after_its_job_and_tenant(capsys: pytest.CaptureFixture[str]) -> None:
    output = WorkerOutput()
    output.job_output("greet", "acme", "one\ntwo\n")
    output.job_output("sweep", None, "three\n")
    assert capsys.readouterr().out == "greet acme | one\ngreet acme | two\nsweep | three\n"


def test_a_reader_that_is_gone_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        output = WorkerOutput()
        os.close(reading)
        for line in ("one\n", "two\n"):
            output.job_output("greet", None, line)
