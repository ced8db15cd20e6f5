"""New runs: whom they are for, what is recorded of them, and what becomes of them if their selection fails."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.background_job import BackgroundJob
from pinstripe.errors import ConfigurationError, InvalidArguments, TenantSourceFailed
from pinstripe.recording import KEPT
from pinstripe.run import Run, Trigger
from pinstripe.runs import Request
from pinstripe.selection import PAGE
from tests.jobs import Alone, Picky
from tests.shop import Recorder, many, open_shop, retried

if TYPE_CHECKING:
    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _good_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Picky, "bad", frozenset())
    monkeypatch.setattr(Alone, "ok", False)


@pytest.mark.parametrize(
    ("bad", "status"), [(set(), "succeeded"), ({"acme"}, "failed"), ({"acme", "birch", "cedar"}, "failed")]
)
async def test_statuses_and_counts(project_folder: ProjectFolder, bad: set[str], status: str) -> None:
    Picky.bad = frozenset(bad)
    async with open_shop(project_folder) as shop:
        run = await shop.run(Picky, "weekly", trigger=Trigger.CLI, kwargs={"limit": 5})
        counts = run.executions
        assert (run.status, counts.total, counts.failed, counts.succeeded) == (status, 3, len(bad), 3 - len(bad))
        assert {failure.tenant for failure in run.failures} == bad
        assert (run.trigger, run.args, run.kwargs, run.job) == ("cli", ("weekly",), {"limit": 5}, "picky")
        assert (run.selecting, run.retry_of, run.parent, run.error) == (False, None, None, None)


async def test_arguments_from_a_command_line_are_read_by_annotation(project_folder: ProjectFolder) -> None:
    class Typed(BackgroundJob):
        def run(self, count: int, *, at: str = "") -> list[Any]:
            return [count, at]

    async with open_shop(project_folder) as shop:
        run = await shop.run(Typed, "5", kwargs={"at": "6"}, text=True)
        assert (run.result, run.args, run.kwargs) == ([5, "6"], (5,), {"at": "6"})


@pytest.mark.parametrize("fails_at", [0, 2, PAGE + 5])
async def test_a_source_that_fails_half_way_fails_the_run(project_folder: ProjectFolder, fails_at: int) -> None:
    async def fail(number: int) -> None:
        if number == fails_at:
            raise OSError("gone away")

    async with open_shop(project_folder, many(2 * PAGE)) as shop:
        shop.on_reading(fail)
        recorder = Recorder()
        run = await shop.run(Picky, watcher=recorder)
        assert (run.status, run.selecting, run.executions.succeeded) == ("failed", False, 0)
        assert "OSError: gone away" in (run.error or "")
        assert run.executions.cancelled == run.executions.total
        assert recorder.calls[-1] == "finished"

        shop.on_reading(None)
        again = await retried(shop, run)
        assert (again.status, again.executions.succeeded) == ("succeeded", 2 * PAGE)


async def test_a_filter_that_fails_on_a_later_page_closes_the_run(project_folder: ProjectFolder) -> None:
    items = [{"id": f"t{number:05}", "seats": 1} for number in range(PAGE)]
    async with open_shop(project_folder, [*items, {"id": "odd"}]) as shop:
        with pytest.raises(ConfigurationError, match="seats") as raised:
            await shop.run(Picky, where=(("seats__ge", 1),))
        (run,) = await shop.runs()
        assert f"run {run.id} is recorded as failed" in str(raised.value)
        assert (run.status, run.executions.cancelled) == ("failed", PAGE)
        assert "seats" in (run.error or "")


async def test_a_source_that_fails_for_named_tenants_records_nothing(project_folder: ProjectFolder) -> None:
    async def fail(number: int) -> None:
        raise OSError("gone away")

    async with open_shop(project_folder) as shop:
        shop.on_reading(fail)
        with pytest.raises(TenantSourceFailed):
            await shop.run(Picky, tenants=("acme",))
        assert await shop.runs() == []


async def test_a_choice_that_can_not_be_kept_records_nothing(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder, [{"id": "acme", "since": date(2026, 1, 1)}]) as shop:
        with pytest.raises(InvalidArguments, match="can't be kept"):
            await shop.run(Picky, where=(("since__le", date(2026, 2, 2)),))
        assert await shop.runs() == []


async def test_more_tenants_than_are_kept_are_read_once_more(project_folder: ProjectFolder) -> None:
    readings: list[int] = []

    async def count(number: int) -> None:
        if number == 0:
            readings.append(number)

    async with open_shop(project_folder, many(KEPT + PAGE + 1)) as shop:
        shop.on_reading(count)
        run = await shop.run(Picky)
        assert (run.status, run.executions.succeeded) == ("succeeded", KEPT + PAGE + 1)
        assert len(readings) == 2


async def test_a_second_reading_that_fails_fails_the_run(project_folder: ProjectFolder) -> None:
    readings = 0

    async def fail(number: int) -> None:
        nonlocal readings
        readings += number == 0
        if readings == 2 and number == 2 * PAGE:
            raise OSError("gone away")

    async with open_shop(project_folder, many(KEPT + PAGE)) as shop:
        shop.on_reading(fail)
        run = await shop.run(Picky)
        counts = run.executions
        assert (run.status, counts.succeeded, counts.cancelled) == ("failed", 2 * PAGE, KEPT + PAGE - 2 * PAGE)
        assert "gone away" in (run.error or "")
        reason = (await shop.execution(run, f"t{KEPT:05}")).error
        assert reason == "not started: the tenant source failed on its second reading"

        shop.on_reading(None)
        again = await retried(shop, run)
        assert (again.status, again.executions.succeeded) == ("succeeded", KEPT + PAGE - 2 * PAGE)


async def test_who_is_gone_at_the_second_reading_is_skipped(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder, many(KEPT + PAGE)) as shop:

        class Forgets(Recorder):
            def selected(self, run: Run, total: int) -> None:
                shop.tenants(many(KEPT + 1))

        run = await shop.run(Picky, watcher=Forgets())
        assert (run.status, run.executions.succeeded, run.executions.skipped) == ("succeeded", KEPT + 1, PAGE - 1)
        execution = await shop.execution(run, f"t{KEPT + 5:05}")
        assert (execution.status, execution.attempts) == ("skipped", 0)
        assert execution.error == "no longer a tenant that the job's filter lets through"


async def test_a_request_is_nothing_but_what_was_asked(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        shop.add(Alone)
        Alone.ok = True
        run = await shop.project.run(Request("Alone"))
        assert (run.trigger, run.args, run.kwargs) == ("code", (), {})
