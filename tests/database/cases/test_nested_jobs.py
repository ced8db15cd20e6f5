"""Jobs that start jobs, with the database: whose rows each of them reaches, whatever its arguments are called."""

from __future__ import annotations

import asyncio
import contextvars
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.background_job import BackgroundJob
from pinstripe.errors import PinstripeError, TenantRequired
from tests.database.cases.applications import TENANTS
from tests.shop import in_global_workspace, open_shop

if TYPE_CHECKING:
    from pinstripe.database.service import Database
    from tests.conftest import ProjectFolder
    from tests.database.cases.applications import Place

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("place", ["sqlite", "guarded"], indirect=True)]


class Names(BackgroundJob):
    multi_tenant = True
    database: Database

    async def run(self, **named: Any) -> list[str]:
        found = await self.database.users.order_by("name").all()
        assert {user.tenant_id for user in found} == {self.tenant.id}
        return [user.name for user in found]


class StartsNames(BackgroundJob):
    multi_tenant = True
    database: Database

    async def run(self) -> Any:
        before = await self.database.users.count()
        run = await self.run_background_job(Names)
        assert run.executions.total == 1
        # The caller's own workspace is none the worse: its tenant and its transaction are as they were.
        async with self.database.transaction():
            new = await self.database.users.insert(name=f"{self.tenant.id}-new")
            assert new.tenant_id == self.tenant.id
        assert await self.database.users.count() == before + 1
        for options in ({"tenants": TENANTS}, {"tenants": ["globex"]}, {"exclude": ["globex"]}):
            if self.tenant.id == "acme":
                with pytest.raises(PinstripeError, match="expected that tenant alone"):
                    await self.options(**options).run_background_job(Names)
        return run.result


async def test_a_job_from_a_tenants_job_is_for_that_tenant_alone_and_leaves_the_callers_as_it_was(
    place: Place, project_folder: ProjectFolder
) -> None:
    async with open_shop(project_folder, TENANTS, settings=place.settings()) as shop:
        shop.add(Names)
        run = await shop.run(StartsNames)
        assert run.status == "succeeded", (await shop.execution(run, "acme")).error
        for tenant in TENANTS:
            assert (await shop.execution(run, tenant)).result == [f"{tenant}-{number}" for number in range(3)]


class Everything(BackgroundJob):
    database: Database

    async def run(self, *given: Any) -> Any:
        assert self.workspace.tenant is None
        with pytest.raises(TenantRequired):
            await self.database.users.all()
        return [[plan.name for plan in await self.database.plans.all()], *given]


class StartsGlobal(BackgroundJob):
    multi_tenant = True
    database: Database

    async def run(self) -> Any:
        run = await self.run_background_job(Everything, await self.database.users.count())
        return run.result


async def test_a_global_job_from_a_tenants_job_has_no_tenant_and_only_what_it_was_given(
    place: Place, project_folder: ProjectFolder
) -> None:
    async with open_shop(project_folder, TENANTS, settings=place.settings()) as shop:
        shop.add(Everything)
        run = await shop.run(StartsGlobal)
        assert (await shop.execution(run, "acme")).result == [["pro"], 3]
        # A global job may start one for all tenants: it has none to leave.
        again = await in_global_workspace(shop, Names)
        assert again.executions.total == 3


async def test_no_argument_can_change_the_tenant(place: Place, project_folder: ProjectFolder) -> None:
    named = (
        "tenant",
        "tenant_id",
        "tenants",
        "_headers",
        "x-tenant-id",
        "x_tenant_id",
        "workspace",
        "database",
        "options",
    )
    async with open_shop(project_folder, TENANTS, settings=place.settings()) as shop:
        for name in named:
            for value in ("globex", {"x-tenant-id": "globex", "tenant": "globex"}):
                run = await shop.run(Names, tenants=["acme"], kwargs={name: value})
                assert (await shop.execution(run, "acme")).result == [f"acme-{number}" for number in range(3)], name


TENANT: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="none")


class SetsAContext(BackgroundJob):
    multi_tenant = True
    database: Database

    async def run(self) -> Any:
        before = TENANT.get()
        TENANT.set(self.tenant.id)
        await asyncio.sleep(0)
        return [before, sorted({user.tenant_id for user in await self.database.users.all()})]


async def test_a_context_variable_of_one_job_is_no_other_ones(place: Place, project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder, TENANTS, settings=place.settings()) as shop:
        for concurrency in (1, 3):
            run = await shop.run(SetsAContext, concurrency=concurrency)
            found = [(await shop.execution(run, tenant)).result for tenant in TENANTS]
            assert found == [["none", [tenant]] for tenant in TENANTS]
        assert TENANT.get() == "none"


class Differs(BackgroundJob):
    multi_tenant = True
    database: Database

    async def run(self) -> int:
        if self.tenant.id == "acme":
            async with self.database.transaction():
                await self.database.users.insert(name="acme-lost")
                raise ValueError("acme never works")
        if self.tenant.id == "globex":
            async with self.database.transaction():
                await self.database.users.insert(name="globex-lost")
                await asyncio.Event().wait()
        return len([user async for user in self.database.users])


async def test_one_tenant_that_fails_one_that_hangs_and_one_with_many_rows_stop_nobody(
    place: Place, project_folder: ProjectFolder
) -> None:
    many = 5_000
    # A writer that hangs holds up whoever else writes to a SQLite file, until its timeout; who reads, goes on.
    place.execute(
        f"with recursive n(i) as (select 1 union all select i + 1 from n where i < {many}) "
        "insert into users (tenant_id, name) select 'initech', 'initech-new-' || i from n"
    )
    tenants = [*TENANTS, *(f"small-{number}" for number in range(20))]
    async with open_shop(project_folder, tenants, settings=place.settings(pool_size=4)) as shop:
        run = await shop.run(Differs, timeout=timedelta(seconds=3), concurrency=4)
        assert await shop.statuses(run, "acme", "globex", "initech") == ["failed", "failed", "succeeded"]
        assert (run.executions.succeeded, run.executions.failed) == (21, 2)
        assert (await shop.execution(run, "initech")).result == many + 3
        assert "exceeded its timeout" in str((await shop.execution(run, "globex")).error)
    assert len(place.names("acme")) == len(place.names("globex")) == 3
