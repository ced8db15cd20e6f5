"""What becomes of a run in the foreground whose job answers by `Cancel` or `RetryLater`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pinstripe.answers import Cancel, RetryLater
from pinstripe.background_job import BackgroundJob
from pinstripe.errors import RunCancelled, TenantFailures
from tests.shop import in_global_workspace, open_shop

if TYPE_CHECKING:
    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio


class Cancels(BackgroundJob):
    async def run(self) -> None:
        raise Cancel("the card has expired")


class CancelsForSome(BackgroundJob):
    multi_tenant = True

    async def run(self, *whose: str) -> None:
        if self.tenant.id in whose:
            raise Cancel(f"the card of {self.tenant.id} has expired")


class Asks(BackgroundJob):
    async def run(self) -> None:
        raise RetryLater("5m", "too many requests")


class AsksForSome(BackgroundJob):
    multi_tenant = True

    async def run(self, *whose: str) -> None:
        if self.tenant.id in whose:
            raise RetryLater("5m")


class Outer(BackgroundJob):
    async def run(self) -> None:
        await self.run_background_job("cancels")


async def test_who_awaits_a_job_that_cancelled_itself_is_told_the_reason(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        with pytest.raises(RunCancelled) as raised:
            await in_global_workspace(shop, Cancels)
        run = raised.value.run
        assert str(raised.value) == f"run {run.id} of cancels was cancelled: the card has expired"
        assert (run.status, run.error, run.executions.cancelled) == ("cancelled", None, 1)
        execution = await shop.execution(run)
        assert (execution.status, execution.error, execution.traceback) == ("cancelled", "the card has expired", None)


async def test_of_several_tenants_the_others_go_on(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        with pytest.raises(RunCancelled, match=r": the card of birch has expired \(tenant birch\)$") as raised:
            await in_global_workspace(shop, CancelsForSome, "birch")
        counts = raised.value.run.executions
        assert (counts.succeeded, counts.cancelled) == (2, 1)


async def test_that_a_job_inside_another_one_cancelled_itself_is_a_failure_of_the_outer_one(
    project_folder: ProjectFolder,
) -> None:
    async with open_shop(project_folder) as shop:
        shop.add(Cancels)
        run = await shop.run(Outer)
        assert run.status == "failed"
        assert run.failures[0].error.endswith("of cancels was cancelled: the card has expired")


async def test_to_run_later_is_a_failure_that_says_how_it_is_run_again(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        with pytest.raises(RetryLater, match="too many requests"):
            await in_global_workspace(shop, Asks)
        (run,) = await shop.runs()
        assert run.status == "failed"
        assert run.failures[0].error == (
            "RetryLater: run again in 5m: too many requests (a run in the foreground is not run again by itself; "
            f"`pinstripe retry-run {run.id}` runs it again)"
        )
        assert run.failures[0].traceback is None


async def test_to_run_later_for_some_tenants_is_their_failure(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        with pytest.raises(TenantFailures) as raised:
            await in_global_workspace(shop, AsksForSome, "acme")
        assert set(raised.value.by_tenant) == {"acme"}
        assert isinstance(raised.value.by_tenant["acme"], RetryLater)
