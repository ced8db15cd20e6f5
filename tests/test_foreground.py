from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.background_job import BackgroundJob
from pinstripe.errors import (
    ConfigurationError,
    InvalidArguments,
    PinstripeError,
    RunCancelled,
    TenantFailures,
    TenantSourceFailed,
    UnknownJob,
    UnknownTenant,
)
from tests.shop import Recorder, Shop, many, open_shop

if TYPE_CHECKING:
    from pinstripe.run import Run
    from pinstripe.watcher import Watcher
    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio


class Sums(BackgroundJob):
    def run(self, *numbers: int) -> int:
        return sum(numbers)


class Fails(BackgroundJob):
    async def run(self) -> None:
        raise LookupError("nothing there")


class Exits(BackgroundJob):
    async def run(self) -> None:
        sys.exit(3)


class FailsForSome(BackgroundJob):
    multi_tenant = True

    async def run(self, *bad: str) -> str:
        if self.tenant.id in bad:
            raise ValueError(f"bad {self.tenant.id}")
        return self.tenant.id


class ExitsForAll(BackgroundJob):
    multi_tenant = True

    async def run(self) -> None:
        raise KeyboardInterrupt


class Waits(BackgroundJob):
    """Says that it has begun, and waits for ever."""

    multi_tenant = True

    async def run(self) -> None:
        self.progress(0)
        await asyncio.Event().wait()


class Begun(Recorder):
    """Hears when a job says that it has begun."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = asyncio.Event()

    def progress(self, tenant: str | None, done: float, total: float | None) -> None:
        super().progress(tenant, done, total)
        self.begun.set()


async def in_global_workspace(shop: Shop, job_class: type[BackgroundJob], *args: Any, **options: Any) -> Run:
    shop.add(job_class)
    async with shop.project.workspace(tenant=None) as workspace:
        if options:
            return await workspace.options(**options).run_background_job(job_class, *args)
        return await workspace.run_background_job(job_class, *args)


# What becomes of a run that code awaits.


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


# Runs inside runs.


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


# Stopping.


async def test_stop_cancels_what_runs_and_what_has_not_started(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        watcher = Begun()
        task = asyncio.create_task(shop.run(Waits, watcher=watcher, concurrency=2))
        await watcher.begun.wait()
        shop.project.stop("shut down")
        run = await task
        assert (run.status, run.executions.cancelled) == ("cancelled", 3)
        reasons = [(await shop.execution(run, id_)).error for id_ in ("acme", "birch", "cedar")]
        assert reasons == ["shut down", "shut down", "not started"]
        assert watcher.runs == [run]


async def test_stop_raises_run_cancelled_where_code_awaits(project_folder: ProjectFolder) -> None:
    class Tells(Waits):
        async def run(self) -> None:
            shop.project.stop()
            await super().run()

    async with open_shop(project_folder) as shop:
        with pytest.raises(RunCancelled) as raised:
            await in_global_workspace(shop, Tells)
        assert raised.value.run.status == "cancelled"
        assert await shop.none_is_open()


async def test_stop_while_tenants_are_selected(project_folder: ProjectFolder) -> None:
    reading = asyncio.Event()

    async def hang(number: int) -> None:
        if number == 1_500:
            reading.set()
            await asyncio.Event().wait()

    async with open_shop(project_folder, many(2_000)) as shop:
        shop.on_reading(hang)
        watcher = Recorder()
        task = asyncio.create_task(shop.run(FailsForSome, watcher=watcher))
        await reading.wait()
        shop.project.stop()
        run = await task
        assert (run.status, run.executions.total, run.executions.cancelled) == ("cancelled", 1_000, 1_000)
        assert run.error is None
        assert (await shop.execution(run, "t00000")).error == "not started"
        assert watcher.calls == ["created", "selecting", "finished"]

        shop.on_reading(None)
        again = await shop.project.retry(run.id)
        assert again is not None
        assert (again.status, again.executions.succeeded, again.retry_of) == ("succeeded", 2_000, run.id)


async def test_stop_before_anything_is_recorded(project_folder: ProjectFolder) -> None:
    reading = asyncio.Event()

    async def hang(number: int) -> None:
        reading.set()
        await asyncio.Event().wait()

    async with open_shop(project_folder) as shop:
        shop.on_reading(hang)
        task = asyncio.create_task(shop.run(FailsForSome))
        await reading.wait()
        shop.project.stop()
        with pytest.raises(PinstripeError, match="stopped before anything of it was recorded"):
            await task
        assert await shop.runs() == []


@pytest.mark.parametrize("when", ["created", "selecting", "selected", "advanced", "finished"])
async def test_stop_from_a_watcher_at_any_moment_leaves_no_run_open(project_folder: ProjectFolder, when: str) -> None:
    async with open_shop(project_folder) as shop:

        class Stops(Recorder):
            pass

        def stop(self: Recorder, *facts: Any) -> None:
            getattr(Recorder, when)(self, *facts)
            shop.project.stop()

        setattr(Stops, when, stop)
        watcher = Stops()
        run = await shop.run(FailsForSome, watcher=watcher, concurrency=1)
        assert run.status == ("succeeded" if when == "finished" else "cancelled")
        assert await shop.none_is_open()
        assert watcher.calls[-1] == "finished"


async def test_a_timeout_around_a_run_stops_it_cleanly(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        shop.add(Waits)
        async with shop.project.workspace(tenant=None) as workspace:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await workspace.options(tenants=["acme"]).run_background_job(Waits)
        (run,) = await shop.runs()
        assert (run.status, (await shop.execution(run, "acme")).error) == ("cancelled", "interrupted")


async def test_cancelling_who_awaits_stops_the_inner_runs_too(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        name = shop.add(Waits)
        watcher = Begun()
        shop.add(GlobalOuter)

        class Starts(BackgroundJob):
            async def run(self) -> None:
                self.progress(0)
                await self.run_background_job(name)

        task = asyncio.create_task(shop.run(Starts, watcher=watcher))
        await watcher.begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await shop.none_is_open()
        assert {str(run.status) for run in await shop.runs()} == {"cancelled"}
        assert len(watcher.runs) == 1


@pytest.mark.parametrize("turns", range(12))
async def test_cancelling_who_awaits_at_any_moment_leaves_no_run_open(
    project_folder: ProjectFolder, turns: int
) -> None:
    async with open_shop(project_folder) as shop:
        task = asyncio.create_task(shop.run(Waits, concurrency=1))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await shop.none_is_open()


@pytest.mark.parametrize("turns", range(12))
async def test_stop_at_any_moment_leaves_no_run_open(project_folder: ProjectFolder, turns: int) -> None:
    async with open_shop(project_folder) as shop:
        task = asyncio.create_task(shop.run(FailsForSome, concurrency=1))
        for _ in range(turns):
            await asyncio.sleep(0)
        shop.project.stop()
        (ended,) = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(ended, PinstripeError) == (await shop.runs() == [])
        assert await shop.none_is_open()


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
