from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import apsw
import pytest

from pinstripe.background_job import BackgroundJob
from pinstripe.errors import LedgerError
from tests.shop import Recorder, Shop, many, open_shop

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pinstripe.run import Counts, Failure, Run
    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio


class Gate:
    """Lets jobs in, counts who is inside, and lets them out again one by one or all."""

    def __init__(self) -> None:
        self.inside: list[str] = []
        self.most = 0
        self.came = asyncio.Condition()
        self.open = False
        self.out: set[str] = set()

    async def __call__(self, tenant: str) -> None:
        async with self.came:
            self.inside.append(tenant)
            self.most = max(self.most, len(self.inside))
            self.came.notify_all()
            try:
                await self.came.wait_for(lambda: self.open or tenant in self.out)
            finally:
                self.inside.remove(tenant)
                self.came.notify_all()

    async def has(self, count: int) -> list[str]:
        """Wait until so many are inside."""
        async with self.came:
            await self.came.wait_for(lambda: len(self.inside) == count)
            return [*self.inside]

    async def let_out(self, *tenants: str) -> None:
        """Let these go, or all."""
        async with self.came:
            self.open = not tenants
            self.out.update(tenants)
            self.came.notify_all()


def gated(gate: Gate) -> type[BackgroundJob]:
    class Gated(BackgroundJob):
        multi_tenant = True

        async def run(self, *bad: str) -> None:
            await gate(self.tenant.id)
            if self.tenant.id in bad:
                raise ValueError("bad")

    return Gated


class Quick(BackgroundJob):
    multi_tenant = True

    async def run(self) -> None: ...


@contextlib.contextmanager
def other_connection(path: Path) -> Iterator[apsw.Connection]:
    """Look at the ledger's file as another process would; by the same library, which knows of the locks it holds."""
    connection = apsw.Connection(str(path))
    try:
        yield connection
    finally:
        connection.close()


def asked(path: Path, sql: str) -> list[Any]:
    """Ask the ledger's file itself."""
    with other_connection(path) as other:
        return other.execute(sql).fetchall()


# Concurrency.


@pytest.mark.parametrize("concurrency", [1, 3, 50])
async def test_no_more_run_at_once_than_are_allowed(project_folder: ProjectFolder, concurrency: int) -> None:
    gate = Gate()
    async with open_shop(project_folder, many(20)) as shop:
        task = asyncio.create_task(shop.run(gated(gate), concurrency=concurrency))
        inside = await gate.has(min(concurrency, 20))
        path = shop.project.settings.ledger_path
        running = asked(path, "select tenant from executions where state = 'running' order by tenant")
        assert [tenant for (tenant,) in running] == sorted(inside)
        assert asked(path, "select count(*) from executions where state = 'running' and attempts = 1") == [
            (len(inside),)
        ]
        await gate.let_out()
        run = await task
    assert gate.most == min(concurrency, 20)
    assert (run.status, run.executions.succeeded) == ("succeeded", 20)


async def test_the_project_says_how_many_run_at_once(project_folder: ProjectFolder) -> None:
    gate = Gate()
    settings = "worker.concurrency = 2"
    async with open_shop(project_folder, many(5), settings=settings) as shop:
        task = asyncio.create_task(shop.run(gated(gate)))
        await gate.has(2)
        await gate.let_out()
        await task
    assert gate.most == 2


async def test_a_slot_that_is_free_is_filled_while_others_go_on(project_folder: ProjectFolder) -> None:
    gate = Gate()
    async with open_shop(project_folder, ["a", "b", "c", "d"]) as shop:
        task = asyncio.create_task(shop.run(gated(gate), concurrency=2))
        assert await gate.has(2) == ["a", "b"]
        await gate.let_out("a", "c")
        async with gate.came:
            await gate.came.wait_for(lambda: "d" in gate.inside)
        assert gate.inside == ["b", "d"]
        await gate.let_out()
        assert (await task).executions.succeeded == 4


async def test_counts_never_tell_more_running_than_started(project_folder: ProjectFolder) -> None:
    recorder = Recorder()
    async with open_shop(project_folder, many(200)) as shop:
        run = await shop.run(Quick, watcher=recorder, concurrency=7)
    assert run.executions.succeeded == 200
    assert all(counts.running <= 7 and counts.total == 200 for counts in recorder.advances)
    assert all(counts.queued + counts.running + counts.done == counts.total for counts in recorder.advances)
    done = [counts.done for counts in recorder.advances]
    assert done == sorted(done)
    assert done[-1] == 200


# What a watcher hears.


