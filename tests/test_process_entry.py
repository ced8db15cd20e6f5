from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import ProjectFolder

JOB = """
    import time

    from pinstripe import BackgroundJob


    class Hang(BackgroundJob):
        runs_in = "process"

        def run(self, line: str) -> None:
            # The end of this process is seen at the other end of the line, whatever ended it.
            with open(line, "w") as end:
                print("begun", file=end, flush=True)
                while True:
                    time.sleep(0.01)
"""

BLOCKING = """
    import re

    from pinstripe import BackgroundJob


    class Hang(BackgroundJob):
        runs_in = "process"

        def run(self, line: str) -> None:
            with open(line, "w") as end:
                print("begun", file=end, flush=True)
                # It takes ages, and no other thread of this process gets to run meanwhile.
                re.match("(a|a)*$", "a" * 100 + "b")
"""

PARENT = """
    import sys

    import pinstripe

    if __name__ == "__main__":
        with pinstripe.open_project() as project, project.workspace(tenant=None) as workspace:
            workspace.run_background_job("hang", sys.argv[1])
"""


@pytest.mark.parametrize(
    "job",
    [
        JOB,
        pytest.param(
            BLOCKING,
            marks=pytest.mark.skipif(sys.platform != "linux", reason="only its kernel kills a child by itself"),
        ),
    ],
    ids=["sleeping", "blocking"],
)
def test_a_child_does_not_outlive_its_parent(project_folder: ProjectFolder, job: str) -> None:
    project_folder.job("hang", job)
    script = project_folder.file("parent.py", PARENT)
    line = project_folder.path / "line"
    os.mkfifo(line)
    parent = subprocess.Popen([sys.executable, str(script), str(line)], cwd=project_folder.path)
    try:
        with line.open() as end:
            assert end.readline() == "begun\n"
            parent.send_signal(signal.SIGKILL)
            assert end.read() == ""  # which waits until nobody can write any more
    finally:
        parent.kill()
        parent.wait()
