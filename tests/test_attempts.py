from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.answers import Cancel, RetryLater
from pinstripe.background_job import BackgroundJob
from pinstripe.foreground_run import GONE
from pinstripe.ledger import NewRun
from pinstripe.queue import LACKS_AGAIN, LACKS_JOB, NewWork
from pinstripe.retry import Retry
from pinstripe.run import Counts, Trigger, new_run_id
from tests.jobs import Sums
from tests.shop import Recorder, Shop, open_shop
from tests.working import drain, enqueue, seen, told_shop, working

if TYPE_CHECKING:
    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio

MINUTE = timedelta(minutes=1)


async def put(shop: Shop, job: str, tenants: list[str] | None = None) -> str:
    """Enqueue a run of a job that this process may not know; give its id."""
    id_ = new_run_id(shop.project.clock.now())
    selection = {"tenants": tenants, "exclude": [], "where": [], "force": False}
    await shop.project.ledger.open()
    await shop.project.ledger.queue.enqueue(
        [NewWork(NewRun(id_, job, Trigger.CODE, (), {}, selection), tenants or [""])]
    )
    return id_


async def test_an_attempt_is_as_in_the_foreground(project_folder: ProjectFolder) -> None:
    class Tells(BackgroundJob):
        multi_tenant = True

        async def run(self) -> list[Any]:
            self.progress(1, 2)
            print("hello from", self.tenant.id)  # noqa: T201
            self.logger.info("all is well")
            return [self.attempt.number, self.attempt.key, self.attempt.fence, self.attempt.scheduled_for]

    recorder = Recorder()
    async with open_shop(project_folder) as shop:
        run = await enqueue(shop, Tells, tenants=["acme", "birch"])
        await drain(shop, watcher=recorder)
        execution = await shop.execution(run, "acme")
    assert execution.result == [1, f"{run.id}/acme", 1, None]
    assert execution.log == "hello from acme\nINFO pinstripe.jobs.tells: all is well\n"
    assert ("acme", "hello from acme\n") in recorder.printed
    assert ("birch", "hello from birch\n") in recorder.printed


async def test_no_execution_sees_what_another_did_to_its_arguments(project_folder: ProjectFolder) -> None:
    class Spoils(BackgroundJob):
        multi_tenant = True

        async def run(self, words: list[str]) -> list[str]:
            words.append(self.tenant.id)
            return words

    async with open_shop(project_folder) as shop:
        run = await enqueue(shop, Spoils, ["x"])
        await drain(shop)
        results = [(await shop.execution(run, tenant)).result for tenant in ("acme", "birch", "cedar")]
    assert results == [["x", "acme"], ["x", "birch"], ["x", "cedar"]]


