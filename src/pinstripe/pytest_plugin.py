"""The pytest plugin, which pytest loads by itself: fixtures for the tests of an application with background jobs.

It is loaded into every run of pytest where Pinstripe is installed, so it imports nothing until a fixture is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pinstripe.testing import BackgroundJobs, PlainBackgroundJobs
    from pinstripe.testing.stage import Stage


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that names the project's folder."""
    parser.addini("pinstripe_project", "the folder of the project with the background jobs, from the rootdir on")


@pytest.fixture
def background_jobs(_pinstripe_stage: Stage) -> BackgroundJobs:
    """Give the project's background jobs, on a temporary ledger and with a clock that is told, for async tests."""
    from pinstripe.testing import BackgroundJobs

    return BackgroundJobs(_pinstripe_stage)


@pytest.fixture
def plain_background_jobs(_pinstripe_stage: Stage) -> PlainBackgroundJobs:
    """Give the project's background jobs, on a temporary ledger and with a clock that is told, for plain tests."""
    from pinstripe.testing import PlainBackgroundJobs

    return PlainBackgroundJobs(_pinstripe_stage)


@pytest.fixture
def _pinstripe_stage(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory, _pinstripe_empty_ledger: Path
) -> Iterator[Stage]:
    """Set the stage for one test."""
    from shutil import copyfile

    from pinstripe.testing.stage import Stage

    ledger = tmp_path_factory.mktemp("ledger") / "ledger.db"
    copyfile(_pinstripe_empty_ledger, ledger)
    folder = _find_project(pytestconfig)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PINSTRIPE_PROJECT", str(folder))  # so that the application finds it, wherever the test is
        stage = Stage(folder, ledger, patch)
        try:
            stage.enter()
            yield stage
        finally:
            stage.leave()


@pytest.fixture(scope="session")
def _pinstripe_empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an empty ledger, which is copied for each test: that takes a thirtieth of the time."""
    from pinstripe.testing.stage import make_ledger

    return make_ledger(tmp_path_factory.mktemp("ledger") / "empty.db")


def _find_project(config: pytest.Config) -> Path:
    """Find the project: by the option, else by `PINSTRIPE_PROJECT`, else from where pytest was started."""
    import os

    from pinstripe.config import find_project

    named = config.getini("pinstripe_project")
    if named:
        return find_project(config.rootpath / named)
    return find_project(None if os.environ.get("PINSTRIPE_PROJECT") else config.invocation_params.dir)
