"""Many at once, in one process, on one pool: tasks, threads, callbacks; each sees its own tenant's rows."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from pinstripe.background_job import BackgroundJob
from pinstripe.errors import PinstripeError, WorkspaceClosed
from tests.database.cases.applications import TENANTS, engine_of
from tests.database.cases.models import User
from tests.shop import open_shop

if TYPE_CHECKING:
    from pinstripe.database.service import Database
    from pinstripe.run import Run
    from tests.conftest import ProjectFolder
    from tests.database.cases.applications import Application, Place
    from tests.shop import Shop

pytestmark = pytest.mark.anyio


async def run_for_all(shop: Shop, job_class: type[BackgroundJob], *args: Any, **request: Any) -> Run:
    """Run a job for all tenants; give the run, after which every connection must be back."""
    run = await shop.run(job_class, *args, **request)
    database = shop.project.database
    assert database is not None
    assert (await engine_of(database.access)).pool.checkedout() == 0  # type: ignore[attr-defined]
    return run


async def results(shop: Shop, run: Run) -> dict[str, Any]:
    """Give what each tenant's execution returned."""
    return {tenant: (await shop.execution(run, tenant)).result for tenant in TENANTS}


def own_names(tenant: str, *more: str) -> list[str]:
    return sorted([*(f"{tenant}-{number}" for number in range(3)), *more])


class WithDatabase(BackgroundJob):
    abstract = True
    database: Database


class ReadsAndWrites(WithDatabase):
    multi_tenant = True

    async def run(self) -> list[str]:
        tenant = self.tenant.id
        for number in range(10):
            await asyncio.sleep(0)
            found = await self.database.users.where(name__contains="-").all()
            assert {user.tenant_id for user in found} == {tenant}
            await self.database.users.insert(name=f"{tenant}-new-{number}")
            await asyncio.sleep(0)
            assert await self.database.users.where(name__contains="-new-").update(value=number) == number + 1
        return sorted(user.name for user in await self.database.users.all())


async def test_jobs_of_different_tenants_with_awaits_between_every_statement(
    place: Place, project_folder: ProjectFolder
) -> None:
    async with open_shop(project_folder, TENANTS, settings=place.settings(pool_size=2)) as shop:
        run = await run_for_all(shop, ReadsAndWrites)
        assert run.status == "succeeded", await shop.execution(run, "acme")
        new = {tenant: [f"{tenant}-new-{number}" for number in range(10)] for tenant in TENANTS}
        assert await results(shop, run) == {tenant: own_names(tenant, *new[tenant]) for tenant in TENANTS}
        assert {tenant: place.names(tenant) for tenant in TENANTS} == await results(shop, run)


class LeavesATask(WithDatabase):
    multi_tenant = True
    left: list[Any] = []  # noqa: RUF012 - a job's class is where a careless author keeps things

    async def run(self) -> None:
        async def outlive() -> None:
            try:
                await self.database.users.all()
                await asyncio.Event().wait()
            finally:
                self.left.append(self.database)

        self.left.append(asyncio.create_task(outlive()))
        await asyncio.sleep(0)


async def test_a_task_that_outlives_its_job_is_ended_and_its_database_closed(
    place: Place, project_folder: ProjectFolder
) -> None:
    LeavesATask.left.clear()
    async with open_shop(project_folder, TENANTS, settings=place.settings()) as shop:
        run = await run_for_all(shop, LeavesATask, concurrency=1)
        assert run.status == "succeeded"
        tasks = [one for one in LeavesATask.left if isinstance(one, asyncio.Task)]
        databases: list[Database] = [one for one in LeavesATask.left if not isinstance(one, asyncio.Task)]
        assert len(tasks) == len(databases) == 3
        assert all(task.cancelled() for task in tasks)
        for database in databases:
            with pytest.raises(WorkspaceClosed):
                await database.users.all()
            with pytest.raises(WorkspaceClosed):
                database.session  # noqa: B018