async def test_arguments_that_no_longer_fit_fail_the_execution(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        shop.add(Sums)
        id_ = new_run_id(shop.project.clock.now())
        await shop.project.ledger.open()
        await shop.project.ledger.queue.enqueue([NewWork(NewRun(id_, "sums", Trigger.CODE, ("x",), {}, {}), [""])])
        await drain(shop)
        run = await shop.project.ledger.find_run(id_)
    assert run.failures[0].error.startswith("InvalidArguments: an argument doesn't fit sums(*numbers: int)")


class Grown(BackgroundJob):
    retries = 3

    async def run(self, number: int) -> None:
        raise AssertionError(number)


async def test_arguments_that_the_job_has_got_since_are_missing_once(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        shop.add(Grown)
        id_ = new_run_id(shop.project.clock.now())
        await shop.project.ledger.open()
        await shop.project.ledger.queue.enqueue([NewWork(NewRun(id_, "grown", Trigger.CODE, (), {}, {}), [""])])
        await drain(shop)
        run = await shop.project.ledger.find_run(id_)
    assert (run.executions.failed, run.failures[0].attempts) == (1, 1)
    assert run.failures[0].error.startswith("InvalidArguments: ")
    assert "number" in run.failures[0].error


# Retries.


class Flaky(BackgroundJob):
    retries = Retry(2, wait="1m")
    good = 3

    async def run(self) -> int:
        if self.attempt.number < type(self).good:
            raise ValueError("not yet")
        return self.attempt.number


async def test_what_failed_is_tried_again_when_its_time_has_come(project_folder: ProjectFolder) -> None:
    async with told_shop(project_folder) as (shop, clock):
        run = await enqueue(shop, Flaky)
        for waited in (timedelta(), MINUTE * 0.8, MINUTE * 0.4):
            clock.advance(waited)
            await drain(shop)
        execution = await shop.execution(run)
        assert (execution.status, execution.attempts, execution.error) == ("queued", 2, "ValueError: not yet")
        clock.advance(MINUTE * 1.2)
        await drain(shop)
        execution = await shop.execution(run)
        assert (execution.status, execution.attempts, execution.error) == ("succeeded", 3, None)
        assert (await seen(shop, run)).result == 3


async def test_retries_have_an_end(project_folder: ProjectFolder) -> None:
    class Never(Flaky):
        good = 100

    async with told_shop(project_folder) as (shop, clock):
        run = await enqueue(shop, Never)
        for _ in range(4):
            await drain(shop)
            clock.advance(MINUTE * 1.2)
        done = await seen(shop, run)
    assert (done.status, done.failures[0].attempts) == ("failed", 3)


async def test_a_policy_that_raises_loses_no_execution(
    project_folder: ProjectFolder, caplog: pytest.LogCaptureFixture
) -> None:
    class Odd(type):
        def __instancecheck__(cls, instance: object) -> bool:
            raise RuntimeError("never mind")

    class OddError(Exception, metaclass=Odd): ...

    class Fails(BackgroundJob):
        retries = Retry(2, on=OddError)

        async def run(self) -> None:
            raise ValueError("bad")

    async with open_shop(project_folder) as shop:
        run = await enqueue(shop, Fails)
        await drain(shop)
        assert (await seen(shop, run)).failures[0].error == "ValueError: bad"
    assert "its retries can't be told" in caplog.text


async def test_a_job_may_ask_to_run_later_and_that_is_no_attempt(project_folder: ProjectFolder) -> None:
    seen_numbers: list[int] = []

    class Later(BackgroundJob):
        async def run(self) -> None:
            seen_numbers.append(self.attempt.number)
            if len(seen_numbers) < 3:
                raise RetryLater("5m", "the bank is closed")

    async with told_shop(project_folder) as (shop, clock):
        run = await enqueue(shop, Later)
        for _ in range(3):
            assert not (await seen(shop, run)).finished
            await drain(shop)
            await drain(shop)  # nothing is due yet
            clock.advance(MINUTE * 5)
        assert (await seen(shop, run)).status == "succeeded"
    assert seen_numbers == [1, 1, 1]


async def test_a_job_may_cancel_itself(project_folder: ProjectFolder) -> None:
    class Moot(BackgroundJob):
        retries = 3

        async def run(self) -> None:
            raise Cancel("the invoice is paid")

    async with open_shop(project_folder) as shop:
        run = await enqueue(shop, Moot)
        await drain(shop)
        assert (await seen(shop, run)).status == "cancelled"
        assert (await shop.execution(run)).error == "the invoice is paid"


async def test_a_job_is_stopped_at_its_timeout(project_folder: ProjectFolder) -> None:
    class Slow(BackgroundJob):
        timeout = "10ms"

        async def run(self) -> None:
            await asyncio.Event().wait()

    async with open_shop(project_folder) as shop:
        run = await enqueue(shop, Slow)
        await drain(shop)
        assert (await seen(shop, run)).failures[0].error == "TimeoutError: exceeded its timeout of 10ms"


# Tenants.


class Greets(BackgroundJob):
    multi_tenant = True

    async def run(self) -> str:
        return f"{self.tenant.id} {self.tenant.plan}"


async def test_a_tenant_that_is_gone_is_skipped(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        run = await enqueue(shop, Greets, tenants=["acme", "birch"])
        shop.tenants([{"id": "birch", "plan": "free", "active": True}, {"id": "acme", "active": False}])
        await drain(shop)
        assert await shop.statuses(run, "acme", "birch") == ["skipped", "succeeded"]
        assert (await shop.execution(run, "acme")).error == GONE


async def test_a_tenant_that_is_newer_than_the_last_reading_is_not_skipped(project_folder: ProjectFolder) -> None:
    came: asyncio.Queue[str] = asyncio.Queue()

    class Welcomes(BackgroundJob):
        multi_tenant = True

        async def run(self) -> None:
            came.put_nowait(self.tenant.id)

    async with open_shop(project_folder, ["acme"]) as shop, working(shop):
        await enqueue(shop, Welcomes, tenants=["acme"])
        assert await came.get() == "acme"
        shop.tenants(["acme", "new"])
        await enqueue(shop, Welcomes, tenants=["new"])
        assert await came.get() == "new"


async def test_a_source_that_fails_skips_nobody(
    project_folder: ProjectFolder, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(number: int) -> None:
        raise OSError("no route to host")

    async with told_shop(project_folder) as (shop, clock):
        run = await enqueue(shop, Greets, tenants=["acme", "birch"])
        shop.on_reading(fail)
        with caplog.at_level(logging.WARNING, "pinstripe"):
            for _ in range(3):
                await drain(shop)
                clock.advance(timedelta(seconds=5))
        assert (await seen(shop, run)).executions == Counts(2, 2)
        assert (await shop.execution(run, "acme")).attempts == 0
        shop.on_reading(None)
        await drain(shop)
        assert (await seen(shop, run)).executions == Counts(2, succeeded=2)
    assert "its tenants can't be found now" in caplog.text
    assert "no route to host" in caplog.text


async def test_a_bug_in_looking_for_tenants_skips_nobody_and_is_not_met_again_at_once(
    project_folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object) -> None:
        raise AttributeError("a bug")

    async with told_shop(project_folder) as (shop, clock):
        run = await enqueue(shop, Greets, tenants=["acme"])
        with monkeypatch.context() as patch:
            patch.setattr("pinstripe.tenant_lookup.TenantLookup.find", fail)
            async with asyncio.timeout(10):
                await drain(shop)
        assert (await shop.execution(run, "acme")).status == "queued"
        clock.advance(timedelta(seconds=5))
        await drain(shop)
        assert (await seen(shop, run)).status == "succeeded"
    assert caplog.text.count("greets: looking for its tenants failed") == 1


@pytest.mark.parametrize(
    ("tenants", "multi_tenant", "error"),
    [(None, True, "has become multi-tenant"), (["acme"], False, "is no longer multi-tenant")],
)
async def test_a_job_that_has_changed_its_nature_fails_what_was_for_the_former_one(
    project_folder: ProjectFolder, *, tenants: list[str] | None, multi_tenant: bool, error: str
) -> None:
    class Changed(BackgroundJob):
        async def run(self) -> None: ...

    Changed.multi_tenant = multi_tenant
    async with open_shop(project_folder) as shop:
        id_ = await put(shop, shop.add(Changed), tenants)
        await drain(shop)
        run = await shop.project.ledger.find_run(id_)
    assert error in run.failures[0].error


# What this process doesn't have.


async def test_what_a_worker_has_no_job_for_waits_for_one_that_has(
    project_folder: ProjectFolder, caplog: pytest.LogCaptureFixture
) -> None:
    async with told_shop(project_folder) as (shop, clock):
        id_ = await put(shop, "not_yet_deployed")
        worker = shop.project.worker(watcher=Recorder())
        with caplog.at_level(logging.WARNING, "pinstripe"):
            await worker.work(drain=True)
        status = await shop.project.ledger.queue.status()
        assert status.held == {"due": 1}
        assert status.next_due is not None
        assert 29_000_000 < status.next_due - clock.microseconds <= 30_000_000
        project_folder.job(
            "not_yet_deployed",
            """
            from pinstripe import BackgroundJob

            class NotYetDeployed(BackgroundJob):
                async def run(self):
                    return self.attempt.number
            """,
        )
        clock.advance(timedelta(seconds=30))
        await drain(shop)
        assert (await shop.project.ledger.find_run(id_)).result == 1
    assert caplog.text.count("what is queued of it waits for a worker that has it") == 1


async def test_a_broken_job_file_costs_nothing_that_is_queued(
    project_folder: ProjectFolder, caplog: pytest.LogCaptureFixture
) -> None:
    project_folder.job("broken", "import nothing_of_that_name")
    async with told_shop(project_folder) as (shop, _):
        id_ = await put(shop, "broken")
        with caplog.at_level(logging.WARNING, "pinstripe"):
            await drain(shop)
        assert not (await shop.project.ledger.find_run(id_)).finished
    assert "what is queued of it waits for a worker that has it" in caplog.text
    assert "nothing_of_that_name" in caplog.text


async def test_a_job_that_its_own_process_can_not_load_waits_for_one_that_can(project_folder: ProjectFolder) -> None:
    async with told_shop(project_folder) as (shop, clock):
        good = """
            from pinstripe import BackgroundJob

            class Apart(BackgroundJob):
                runs_in = "process"

                def run(self):
                    return self.attempt.number
            """
        project_folder.job("apart", good)
        id_ = await put(shop, "apart")
        assert shop.project.registry.find("apart").runs_in == "process"  # as a worker has loaded it at its start
        for broken in ("import half_a_depl", None):
            if broken is None:
                (project_folder.path / "lib" / "background_jobs" / "apart.py").unlink()
            else:
                project_folder.job("apart", broken)
            await drain(shop)
            execution = await shop.project.ledger.find_execution(id_, None)
            assert execution is not None
            assert (execution.status, execution.attempts) == ("queued", 0)
            assert (execution.error or "").startswith(LACKS_JOB)
            clock.advance(timedelta(seconds=LACKS_AGAIN))
        project_folder.job("apart", good)
        await drain(shop)
        assert (await shop.project.ledger.find_run(id_)).result == 1
