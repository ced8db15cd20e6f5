from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from pinstripe.config import load_settings
from pinstripe.server import watching as watching_module
from pinstripe.server.watching import Watched

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Find soon what changed before the system had begun to watch."""
    monkeypatch.setattr(watching_module, "LOOK_EVERY", 200)


def files(folder: ProjectFolder) -> list[str]:
    return sorted(Watched(load_settings(folder.path)).look().files)


@asynccontextmanager
async def watching(folder: ProjectFolder) -> AsyncIterator[asyncio.Queue[set[str]]]:
    changes: asyncio.Queue[set[str]] = asyncio.Queue()
    stopped = asyncio.Event()
    watched = Watched(load_settings(folder.path))
    task = asyncio.create_task(watched.watch(changes.put_nowait, stopped, watched.look()))
    try:
        yield changes
    finally:
        stopped.set()
        await task


async def expect(changes: asyncio.Queue[set[str]], *names: str) -> None:
    """Wait until these have changed, and nothing else."""
    seen: set[str] = set()
    while not seen >= set(names):
        seen |= await asyncio.wait_for(changes.get(), 30)
    assert seen == set(names)


async def test_python_files_and_the_settings_count_and_nothing_else(project_folder: ProjectFolder) -> None:
    project_folder.job("hello", "")
    for name in ("web.py", "shop/models.py", "shop/pyproject.toml", "shop/style.css", "README.md"):
        project_folder.file(name, "")
    for folder in (".venv", ".git", "__pycache__", "node_modules", "shop/node_modules/x", "shop/.hidden"):
        project_folder.file(f"{folder}/code.py", "")
    project_folder.file("env/pyvenv.cfg", "")
    project_folder.file("env/lib/code.py", "")
    assert files(project_folder) == ["lib/background_jobs/hello.py", "pyproject.toml", "shop/models.py", "web.py"]


@pytest.mark.parametrize(
    ("ledger", "seen"),
    [
        ("data/ledger.db", []),  # its folder is left out
        ("ledger.db", ["data/x/code.py"]),  # that would be the project
        ("shop/ledger.db", ["data/x/code.py"]),  # there is code beside it
    ],
)
async def test_the_ledger_s_folder_does_not_count_unless_code_is_there(
    project_folder: ProjectFolder, ledger: str, seen: list[str]
) -> None:
    project_folder.configure(f"ledger = 'sqlite:///{ledger}'")
    project_folder.file("data/x/code.py", "")
    project_folder.file("shop/code.py", "")
    project_folder.file(f"{ledger}-owners/code.py", "")
    assert files(project_folder) == [*seen, "pyproject.toml", "shop/code.py"]


async def test_a_file_that_is_changed_added_or_removed_is_told(project_folder: ProjectFolder) -> None:
    path = project_folder.file("web.py", "x = 1\n")
    async with watching(project_folder) as changes:
        path.write_text("x = 22\n")
        await expect(changes, "web.py")
        project_folder.job("new", "")
        await expect(changes, "lib/background_jobs/new.py")
        path.unlink()
        await expect(changes, "web.py")
        project_folder.file("notes.txt", "nothing of it")
        project_folder.configure("time_zone = 'Europe/Paris'")
        await expect(changes, "pyproject.toml")


async def test_a_new_folder_is_watched_too(project_folder: ProjectFolder) -> None:
    async with watching(project_folder) as changes:
        path = project_folder.file("shop/deep/models.py", "x = 1\n")
        await expect(changes, "shop/deep/models.py")
        path.write_text("x = 22\n")
        await expect(changes, "shop/deep/models.py")
        path.rename(path.parent.parent / "models.py")
        await expect(changes, "shop/deep/models.py", "shop/models.py")
        path.parent.rmdir()
        project_folder.file("web.py", "")
        await expect(changes, "web.py")
