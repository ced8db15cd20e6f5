from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from pinstripe.errors import PinstripeError, TenantRequired, UnknownJob, WorkspaceClosed
from pinstripe.executing import CURRENT
from pinstripe.options import Options
from pinstripe.workspace import Workspace
from tests.attempts import ACME, Nobody, service
from tests.test_executing import Somebody

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio


async def test_the_tenant_can_not_change() -> None:
    async with Workspace(ACME, Nobody()) as workspace:
        assert workspace.tenant is ACME
        assert workspace.require_tenant() is ACME
        with pytest.raises(AttributeError):
            workspace.tenant = None  # type: ignore[misc]


async def test_a_global_workspace_has_no_tenant() -> None:
    async with Workspace(None, Nobody(), "billing/close_month") as workspace:
        assert workspace.tenant is None
        with pytest.raises(TenantRequired, match=r"job billing/close_month has no tenant; .* multi_tenant = True"):
            workspace.require_tenant()
        assert workspace.logger.name == "pinstripe.jobs.billing.close_month"
    assert Workspace(None, Nobody()).logger.name == "pinstripe.jobs"


async def test_a_job_is_launched_with_its_own_arguments_and_outside_of_the_execution() -> None:
    launcher = Nobody()
    somebody = Somebody()
    token = CURRENT.set(somebody)
    try:
        async with Workspace(ACME, launcher, "outer", "run-1") as workspace:
            with pytest.raises(UnknownJob):
                await workspace.run_background_job("inner", 1, job="named so", tenant="too")
            with pytest.raises(UnknownJob):
                await workspace.options(tenants=["a"]).run_background_job("inner")
            assert CURRENT.get() is somebody
    finally:
        CURRENT.reset(token)
    assert launcher.inside == [None, None]
    assert launcher.asked == [
        ("run-1", "inner", ((1,), {"job": "named so", "tenant": "too"}, None)),
        ("run-1", "inner", ((), {}, ["a"])),
    ]


async def test_an_unknown_option_is_named_with_the_known_ones() -> None:
    async with Workspace(ACME, Nobody()) as workspace:
        assert workspace.options() == Options(workspace)
        with pytest.raises(TypeError, match="unknown option tenant; expected one of tenants, exclude, where"):
            workspace.options(tenant="acme")


async def test_once_closed_it_refuses_every_use() -> None:
    workspace = Workspace(ACME, Nobody())
    async with workspace:
        options = workspace.options(tenants=["acme"])
    assert workspace.closed
    for use in (
        lambda: workspace.run_background_job("inner"),
        lambda: options.run_background_job("inner"),
        lambda: workspace.open_service(service(lambda: None)),
        workspace.__aenter__,
    ):
        with pytest.raises(WorkspaceClosed, match="the workspace for tenant acme is closed"):
            await use()
    with pytest.raises(WorkspaceClosed):
        workspace.service("mailer")
    with pytest.raises(WorkspaceClosed):
        workspace.wait(asyncio.sleep(0))


async def test_a_service_is_opened_once_and_found_by_its_name() -> None:
    opened: list[str] = []

    def mailer(tenant: object) -> object:
        opened.append(str(tenant))
        return object()

    async with Workspace(ACME, Nobody(), "job") as workspace:
        first = await workspace.open_service(service(mailer))
        assert await workspace.open_service(service(mailer)) is first
        assert workspace.service("mailer") is first
        with pytest.raises(AttributeError, match="job job has no service 'maler'"):
            workspace.service("maler")
    assert opened == ["Tenant('acme')"]


async def failing() -> AsyncIterator[int]:
    yield 1
    message = "stuck"
    raise OSError(message)


async def test_a_failing_close_is_raised_or_noted_on_what_is_on_its_way() -> None:
    with pytest.raises(PinstripeError, match="service failing failed to close: OSError: stuck"):
        async with Workspace(ACME, Nobody()) as workspace:
            await workspace.open_service(service(failing))
    workspace = await Workspace(ACME, Nobody()).__aenter__()
    await workspace.open_service(service(failing))
    error = ValueError("the job's own")
    await workspace.__aexit__(ValueError, error, None)
    assert error.__notes__ == ["service failing failed to close: OSError: stuck"]


async def test_a_thread_awaits_on_the_loop_of_the_workspace() -> None:
    loop_thread = threading.get_ident()

    async def where() -> int:
        return threading.get_ident()

    async def fail() -> None:
        message = "no"
        raise LookupError(message)

    async with Workspace(ACME, Nobody()) as workspace:
        assert await asyncio.to_thread(workspace.wait, where()) == loop_thread
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        future.set_result(7)
        assert await asyncio.to_thread(workspace.wait, future) == 7
        with pytest.raises(LookupError):
            await asyncio.to_thread(workspace.wait, fail())


async def test_waiting_on_the_loops_own_thread_is_refused() -> None:
    async with Workspace(ACME, Nobody()) as workspace:
        with pytest.raises(RuntimeError, match=r"wait\(\) is for a plain def run, .* in async code use await"):
            workspace.wait(asyncio.sleep(0))


async def test_what_a_thread_waits_for_is_cancelled_by_the_close() -> None:
    begun = asyncio.Event()
    ended: list[str] = []

    async def slow() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    workspace = Workspace(ACME, Nobody())
    async with workspace:
        waiting = asyncio.create_task(asyncio.to_thread(workspace.wait, slow()))
        await begun.wait()
    with pytest.raises(WorkspaceClosed):
        await waiting
    assert ended == ["cancelled"]


async def test_what_cancels_itself_while_a_thread_waits_is_told_as_that() -> None:
    async def give_up() -> None:
        raise asyncio.CancelledError

    errors: list[BaseException] = []

    async with Workspace(ACME, Nobody()) as workspace:

        def wait() -> None:
            try:
                workspace.wait(give_up())
            except asyncio.CancelledError as error:
                errors.append(error)

        await asyncio.to_thread(wait)
    assert len(errors) == 1


async def test_what_is_enqueued_has_its_own_arguments_too_and_its_options() -> None:
    launcher = Nobody()
    async with Workspace(ACME, launcher, "outer", "run-1") as workspace:
        with pytest.raises(UnknownJob):
            await workspace.enqueue_background_job("inner", 1, job="named so", key="too")
        with pytest.raises(UnknownJob):
            await workspace.options(tenants=["a"], key="k").enqueue_background_job("inner")
        with pytest.raises(UnknownJob):
            await workspace.options(tenants=["a"]).enqueue_background_jobs("inner", [(1,), {"job": 2}])
        with pytest.raises(TypeError, match="one key can't be for many runs"):
            await workspace.options(key="k").enqueue_background_jobs("inner", [])
    assert launcher.asked == [
        ("run-1", "inner", ((1,), {"job": "named so", "key": "too"}, None)),
        ("run-1", "inner", ((), {}, ["a"])),
        ("run-1", "inner", (((1,), {"job": 2}), {}, ["a"])),
    ]
    assert launcher.inside == [None, None, None]
