"""Attempts inside a tenant context: entered for the tenant, told how the attempt ended, left whatever happens."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.background_job import BackgroundJob
from pinstripe.run import ExecutionStatus
from pinstripe.tenant_contexts import TenantContext
from pinstripe.tenants import Tenant
from tests.attempts import Waiting, assign, executor, service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from pinstripe.outcome import Outcome

pytestmark = pytest.mark.anyio

CANCELLED, FAILED = ExecutionStatus.CANCELLED, ExecutionStatus.FAILED
CURRENT: ContextVar[str | None] = ContextVar("current_tenant", default=None)
LOCAL = threading.local()


class Switch:
    """Records what happens, in both manners of a context."""

    def __init__(self, *, at_exit: BaseException | None = None, at_enter: BaseException | None = None) -> None:
        self.events: list[Any] = []
        self.told: list[BaseException | None] = []
        self.threads: set[int] = set()
        self._at_exit, self._at_enter = at_exit, at_enter

    def enter(self, tenant: Tenant) -> None:
        if self._at_enter is not None:
            raise self._at_enter
        self.threads.add(threading.get_ident())
        LOCAL.tenant = tenant.id
        self.events.append(f"enter {tenant.id}")

    def leave(self, told: BaseException | None) -> None:
        self.threads.add(threading.get_ident())
        self.told.append(told)
        self.events.append("leave")
        LOCAL.tenant = None
        if self._at_exit is not None:
            raise self._at_exit

    @property
    def synchronous(self) -> TenantContext:
        @contextmanager
        def switch(tenant: Tenant) -> Iterator[None]:
            self.enter(tenant)
            token = CURRENT.set(tenant.id)
            told: BaseException | None = None
            try:
                yield
            except BaseException as error:  # noqa: BLE001 - it swallows whatever it can
                told = error
            CURRENT.reset(token)
            self.leave(told)

        return TenantContext(switch, "shop:switch")

    @property
    def asynchronous(self) -> TenantContext:
        @asynccontextmanager
        async def switch(tenant: Tenant) -> AsyncIterator[None]:
            self.enter(tenant)
            token = CURRENT.set(tenant.id)
            told: BaseException | None = None
            try:
                yield
            except BaseException as error:  # noqa: BLE001 - as above
                told = error
            await asyncio.sleep(0)
            CURRENT.reset(token)
            self.leave(told)

        return TenantContext(switch, "shop:switch")

    def of(self, kind: str) -> TenantContext:
        return self.synchronous if kind == "synchronous" else self.asynchronous


class OnLoop(BackgroundJob):
    async def run(self, error: BaseException | None = None) -> object:
        async def child() -> str | None:
            return CURRENT.get()

        if error is not None:
            raise error
        return CURRENT.get(), await asyncio.create_task(child()), threading.get_ident()


class InThread(BackgroundJob):
    def run(self, error: BaseException | None = None) -> object:
        if error is not None:
            raise error
        return CURRENT.get(), getattr(LOCAL, "tenant", None), threading.get_ident()


KINDS = pytest.mark.parametrize("kind", ["synchronous", "asynchronous"])
JOBS = pytest.mark.parametrize("job", [OnLoop, InThread])


async def attempt(context: TenantContext, job: type[BackgroundJob], *args: Any, **options: Any) -> Outcome:
    async with executor(context=context) as each:
        return await each.execute(assign(job, *args, **options))


@KINDS
async def test_on_the_loop_it_is_entered_in_the_attempt_s_task_and_seen_by_its_tasks(kind: str) -> None:
    switch = Switch()
    outcome = await attempt(switch.of(kind), OnLoop)
    assert outcome.value == ("acme", "acme", threading.get_ident())
    assert (switch.events, switch.told) == (["enter acme", "leave"], [None])
    assert CURRENT.get() is None


async def test_a_synchronous_one_is_entered_in_the_thread_of_a_plain_def_and_nowhere_else() -> None:
    switch = Switch()
    outcome = await attempt(switch.synchronous, InThread)
    assert outcome.value[:2] == ("acme", "acme")
    assert switch.threads == {outcome.value[2]}
    assert threading.get_ident() not in switch.threads


async def test_an_asynchronous_one_is_entered_on_the_loop_also_for_a_plain_def() -> None:
    switch = Switch()
    outcome = await attempt(switch.asynchronous, InThread)
    assert outcome.value[:2] == ("acme", None)  # context variables are copied into the thread, thread-locals are not
    assert switch.threads == {threading.get_ident()}


@pytest.mark.parametrize(
    ("kind", "job"), [("asynchronous", OnLoop), ("synchronous", OnLoop), ("asynchronous", InThread)]
)
async def test_services_are_opened_and_closed_inside_it(kind: str, job: type[BackgroundJob]) -> None:
    switch = Switch()

    class Serviced(job):  # type: ignore[misc, valid-type]
        mailer: Any

    async def mailer() -> AsyncIterator[str]:
        switch.events.append(f"open for {CURRENT.get()}")
        yield "mailer"
        switch.events.append(f"close for {CURRENT.get()}")

    async with executor(service(mailer), context=switch.of(kind)) as each:
        assert (await each.execute(assign(Serviced))).succeeded
    assert switch.events == ["enter acme", "open for acme", "close for acme", "leave"]


@KINDS
@JOBS
@pytest.mark.parametrize("error", [ValueError("lost"), SystemExit(3)])
async def test_it_is_told_of_a_failure_and_can_not_hide_it(
    kind: str, job: type[BackgroundJob], error: BaseException
) -> None:
    switch = Switch()
    outcome = await attempt(switch.of(kind), job, error)
    assert outcome.status is FAILED
    assert switch.told == [error]
    assert outcome.error in {"ValueError: lost", "the job called sys.exit(3)"}


@KINDS
@JOBS
async def test_what_fails_on_entering_fails_the_attempt(kind: str, job: type[BackgroundJob]) -> None:
    outcome = await attempt(Switch(at_enter=OSError("no such schema")).of(kind), job)
    assert outcome.status is FAILED
    assert outcome.error == "the tenant context shop:switch for tenant 'acme' failed to open: OSError: no such schema"


@KINDS
@JOBS
async def test_what_fails_on_leaving_is_told_beside_what_the_job_raised(kind: str, job: type[BackgroundJob]) -> None:
    message = "the tenant context shop:switch for tenant 'acme' failed to close: OSError: gone"
    switch = Switch(at_exit=OSError("gone"))
    assert (await attempt(switch.of(kind), job)).error == message
    outcome = await attempt(switch.of(kind), job, ValueError("lost"))
    assert outcome.error == "ValueError: lost"
    assert outcome.exception is not None
    assert outcome.exception.__notes__ == [message]


@JOBS
async def test_one_that_is_not_as_the_function_told_is_refused(job: type[BackgroundJob]) -> None:
    context = TenantContext(Switch().asynchronous.make, "shop:switch")
    outcome = await attempt(context, job)
    assert "expected a context manager, got a _AsyncGeneratorContextManager, which is asynchronous" in str(
        outcome.error
    )
    assert "expected a context manager, got None" in str((await attempt(TenantContext(print, "shop:p"), job)).error)


async def test_what_a_job_without_a_tenant_does_is_outside_of_it() -> None:
    switch = Switch()
    outcome = await attempt(switch.asynchronous, OnLoop, tenant=None)
    assert (outcome.succeeded, switch.events) == (True, [])


async def test_one_that_belongs_to_a_thread_refuses_an_async_def() -> None:
    context = TenantContext(in_thread_only, "shop:in_thread_only")
    assert (await attempt(context, InThread)).succeeded
    outcome = await attempt(context, OnLoop)
    assert "InvalidJob: the_job: run is an async def" in str(outcome.error).replace(f"{__file__}, ", "")


@contextmanager
def in_thread_only(tenant: Tenant) -> Iterator[None]:
    yield


in_thread_only.runs_in_thread = True  # type: ignore[attr-defined]


class Endless(Waiting):
    async def run(self) -> None:
        await self.begin()


class Swallowing(Waiting):
    async def run(self) -> str:
        try:
            await self.begin()
        except asyncio.CancelledError:
            return "all well"
        return "never"


class EndlessInThread(Waiting):
    def run(self) -> str:
        try:
            self.wait(self.begin())
        except BaseException:  # noqa: BLE001 - it ends well, although it was stopped
            return "all well"
        return "never"


async def stopped(context: TenantContext, job: type[BackgroundJob]) -> Outcome:
    begun = asyncio.Event()
    outcomes: asyncio.Queue[Outcome] = asyncio.Queue()
    tell: Callable[[float, float | None], None] = lambda _done, _total: begun.set()  # noqa: E731
    async with executor(context=context) as each:
        execution = each.start(assign(job, progress=tell), lambda _, outcome: outcomes.put_nowait(outcome))
        await begun.wait()
        execution.cancel()
        return await outcomes.get()


@KINDS
@pytest.mark.parametrize("job", [Endless, Swallowing, EndlessInThread])
async def test_it_is_told_of_a_stop_even_where_the_job_then_ends_well(kind: str, job: type[BackgroundJob]) -> None:
    switch = Switch()
    outcome = await stopped(switch.of(kind), job)
    assert outcome.status is CANCELLED
    assert switch.events == ["enter acme", "leave"]
    assert [type(each) for each in switch.told] == [asyncio.CancelledError]


@KINDS
async def test_it_is_left_after_a_timeout(kind: str) -> None:
    switch = Switch()
    outcome = await attempt(switch.of(kind), Endless, timeout=0.01)
    assert outcome.error == "TimeoutError: exceeded its timeout of 10ms"
    assert switch.events == ["enter acme", "leave"]


async def test_a_job_in_a_thread_is_inside_it_until_the_thread_ends() -> None:
    switch, may_end = Switch(), threading.Event()

    class Job(Waiting):
        def run(self) -> None:
            self.workspace.progress(0)
            may_end.wait()
            switch.events.append(f"still {getattr(LOCAL, 'tenant', None)}")

    begun = asyncio.Event()
    outcomes: asyncio.Queue[Outcome] = asyncio.Queue()
    async with executor(context=switch.synchronous, grace=0.01) as each:
        execution = each.start(
            assign(Job, progress=lambda _done, _total: begun.set()), lambda _, outcome: outcomes.put_nowait(outcome)
        )
        await begun.wait()
        execution.cancel()
        may_end.set()
        await outcomes.get()
    assert switch.events == ["enter acme", "still acme", "leave"]


async def test_many_tenants_at_once_are_each_in_their_own() -> None:
    switch = Switch()
    tenants = [Tenant(f"t{number}") for number in range(20)]
    async with executor(context=switch.synchronous) as each:
        outcomes = await asyncio.gather(
            *(each.execute(assign(job, tenant=tenant)) for tenant in tenants for job in (OnLoop, InThread))
        )
    assert [outcome.value[0] for outcome in outcomes] == [tenant.id for tenant in tenants for _ in range(2)]