class InThreads(WithDatabase):
    multi_tenant = True

    def run(self, how: str) -> list[str]:
        def names() -> list[str]:
            return sorted(user.name for user in self.wait(self.database.users.all()))

        found: list[list[str]] = []
        if how == "raw":
            threads = [threading.Thread(target=lambda: found.append(names())) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        else:

            async def elsewhere() -> None:
                loop = asyncio.get_running_loop()
                if how == "to_thread":
                    found.extend(await asyncio.gather(*(asyncio.to_thread(names) for _ in range(4))))
                else:
                    found.extend(await asyncio.gather(*(loop.run_in_executor(None, names) for _ in range(4))))

            asyncio.run(elsewhere())
        assert len(found) == 4
        assert all(one == found[0] for one in found)
        return found[0]


@pytest.mark.parametrize("how", ["raw", "to_thread", "run_in_executor"])
async def test_a_plain_job_awaits_from_several_threads_at_once(
    place: Place, project_folder: ProjectFolder, how: str
) -> None:
    async with open_shop(project_folder, TENANTS, settings=place.settings()) as shop:
        run = await run_for_all(shop, InThreads, how)
        assert await results(shop, run) == {tenant: own_names(tenant) for tenant in TENANTS}, run


class OnAnotherLoop(WithDatabase):
    multi_tenant = True

    def run(self) -> str:
        async def directly() -> None:
            await self.database.users.all()

        with pytest.raises(RuntimeError, match="belongs to another event loop") as caught:
            asyncio.run(directly())
        return str(caught.value)


async def test_another_event_loop_in_a_thread_is_refused(place: Place, project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder, TENANTS, settings=place.settings()) as shop:
        run = await run_for_all(shop, OnAnotherLoop)
        assert run.status == "succeeded", await shop.execution(run, "acme")


class FromAnAsyncJob(WithDatabase):
    multi_tenant = True

    async def run(self) -> list[str]:
        loop = asyncio.get_running_loop()

        def directly() -> list[str]:
            return sorted(user.name for user in self.wait(self.database.users.all()))

        one, other = await asyncio.gather(asyncio.to_thread(directly), loop.run_in_executor(None, directly))
        assert one == other
        return one


async def test_a_thread_of_the_pool_that_the_next_tenant_gets_carries_nothing_over(
    place: Place, project_folder: ProjectFolder
) -> None:
    async with open_shop(project_folder, TENANTS, settings=place.settings()) as shop:
        for concurrency in (1, 3):
            run = await run_for_all(shop, FromAnAsyncJob, concurrency=concurrency)
            assert await results(shop, run) == {tenant: own_names(tenant) for tenant in TENANTS}


async def test_a_task_group_with_a_failing_child_leaves_nothing_open(application: Application) -> None:
    async with application.workspace("acme") as database:

        async def read() -> None:
            while True:
                assert {user.tenant_id for user in await database.users.all()} == {"acme"}

        async def fail() -> None:
            await database.users.count()
            raise ValueError("a child")

        async def together() -> None:
            async with asyncio.TaskGroup() as group:
                for each in (read(), read(), fail()):
                    group.create_task(each)

        with pytest.raises(ExceptionGroup) as caught:
            await together()
        assert [str(error) for error in caught.value.exceptions] == ["a child"]
        assert await database.users.count() == 3


async def test_a_task_group_inside_a_transaction_is_undone_as_one(application: Application) -> None:
    async with application.workspace("acme") as database:

        async def fail() -> None:
            await database.users.insert(name="acme-lost")
            raise ValueError

        async def together() -> None:
            async with database.transaction(), asyncio.TaskGroup() as group:
                group.create_task(fail())
                group.create_task(database.users.insert(name="acme-lost too"))

        with pytest.raises(ExceptionGroup):
            await together()
        assert application.place.names("acme") == own_names("acme")


async def test_a_callback_that_fires_during_another_job_keeps_its_own_tenant(application: Application) -> None:
    loop = asyncio.get_running_loop()
    heard: list[str] = []
    tasks: list[asyncio.Task[None]] = []
    async with application.workspace("acme") as acme, application.workspace("globex") as globex:

        async def read() -> None:
            heard.extend(user.tenant_id for user in await acme.users.all())

        loop.call_soon(lambda: tasks.append(loop.create_task(read())))
        async with globex.transaction():
            assert {user.tenant_id for user in await globex.users.all()} == {"globex"}
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)
    assert set(heard) == {"acme"}


async def test_one_session_in_two_tasks_is_refused(application: Application) -> None:
    async with application.workspace("acme") as database:
        session = database.session

        async def read() -> int:
            return len((await session.scalars(select(User))).all())

        both = await asyncio.gather(read(), read(), return_exceptions=True)
        refused = [one for one in both if isinstance(one, PinstripeError)]
        assert [one for one in both if one == 3] == [3]
        assert "in use by another task" in str(refused[0])
        assert await read() == 3
        await session.rollback()


@pytest.mark.parametrize("what", ["commit", "rollback"])
async def test_nobody_ends_the_transaction_in_which_another_task_is_busy(application: Application, what: str) -> None:
    async with application.workspace("acme") as database:
        session = database.session
        await session.scalars(select(User))

        async def read() -> int:
            return len((await session.scalars(select(User))).all())

        both: Any = await asyncio.gather(read(), getattr(session, what)(), return_exceptions=True)
        assert both[0] == 3
        assert isinstance(both[1], PinstripeError)
        assert "in use by another task" in str(both[1])
        await session.rollback()
        assert await database.users.count() == 3


async def test_operations_on_tables_take_turns_in_as_many_tasks_as_there_are(application: Application) -> None:
    async with application.workspace("acme") as database:
        await asyncio.gather(*(database.users.insert(name=f"acme-{number}") for number in range(3, 23)))
        assert await database.users.count() == 23
    async with application.workspace("globex") as database:
        assert await database.users.count() == 3
