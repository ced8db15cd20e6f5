from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

import pinstripe
from pinstripe.errors import ConfigurationError, LedgerError
from pinstripe.opening import open_project
from pinstripe.plain import PlainProject
from pinstripe.project import Project

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio


def test_it_is_what_the_package_offers() -> None:
    assert pinstripe.open_project is open_project


async def test_a_project_is_found_from_a_folder_inside_it(project_folder: ProjectFolder) -> None:
    async with open_project(project_folder.path / "lib" / "background_jobs") as project:
        assert isinstance(project, Project)
        assert project.settings.folder == project_folder.path


def test_a_project_is_found_from_the_working_directory(
    project_folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project_folder.path / "lib")
    with open_project() as project:
        assert isinstance(project, PlainProject)
        assert project.settings.folder == project_folder.path


def test_no_project_is_an_error_before_anything_is_opened(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        open_project(str(tmp_path))


def test_flags_come_before_all_other_settings(project_folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    project_folder.configure("worker.concurrency = 3")
    assert open_project(project_folder.path).settings.worker.concurrency == 3
    monkeypatch.setenv("PINSTRIPE_WORKER_CONCURRENCY", "4")
    assert open_project(project_folder.path).settings.worker.concurrency == 4
    assert open_project(project_folder.path, flags={"worker.concurrency": 5}).settings.worker.concurrency == 5


def test_opening_and_closing_leaves_nothing_behind(project_folder: ProjectFolder) -> None:
    before = set(threading.enumerate())
    with open_project(project_folder.path):
        assert set(threading.enumerate()) > before
    assert set(threading.enumerate()) == before
    assert not (project_folder.path / ".pinstripe").exists()


@pytest.mark.parametrize("plain", [True, False])
async def test_a_ledger_that_is_none_is_told_when_it_is_opened(project_folder: ProjectFolder, plain: bool) -> None:
    project_folder.file(".pinstripe/ledger.db", "this is no database, and is long enough to be seen as none" * 30)
    before = set(threading.enumerate())
    if plain:
        with pytest.raises(LedgerError), open_project(project_folder.path):
            pass
    else:
        with pytest.raises(LedgerError):
            async with open_project(project_folder.path):
                pass
    assert set(threading.enumerate()) == before


async def test_one_opening_may_be_entered_again_after_it_was_left(project_folder: ProjectFolder) -> None:
    opening = open_project(project_folder.path)
    async with opening as first:
        pass
    async with opening as second:
        assert second is not first
        assert second.job_names() == []
