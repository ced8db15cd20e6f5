"""The project that is measured: jobs that do nothing, and a source that makes up tenants one by one."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FILES = {
    "pyproject.toml": """\
        [tool.pinstripe]
        [tool.pinstripe.tenants]
        source = "many_tenants:tenants"
        """,
    "many_tenants.py": """\
        import os
        from collections.abc import Iterator


        def tenants() -> Iterator[str]:
            for number in range(int(os.environ.get("TENANTS", "1000"))):
                yield f"tenant-{number:07d}"
        """,
    "lib/background_jobs/once.py": """\
        from pinstripe import BackgroundJob


        class Once(BackgroundJob):
            multi_tenant = False

            async def run(self):
                pass
        """,
    "lib/background_jobs/each.py": """\
        from pinstripe import BackgroundJob


        class Each(BackgroundJob):
            multi_tenant = True

            async def run(self):
                pass
        """,
    "lib/background_jobs/nest.py": """\
        import os

        from pinstripe import BackgroundJob


        class Nest(BackgroundJob):
            multi_tenant = False

            async def run(self):
                for _ in range(int(os.environ["CALLS"])):
                    await self.run_background_job("once")
        """,
    "lib/background_jobs/stamp.py": """\
        from evidence import note
        from pinstripe import BackgroundJob


        class Stamp(BackgroundJob):
            multi_tenant = False

            async def run(self, number: int):
                note(number)
        """,
    "lib/background_jobs/stamp_each.py": """\
        from evidence import note
        from pinstripe import BackgroundJob


        class StampEach(BackgroundJob):
            multi_tenant = True

            async def run(self):
                note(0)
        """,
    "lib/background_jobs/compute.py": """\
        import time

        from evidence import note
        from pinstripe import BackgroundJob


        class Compute(BackgroundJob):
            multi_tenant = False

            async def run(self, number: int):
                note(number)
                until = time.thread_time() + 0.002
                while time.thread_time() < until:
                    pass
        """,
    "lib/background_jobs/talk.py": """\
        from pinstripe import BackgroundJob


        class Talk(BackgroundJob):
            multi_tenant = True

            async def run(self):
                for _ in range(256):
                    print("a line of output that is sixty-three bytes long, and a line end")
        """,
}


@contextmanager
def project() -> Iterator[Path]:
    """Make the project in a new folder, which is removed afterwards; it is where `TMPDIR` says."""
    folder = Path(tempfile.mkdtemp(prefix="pinstripe-benchmark-"))
    try:
        for name, text in FILES.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(line.removeprefix(" " * 8) for line in text.splitlines(keepends=True)), "utf-8")
        shutil.copy(Path(__file__).with_name("evidence.py"), folder)  # what jobs note their times by
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def memory_folder() -> str | None:
    """Give the folder that is in memory, for what is measured by it rather than of it; None where there is none."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK | os.X_OK) else None


def forget_runs(folder: Path) -> None:
    """Remove the project's ledger, so that the next run begins with none."""
    shutil.rmtree(folder / ".pinstripe", ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Spent:
    """What a process has cost: seconds from its start to its end, and the most memory that it held, in MiB."""

    seconds: float
    memory: float


def spend(command: Sequence[str], folder: Path, **environment: str) -> Spent:
    """Run a command to its end in `folder` and tell what it cost; raises RuntimeError where it fails."""
    variables = {**os.environ, **environment}
    variables.pop("PYTHONDONTWRITEBYTECODE", None)  # users' bytecode is compiled once, when they install
    output = os.open(folder / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    before = Path.cwd()
    os.chdir(folder)
    try:
        began = time.perf_counter()
        files = [(os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, output, 2)]
        process = os.posix_spawn(command[0], list(command), variables, file_actions=files)
        _, status, usage = os.wait4(process, 0)
        seconds = time.perf_counter() - began
    finally:
        os.chdir(before)
        os.close(output)
    if status != 0:
        text = (folder / "output.txt").read_text("utf-8", errors="replace")
        message = f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}:\n{text}"
        raise RuntimeError(message)
    unit = 2**20 if sys.platform == "darwin" else 2**10  # getrusage(2): bytes there, kilobytes here
    return Spent(seconds, usage.ru_maxrss / unit)


def pinstripe(*arguments: str) -> list[str]:
    """Give the command line of `pinstripe`, as it is installed beside this Python."""
    script = Path(sys.executable).with_name("pinstripe")
    return (
        [sys.executable, str(script), *arguments]
        if script.exists()
        else [sys.executable, "-m", "pinstripe", *arguments]
    )


def python(code: str) -> list[str]:
    """Give the command line of this Python with a program in one line."""
    return [sys.executable, "-c", code]