async def test_a_watcher_hears_everything_in_order(project_folder: ProjectFolder) -> None:
    class Talks(BackgroundJob):
        multi_tenant = True

        async def run(self) -> None:
            self.progress(1, 4)
            print("hello from", self.tenant.id)  # noqa: T201
            self.progress(2)
            if self.tenant.id == "birch":
                raise ValueError("bad")

    recorder = Recorder()
    async with open_shop(project_folder) as shop:
        run = await shop.run(Talks, watcher=recorder)
        log = (await shop.execution(run, "acme")).log
    calls = [call for number, call in enumerate(recorder.calls) if [call] != recorder.calls[number - 1 : number]]
    assert calls == ["created", "selecting", "selected", "advanced", "finished"]
    assert recorder.runs == [run]
    assert recorder.found == [3]
    assert sorted(recorder.printed) == [(id_, f"hello from {id_}\n") for id_ in ("acme", "birch", "cedar")]
    assert [each for each in recorder.progresses if each[0] == "acme"] == [("acme", 1, 4), ("acme", 2, None)]
    assert [(each.tenant, each.error) for each in recorder.failures] == [("birch", "ValueError: bad")]
    assert log == "hello from acme\n"


async def test_output_is_left_alone_where_the_watcher_says_so(
    project_folder: ProjectFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    class Prints(BackgroundJob):
        async def run(self) -> None:
            print("not captured")  # noqa: T201

    recorder = Recorder()
    recorder.captures = False
    async with open_shop(project_folder) as shop:
        run = await shop.run(Prints, watcher=recorder)
        assert (await shop.execution(run)).log is None
    assert recorder.printed == []
    assert capsys.readouterr().out == "not captured\n"


# Fail fast.


async def test_fail_fast_starts_no_more_and_lets_the_running_ones_finish(project_folder: ProjectFolder) -> None:
    gate = Gate()
    async with open_shop(project_folder, ["a", "b", "c", "d"]) as shop:
        recorder = _Ear()
        task = asyncio.create_task(shop.run(gated(gate), "a", concurrency=2, fail_fast=True, watcher=recorder))
        await gate.has(2)
        await gate.let_out("a")
        await recorder.failed.wait()
        await gate.let_out()
        run = await task
        assert run.status == "failed"
        assert await shop.statuses(run, "a", "b", "c", "d") == ["failed", "succeeded", "cancelled", "cancelled"]
        reason = "not started: another tenant failed (--fail-fast)"
        assert [(await shop.execution(run, id_)).error for id_ in "cd"] == [reason, reason]


class _Ear(Recorder):
    def __init__(self) -> None:
        super().__init__()
        self.failed = asyncio.Event()

    def advanced(self, run: Run, counts: Counts, failures: Sequence[Failure]) -> None:
        super().advanced(run, counts, failures)
        if failures:
            self.failed.set()


async def test_fail_fast_lets_those_finish_whose_start_was_on_its_way(project_folder: ProjectFolder) -> None:
    """A failure is heard while the transaction that starts others waits for another process."""
    gate = Gate()
    async with open_shop(project_folder, ["a", "b", "c"]) as shop:
        task = asyncio.create_task(shop.run(gated(gate), "b", concurrency=2, fail_fast=True))
        assert await gate.has(2) == ["a", "b"]
        with _busy(shop.project.settings.ledger_path):
            await gate.let_out("a")
            await gate.has(1)  # "a" has ended, and "c" is to be started in its place
            await asyncio.sleep(0)
            await gate.let_out("b")
            await gate.has(0)
        await gate.let_out()
        run = await task
        assert (await shop.statuses(run, "a", "b")) == ["succeeded", "failed"]
        assert (await shop.execution(run, "c")).status in {"succeeded", "cancelled"}
        assert (await shop.execution(run, "c")).error in {None, "not started: another tenant failed (--fail-fast)"}


async def test_a_stop_takes_those_too_whose_start_was_on_its_way(project_folder: ProjectFolder) -> None:
    gate = Gate()
    async with open_shop(project_folder, ["a", "b", "c"]) as shop:
        task = asyncio.create_task(shop.run(gated(gate), concurrency=1))
        assert await gate.has(1) == ["a"]
        with _busy(shop.project.settings.ledger_path):
            await gate.let_out("a")
            await gate.has(0)
            for _ in range(20):  # "a" has ended, and "b" is to be started in its place
                await asyncio.sleep(0)
            shop.project.stop()
        run = await asyncio.wait_for(task, 10)
        assert await shop.statuses(run, "a", "b", "c") == ["succeeded", "cancelled", "cancelled"]
        assert (await shop.execution(run, "b")).error == "interrupted"
        assert (await shop.execution(run, "c")).error == "not started"


@contextlib.contextmanager
def _busy(path: Path) -> Iterator[None]:
    """Hold the file's write lock, as another process does in the middle of a transaction."""
    with other_connection(path) as other:
        other.execute("begin immediate")
        yield
        other.execute("rollback")


# Timeouts.


@pytest.mark.parametrize(("own", "given_"), [("20ms", None), (None, 20), ("1h", 20), ("20ms", 3_600_000)])
async def test_the_smaller_timeout_holds(project_folder: ProjectFolder, own: str | None, given_: float | None) -> None:
    class Hangs(BackgroundJob):
        timeout = own

        async def run(self) -> None:
            await asyncio.Event().wait()

    async with open_shop(project_folder) as shop:
        run = await shop.run(Hangs, timeout=None if given_ is None else timedelta(milliseconds=given_))
    assert (run.status, run.failures[0].error) == ("failed", "TimeoutError: exceeded its timeout of 20ms")


# What an attempt is told.


async def test_an_attempt_knows_its_number_key_and_fence(project_folder: ProjectFolder) -> None:
    class Tells(BackgroundJob):
        multi_tenant = True

        async def run(self) -> list[Any]:
            attempt = self.attempt
            return [attempt.number, attempt.key, attempt.fence, attempt.cancelled, attempt.scheduled_for]

    async with open_shop(project_folder) as shop:
        run = await shop.run(Tells)
        results = [(await shop.execution(run, id_)).result for id_ in ("acme", "birch")]
    assert results == [[1, f"{run.id}/{id_}", 1, False, None] for id_ in ("acme", "birch")]


async def test_each_execution_has_arguments_of_its_own(project_folder: ProjectFolder) -> None:
    class Changes(BackgroundJob):
        multi_tenant = True

        async def run(self, items: list[str]) -> list[str]:
            items.append(self.tenant.id)
            return items

    async with open_shop(project_folder) as shop:
        run = await shop.run(Changes, ["x"])
        results = [(await shop.execution(run, id_)).result for id_ in ("acme", "birch", "cedar")]
    assert results == [["x", "acme"], ["x", "birch"], ["x", "cedar"]]
    assert run.args == (["x"],)


async def test_a_tenant_that_the_source_gives_twice_runs_once(project_folder: ProjectFolder) -> None:
    ran: list[str] = []

    class Remembers(BackgroundJob):
        multi_tenant = True

        async def run(self) -> None:
            ran.append(self.tenant.id)

    items = ["a", "a", "b", "a", *(f"t{number}" for number in range(30)), "b", "a"]
    async with open_shop(project_folder, items) as shop:
        run = await shop.run(Remembers, concurrency=2)
    assert run.executions.total == run.executions.succeeded == 32
    assert sorted(ran) == sorted(set(items))


# A ledger that fails in the middle of a run.


async def _fail_in_the_middle(shop: Shop, gate: Gate, spoil: str) -> None:
    task = asyncio.create_task(shop.run(gated(gate), concurrency=2))
    await gate.has(2)
    with other_connection(shop.project.settings.ledger_path) as other:
        other.execute(spoil)
    await gate.let_out("t00000")
    with pytest.raises(LedgerError):
        await task


async def test_taken_for_dead_in_mid_run_everything_stops(project_folder: ProjectFolder) -> None:
    gate = Gate()
    async with open_shop(project_folder, many(10)) as shop:
        await _fail_in_the_middle(shop, gate, "delete from owners")
        assert gate.inside == []  # whoever was inside has been cancelled, and nobody else came
        (run,) = await shop.runs()
        assert (run.status, run.executions.succeeded, run.executions.cancelled) == ("cancelled", 1, 9)
        assert (await shop.execution(run, "t00001")).error == "interrupted"
        again = await shop.project.ledger.find_run("last")
        assert again.id == run.id
        # The process goes on under another number.
        assert (await shop.run(Quick)).executions.succeeded == 10


async def test_a_ledger_that_refuses_all_writes_stops_everything_and_is_mended_at_the_next_opening(
    project_folder: ProjectFolder,
) -> None:
    gate = Gate()
    refusal = "create trigger refuse before update on {} begin select raise(abort, 'no more'); end"
    with contextlib.suppress(LedgerError):  # closing finds the same
        async with open_shop(project_folder, many(10)) as shop:
            path = shop.project.settings.ledger_path
            task = asyncio.create_task(shop.run(gated(gate), concurrency=2))
            await gate.has(2)
            with other_connection(path) as other:
                other.execute(refusal.format("executions"))
            await gate.let_out("t00000")
            with pytest.raises(LedgerError):
                await task
            assert len((await shop.runs())[0].failures) == 0
            assert not (await shop.runs())[0].finished
    with other_connection(path) as other:
        other.execute("drop trigger refuse")
    async with open_shop(project_folder) as shop:
        (run,) = await shop.runs()
        assert (run.status, run.executions.cancelled, run.executions.succeeded) == ("cancelled", 10, 0)
        assert await shop.statuses(run, "t00000", "t00005") == ["cancelled", "cancelled"]
        assert (await shop.execution(run, "t00000")).error == "interrupted"
        assert (await shop.execution(run, "t00005")).error == "not started"
