"""Whatever an application has open, or opens, works on the test's ledger while the test lasts, and never on its own."""

from __future__ import annotations

import asyncio
import sys
from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

import pinstripe
from pinstripe.testing import PlainBackgroundJobs
from pinstripe.testing.stage import Stage, make_ledger
from tests.staged import write_clinics

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import ProjectFolder
    from tests.postgres import Postgres


@pytest.fixture
def own(project_folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the project's own ledger, in which one run is recorded."""
    write_clinics(project_folder)
    monkeypatch.chdir(project_folder.path)
    with pinstripe.open_project() as project, project.workspace(tenant=None) as workspace:
        workspace.enqueue_background_job("crunch", 0)
    return project_folder.path / ".pinstripe" / "ledger.db"


def content(ledger: Path) -> dict[str, str]:
    """Tell all that is in the ledger's folder."""
    files = (path for path in ledger.parent.rglob("*") if path.is_file())
    return {str(path): sha256(path.read_bytes()).hexdigest() for path in files}


@contextmanager
def staged(folder: Path, tmp_path: Path, name: str = "test.db") -> Iterator[PlainBackgroundJobs]:
    with pytest.MonkeyPatch.context() as patch:
        stage = Stage(folder, make_ledger(tmp_path / name), patch)
        stage.enter()
        try:
            yield PlainBackgroundJobs(stage)
        finally:
            stage.leave()


def test_the_projects_own_ledger_is_never_touched(own: Path, tmp_path: Path) -> None:
    before = content(own)
    written = own.stat().st_mtime_ns
    opening = pinstripe.open_project(flags={"ledger": f"sqlite:///{own}"})
    with staged(own.parents[1], tmp_path) as jobs:
        with opening as project, project.workspace(tenant=None) as workspace:
            workspace.enqueue_background_job("crunch", 1)
        by_flags = pinstripe.open_project(flags={"ledger": f"sqlite:///{own}"})
        with by_flags as project, project.workspace(tenant=None) as workspace:
            workspace.enqueue_background_job("crunch", 2)
            workspace.run_background_job("crunch", 3)
        assert [each.args for each in jobs.enqueued()] == [(1,), (2,)]
        jobs.drain()
    assert content(own) == before
    assert own.stat().st_mtime_ns == written


def test_what_was_open_before_is_led_to_the_test_and_back(own: Path, tmp_path: Path) -> None:
    told = []
    project = pinstripe.open_project().__enter__()  # as an application's module does, and keeps no more of it
    try:
        with project.workspace(tenant=None) as before:
            before.enqueue_background_job("crunch", 1)
            kept = content(own)
            for name in ("first.db", "second.db"):
                with staged(own.parents[1], tmp_path, name) as jobs:
                    jobs.assert_nothing_enqueued()
                    before.enqueue_background_job("crunch", 2)
                    with project.workspace(tenant="north") as workspace:
                        workspace.options(delay="5m").enqueue_background_job("crunch", 3)
                    jobs.advance("5m")
                    assert [run.result for run in jobs.drain()] == [2, 3]
                    told.append(jobs.now)
            assert content(own) == kept
            run = before.enqueue_background_job("crunch", 4)
        assert content(own) != kept
        assert run.created_at < min(told)  # by the real clock again
    finally:
        project.close()


def test_what_was_open_before_on_postgresql_is_led_to_the_test_and_back(
    project_folder: ProjectFolder,
    tmp_path: Path,
    postgres: Postgres,
    postgres_database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_clinics(project_folder)
    monkeypatch.chdir(project_folder.path)

    def kept() -> list[str]:
        rows = postgres.execute_now("select args from pinstripe.runs order by n", database=postgres_database)
        return [args for (args,) in rows]

    told = []
    with pinstripe.open_project(flags={"ledger": postgres.url(postgres_database)}) as project:
        with project.workspace(tenant=None) as before:
            before.enqueue_background_job("crunch", 1)
            for name in ("first.db", "second.db"):
                with staged(project_folder.path, tmp_path, name) as jobs:
                    jobs.assert_nothing_enqueued()
                    before.options(delay="5m").enqueue_background_job("crunch", 2)
                    jobs.advance("5m")
                    assert [run.result for run in jobs.drain()] == [2]
                    told.append(jobs.now)
            assert kept() == ["[1]"]
            run = before.enqueue_background_job("crunch", 3)
        assert kept() == ["[1]", "[3]"]
        assert run.created_at < min(told)  # by the server's clock again


def test_a_project_on_an_event_loop_is_led_too(own: Path, tmp_path: Path) -> None:
    async def application() -> None:
        async with pinstripe.open_project() as project:
            with staged(own.parents[1], tmp_path) as jobs:
                async with project.workspace(tenant=None) as workspace:
                    await workspace.enqueue_background_job("crunch", 1)
                jobs.assert_enqueued("crunch", 1)
            async with project.workspace(tenant=None) as workspace:
                assert (await workspace.run_background_job("crunch", 2)).result == 2

    asyncio.run(application())


def test_a_project_that_was_made_in_one_test_serves_the_next(own: Path, tmp_path: Path) -> None:
    with staged(own.parents[1], tmp_path, "first.db"):
        project = pinstripe.open_project().__enter__()
    try:
        with staged(own.parents[1], tmp_path, "second.db") as jobs, project.workspace(tenant=None) as workspace:
            workspace.enqueue_background_job("crunch", 1)
            jobs.assert_enqueued("crunch", 1)
    finally:
        project.close()


def test_what_was_open_before_has_the_tests_services_for_as_long(
    project_folder: ProjectFolder, own: Path, tmp_path: Path
) -> None:
    (own.parents[1] / "lib" / "services" / "mailer.py").write_text(
        "scope = 'project'\ndef mailer():\n    return real\nreal = []\n"
    )
    with pinstripe.open_project() as project, project.workspace(tenant="north") as workspace:
        workspace.run_background_job("remind", "a@x")
        for name in ("first.db", "second.db"):
            with staged(own.parents[1], tmp_path, name) as jobs:
                fake: list[Any] = []
                jobs.replace_services(mailer=fake)
                workspace.run_background_job("remind", "b@x")
                assert fake == [("north", "b@x")]
        workspace.run_background_job("remind", "c@x")
    assert sys.modules["lib.services.mailer"].real == [("north", "a@x"), ("north", "c@x")]
