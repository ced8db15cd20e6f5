"""What becomes of a run that code awaits: its value, its errors, and who watches it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.background_job import BackgroundJob
from pinstripe.errors import (
    InvalidArguments,
    PinstripeError,
    TenantFailures,
    TenantSourceFailed,
    UnknownJob,
    UnknownTenant,
)
from tests.jobs import Fails, FailsForSome, Sums
from tests.shop import Recorder, in_global_workspace, open_shop

if TYPE_CHECKING:
    from pinstripe.watcher import Watcher
    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio


class Exits(BackgroundJob):
    async def run(self) -> None:
        sys.exit(3)


class ExitsForAll(BackgroundJob):
    multi_tenant = True

    async def run(self) -> None:
        raise KeyboardInterrupt


async def test_one_execution_gives_its_value(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        run = await in_global_workspace(shop, Sums, 1, 2, 3)
        assert (run.status, run.result, run.trigger, run.args) == ("succeeded", 6, "code", (1, 2, 3))
        assert (run.executions.total, run.executions.succeeded, run.parent, run.error) == (1, 1, None, None)
        assert run.created_at <= (run.started_at or run.created_at) <= (run.finished_at or run.created_at)
        assert run == await shop.project.ledger.find_run(run.id)


async def test_a_job_is_found_by_its_name_too(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        name = shop.add(Sums)
        async with shop.project.workspace(tenant=None) as workspace:
            assert (await workspace.run_background_job(name, 5)).result == 5
            assert (await workspace.run_background_job("Sums", 7)).result == 7


async def test_one_execution_raises_what_its_job_raised(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        with pytest.raises(LookupError, match="nothing there"):
            await in_global_workspace(shop, Fails)
        (run,) = await shop.runs()
        assert (run.status, run.failures[0].tenant, run.failures[0].error) == (
            "failed",
            None,
            "LookupError: nothing there",
        )


async def test_a_multi_tenant_job_for_one_tenant_raises_what_it_raised(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        with pytest.raises(ValueError, match="bad acme"):
            await in_global_workspace(shop, FailsForSome, "acme", tenants=["acme"])


async def test_sys_exit_of_a_job_does_not_end_its_caller(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        with pytest.raises(PinstripeError, match=r"the job called sys.exit\(3\)"):
            await in_global_workspace(shop, Exits)
        with pytest.raises(TenantFailures) as failures:
            await in_global_workspace(shop, ExitsForAll)
        assert {str(each) for each in failures.value.exceptions} == {"KeyboardInterrupt"}


async def test_several_tenants_are_all_tried_before_their_failures_are_raised(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        with pytest.raises(TenantFailures) as raised:
            await in_global_workspace(shop, FailsForSome, "acme", "cedar")
        failures = raised.value
        assert set(failures.by_tenant) == {"acme", "cedar"}
        assert {str(each) for each in failures.exceptions} == {"bad acme", "bad cedar"}
        assert failures.by_tenant["acme"].__notes__ == ["tenant: acme"]
        assert (failures.run.status, failures.run.executions.succeeded, failures.run.executions.failed) == (
            "failed",
            1,
            2,
        )
        assert failures.run.result is None
        assert [(each.tenant, each.attempts) for each in failures.run.failures] == [("acme", 1), ("cedar", 1)]
        assert "FailsForSome" not in (failures.run.failures[0].error)
        assert "raise ValueError" in (failures.run.failures[0].traceback or "")


async def test_of_very_many_failures_a_hundred_are_carried(project_folder: ProjectFolder) -> None:
    ids = [f"t{number:05}" for number in range(120)]
    async with open_shop(project_folder, ids) as shop:
        with pytest.raises(TenantFailures, match="for 120 of 120 tenants") as raised:
            await in_global_workspace(shop, FailsForSome, *ids)
        assert len(raised.value.exceptions) == len(raised.value.by_tenant) == 100
        assert len(raised.value.run.failures) == 120


@pytest.mark.parametrize(
    "options", [{"tenants": []}, {"where": {"plan": "gold"}}, {"exclude": ["acme", "birch", "cedar"]}]
)
async def test_nobody_is_a_success_of_nobody(project_folder: ProjectFolder, options: dict[str, Any]) -> None:
    async with open_shop(project_folder) as shop:
        run = await in_global_workspace(shop, FailsForSome, "acme", **options)
        assert (run.status, run.executions.total, run.selecting) == ("succeeded", 0, False)
        assert run.finished_at is not None


async def test_options_choose(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        run = await in_global_workspace(
            shop, FailsForSome, tenants=["acme", "birch", "cedar"], exclude=["acme"], where={"plan": "pro"}
        )
        assert (run.executions.total, run.result) == (1, "cedar")
        with pytest.raises(UnknownTenant, match="left out by the filter"):
            await in_global_workspace(shop, FailsForSome, tenants=["gone"])


@pytest.mark.parametrize("name", ["tenants", "exclude"])
async def test_a_text_is_no_list_of_ids(project_folder: ProjectFolder, name: str) -> None:
    async with open_shop(project_folder, ["a", "b", "c"]) as shop:
        with pytest.raises(InvalidArguments, match=rf"options\({name}='abc'\): expected a list of ids"):
            await in_global_workspace(shop, FailsForSome, **{name: "abc"})
        assert await shop.runs() == []


async def test_a_failing_source_is_raised_and_recorded(project_folder: ProjectFolder) -> None:
    async def fail(number: int) -> None:
        if number == 2:
            raise OSError("gone away")

    async with open_shop(project_folder) as shop:
        shop.on_reading(fail)
        with pytest.raises(TenantSourceFailed, match="after 2 items: OSError: gone away"):
            await in_global_workspace(shop, FailsForSome)
        (run,) = await shop.runs()
        assert (run.status, run.executions.succeeded, run.selecting) == ("failed", 0, False)
        assert "gone away" in (run.error or "")


# Errors before anything is recorded, and screens that fail.


async def test_an_unknown_job_has_the_nearest_names(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        shop.add(Sums, "sum_up")
        async with shop.project.workspace(tenant=None) as workspace:
            with pytest.raises(UnknownJob, match="sum_up"):
                await workspace.run_background_job("sum_upp")
        assert await shop.runs() == []


@pytest.mark.parametrize("what", ["created", "selecting", "selected", "advanced", "output", "progress", "finished"])
async def test_a_watcher_that_fails_harms_no_run(
    project_folder: ProjectFolder, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Talks(BackgroundJob):
        multi_tenant = True

        async def run(self) -> None:
            self.progress(1, 2)
            print("a line")  # noqa: T201
            print("an end", end="")  # noqa: T201

    def fail(self: Watcher, *facts: Any) -> None:
        raise BrokenPipeError("nobody reads")

    broken = type("Broken", (Recorder,), {what: fail})()
    async with open_shop(project_folder) as shop:
        run = await shop.run(Talks, watcher=broken)
        assert (run.status, run.executions.succeeded) == ("succeeded", 3)
        assert (await shop.execution(run, "acme")).log == "a line\nan end"
    told = [record for record in caplog.records if "what watches the run failed" in record.getMessage()]
    assert [record.getMessage() for record in told] == [f"what watches the run failed ({what}); the run goes on"]
