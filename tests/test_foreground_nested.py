"""Runs inside runs: for whom they are, and what they hand out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.background_job import BackgroundJob
from pinstripe.errors import ConfigurationError
from tests.jobs import Fails, FailsForSome, Sums
from tests.shop import Recorder, Shop, in_global_workspace, open_shop

if TYPE_CHECKING:
    from pinstripe.run import Run
    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio


class Outer(BackgroundJob):
    multi_tenant = True

    async def run(self, name: str, *args: Any, **options: Any) -> list[Any]:
        run = await self.options(**options).run_background_job(name, *args)
        return [run.parent == self.workspace.run_id, run.executions.total, run.result]


class TellsTenant(BackgroundJob):
    async def run(self) -> str | None:
        return None if self.workspace.tenant is None else self.workspace.tenant.id


class GlobalOuter(Outer):
    multi_tenant = False


async def nested(shop: Shop, outer: type[BackgroundJob], *args: Any, **kwargs: Any) -> Run:
    shop.add(outer)
    async with shop.project.workspace(tenant=None) as workspace:
        if outer is GlobalOuter:
            return await workspace.run_background_job(outer, *args, **kwargs)
        return await workspace.options(tenants=["acme"]).run_background_job(outer, *args, **kwargs)


async def test_inside_a_tenant_s_workspace_a_job_is_for_that_tenant_alone(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        inner = shop.add(FailsForSome)
        run = await nested(shop, Outer, inner)
        assert run.result == [True, 1, "acme"]
        child = (await shop.runs())[1]
        assert (child.parent, child.trigger, child.executions.total) == (run.id, "code", 1)
        assert (await nested(shop, Outer, inner, tenants=["acme"])).result == [True, 1, "acme"]


@pytest.mark.parametrize(
    "options",
    [{"tenants": ["acme", "birch"]}, {"tenants": ["birch"]}, {"exclude": ["birch"]}, {"where": {"plan": "pro"}}],
)
async def test_other_tenants_are_refused_there(project_folder: ProjectFolder, options: dict[str, Any]) -> None:
    async with open_shop(project_folder) as shop:
        with pytest.raises(ConfigurationError, match="from the workspace of tenant 'acme'; expected that tenant alone"):
            await nested(shop, Outer, shop.add(FailsForSome), **options)
        assert len(await shop.runs()) == 1


async def test_a_tenant_that_the_inner_filter_leaves_out_is_nobody(project_folder: ProjectFolder) -> None:
    class ForFree(FailsForSome):
        @staticmethod
        def tenants_filter(tenants: Any) -> Any:
            return tenants.where(plan="free")

    async with open_shop(project_folder) as shop:
        assert (await nested(shop, Outer, shop.add(ForFree))).result == [True, 0, None]


async def test_a_job_that_is_not_multi_tenant_has_no_tenant_there(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        assert (await nested(shop, Outer, shop.add(TellsTenant))).result == [True, 1, None]


async def test_inside_a_global_job_all_tenants_are_meant(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        assert (await nested(shop, GlobalOuter, shop.add(FailsForSome))).result == [True, 3, None]


@pytest.mark.parametrize(("outer", "whom"), [(Outer, " for tenant 'acme'"), (GlobalOuter, "")])
async def test_a_job_inside_itself_is_refused(
    project_folder: ProjectFolder, outer: type[BackgroundJob], whom: str
) -> None:
    async with open_shop(project_folder) as shop:
        name = shop.add(outer)
        with pytest.raises(ConfigurationError, match=f"^{name} was started{whom} from inside itself"):
            await nested(shop, outer, name, name)
        assert len(await shop.runs()) == 1


async def test_a_job_inside_itself_is_refused_at_a_distance_too(project_folder: ProjectFolder) -> None:
    class Between(Outer):
        pass

    async with open_shop(project_folder) as shop:
        name, between = shop.add(Outer), shop.add(Between)
        with pytest.raises(ConfigurationError, match="was started for tenant 'acme' from inside itself"):
            await nested(shop, Outer, between, name, between)
        assert [run.status for run in await shop.runs()] == ["failed", "failed"]


async def test_a_global_job_may_run_a_job_that_runs_it_for_another_tenant(project_folder: ProjectFolder) -> None:
    class Hands(BackgroundJob):
        multi_tenant = True

        async def run(self, left: int) -> str:
            return self.tenant.id if left == 0 else "never"

    class Starts(BackgroundJob):
        async def run(self) -> int:
            return (await self.run_background_job(Hands, 0)).executions.succeeded

    async with open_shop(project_folder) as shop:
        shop.add(Hands)
        assert (await in_global_workspace(shop, Starts)).result == 3


async def test_what_an_inner_run_raises_reaches_the_outer_job(project_folder: ProjectFolder) -> None:
    class Catches(BackgroundJob):
        async def run(self) -> str:
            try:
                await self.run_background_job(Fails)
            except LookupError as error:
                return f"caught {error}"
            return "nothing"

    async with open_shop(project_folder) as shop:
        shop.add(Fails)
        assert (await in_global_workspace(shop, Catches)).result == "caught nothing there"


async def test_a_plain_def_waits_for_an_inner_run(project_folder: ProjectFolder) -> None:
    class Plain(BackgroundJob):
        def run(self) -> Any:
            return self.wait(self.run_background_job(Sums, 1, 2)).result

    async with open_shop(project_folder) as shop:
        shop.add(Sums)
        assert (await in_global_workspace(shop, Plain)).result == 3


async def test_output_of_an_inner_run_is_heard_by_who_watches_the_outer_one(project_folder: ProjectFolder) -> None:
    class Prints(BackgroundJob):
        async def run(self) -> None:
            print("from inside")  # noqa: T201

    class Starts(BackgroundJob):
        async def run(self) -> None:
            await self.run_background_job(Prints)

    async with open_shop(project_folder) as shop:
        shop.add(Prints)
        recorder = Recorder()
        await shop.run(Starts, watcher=recorder)
        assert recorder.printed == [(None, "from inside\n")]
        assert recorder.calls.count("created") == 1
