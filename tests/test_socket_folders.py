from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pinstripe.socket_folders import NEW, SOCKET, make_folder, remove_dead
from tests.process_bench import bench

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import ProjectFolder

LISTEN = """
import os, signal, socket
from pinstripe.socket_folders import SOCKET, make_folder
folder = make_folder()
server = socket.socket(socket.AF_UNIX)
server.bind(os.path.join(folder, SOCKET))
server.listen(1)
print(folder, flush=True)
signal.pause()
"""


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give the folder in which they are made; a socket's path is short."""
    tmp_path_factory.getbasetemp()  # which is not to be in it
    with tempfile.TemporaryDirectory(prefix="t-") as name:
        monkeypatch.setenv("TMPDIR", name)
        monkeypatch.setattr(tempfile, "tempdir", None)
        yield Path(name)


@pytest.fixture
def listening() -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Give a process that listens in a folder of its own, with that."""
    with subprocess.Popen([sys.executable, "-c", LISTEN], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process, Path(process.stdout.readline().strip())
        process.kill()


def age(folder: Path) -> None:
    """Let a folder be old enough to be looked at."""
    before = folder.stat().st_mtime - 2 * NEW
    os.utime(folder, (before, before))


def listed(place: Path) -> list[Path]:
    return list(place.iterdir())


def dead_folder() -> Path:
    """Make what a killed process leaves."""
    folder = Path(make_folder())
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / SOCKET))
        server.listen(1)
    age(folder)
    return folder


def test_only_its_owner_may_enter_it(place: Path) -> None:
    folder = Path(make_folder())
    assert folder.parent == place
    assert folder.stat().st_mode & 0o777 == 0o700


def test_that_of_a_living_process_stays_until_it_is_killed(listening: tuple[subprocess.Popen[str], Path]) -> None:
    process, folder = listening
    age(folder)
    remove_dead()
    assert folder.exists()
    process.kill()
    process.wait()
    remove_dead()
    assert not folder.exists()


def test_that_of_a_process_that_has_all_its_calls_waiting_stays(place: Path) -> None:
    folder = Path(make_folder())
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / SOCKET))
        server.listen(0)
        age(folder)
        for _ in range(3):  # nobody accepts them
            remove_dead()
        assert (folder / SOCKET).exists()


def test_one_that_may_not_listen_yet_stays(place: Path) -> None:
    folder = dead_folder()
    os.utime(folder)
    remove_dead()
    assert (folder / SOCKET).exists()


def test_what_looks_like_one_stays(place: Path) -> None:
    model = dead_folder()
    remove_dead()
    named = [model.with_name(f"{model.name}{number}") for number in range(4)]
    named[0].mkdir()
    (named[1]).mkdir()
    (named[1] / SOCKET).write_text("a file")
    named[2].write_text("not even a folder")
    foreign = dead_folder().rename(place / "pinstripe-elsewhere-x")
    named[3].symlink_to(foreign)
    for folder in (*named[:2], foreign):
        age(folder)
    remove_dead()
    assert all(path.exists() for path in (*named, named[1] / SOCKET, foreign / SOCKET))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_that_of_another_user_stays(place: Path) -> None:
    folder = dead_folder()
    os.chown(folder, 65_534, 65_534)
    remove_dead()
    assert (folder / SOCKET).exists()


@pytest.mark.anyio
async def test_who_starts_processes_removes_them_and_its_own_at_its_end(
    project_folder: ProjectFolder, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = dead_folder()
    project_folder.job(
        "crunch",
        """
        from pinstripe import BackgroundJob


        class Crunch(BackgroundJob):
            runs_in = "process"

            def run(self):
                return 5
        """,
    )
    async with bench(project_folder, monkeypatch) as one:
        assert (await one.execute(tenant=None)).value == 5
        assert not left.exists()
    assert listed(place) == []
