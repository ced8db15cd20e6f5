"""What the setting `tenants.context` may name, and the workspaces of a project that it is entered for."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import pytest

from pinstripe.checks import look
from pinstripe.errors import ConfigurationError, PinstripeError, TenantFailures
from pinstripe.opening import open_project
from pinstripe.runs import Request
from pinstripe.selection import Selection
from pinstripe.tenant_contexts import TenantContext, load_tenant_context

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from types import TracebackType

    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio

SWITCH = """
    from contextlib import asynccontextmanager, contextmanager
    from contextvars import ContextVar

    current = ContextVar("current", default=None)
    events = []

    def tenants():
        return ["acme", "bolt"]

    @{decorator}
    {prefix}def switch(tenant):
        events.append(f"enter {{tenant.id}}")
        token = current.set(tenant.id)
        try:
            yield
        except ValueError as error:
            events.append(f"told {{error}}")
        finally:
            current.reset(token)
            events.append(f"leave {{tenant.id}}")
"""

JOB = """
    import shop
    from pinstripe import BackgroundJob

    class Show(BackgroundJob):
        {run} run(self) -> str:
            shop.events.append(f"job of {{self.tenant and self.tenant.id}} in {{shop.current.get()}}")
"""

KINDS = pytest.mark.parametrize(("decorator", "prefix"), [("contextmanager", ""), ("asynccontextmanager", "async ")])


def shop(folder: ProjectFolder, decorator: str = "contextmanager", prefix: str = "") -> Any:
    folder.configure(
        """
        multi_tenant = true

        [tool.pinstripe.tenants]
        source = "shop:tenants"
        context = "shop:switch"
        """
    )
    folder.file("shop.py", SWITCH.format(decorator=decorator, prefix=prefix))
    folder.job("show", JOB.format(run="async def"))
    folder.job("show_in_thread", JOB.format(run="def"))


@contextmanager
def plain(tenant: object) -> Iterator[None]:
    yield


@asynccontextmanager
async def later(tenant: object) -> AsyncIterator[None]:
    yield


class PlainClass:
    def __init__(self, tenant: object) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None: ...


class AsyncClass:
    def __init__(self, tenant: object) -> None: ...

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None: ...


class BothClass(AsyncClass, PlainClass):
    pass


@pytest.mark.parametrize(
    ("function", "asynchronous"),
    [
        (plain, False),
        (PlainClass, False),
        (lambda tenant: plain(tenant), False),  # noqa: PLW0108 - it is another kind of function
        (partial(plain), False),
        (later, True),
        (AsyncClass, True),
        (BothClass, True),
        (partial(later), True),
    ],
)
def test_whether_it_is_asynchronous_is_known_without_calling_it(function: Any, asynchronous: bool) -> None:
    assert TenantContext(function, "shop:switch").asynchronous is asynchronous


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("other = 1", "shop has no attribute 'switch'"),
        ("switch = 5", "expected a function that is called with the tenant and gives a context manager, got a int"),
        ("def switch(): ...", "alone, got one with the signature (): too many positional arguments"),
        ("def switch(tenant, database): ...", "missing a required argument: 'database'"),
        ("def switch(tenant): yield", "got a generator; put contextlib.contextmanager over it"),
        ("async def switch(tenant): yield", "got a generator; put contextlib.asynccontextmanager over it"),
        ("async def switch(tenant): ...", "got an async def that returns"),
        ("import nowhere", "shop can't be imported: ModuleNotFoundError: No module named 'nowhere'"),
        ("raise SystemExit(1)", "shop can't be imported: SystemExit: 1"),
        ("swich = print", "shop has no attribute 'switch'; the nearest is swich"),
    ],
)
async def test_what_can_not_be_one_is_told_before_anything_runs(
    project_folder: ProjectFolder, line: str, reason: str
) -> None:
    shop(project_folder)
    project_folder.file("tenancy.py", "def tenants():\n    return ['acme']\n")
    project_folder.job("show", JOB.format(run="async def").replace("import shop", ""))
    project_folder.job("alone", "from pinstripe import BackgroundJob\n" + ALONE)
    project_folder.file("shop.py", line + "\n")
    (project_folder.path / "lib/background_jobs/show_in_thread.py").unlink()
    settings = project_folder.path / "pyproject.toml"
    settings.write_text(settings.read_text().replace("shop:tenants", "tenancy:tenants"))
    problems = [problem for problem in await look(project_folder.path) if problem.where == "setting tenants.context"]
    assert len(problems) == 1
    assert reason in problems[0].reason
    async with open_project(project_folder.path) as project, project.workspace(tenant=None) as workspace:
        with pytest.raises(ConfigurationError) as raised:
            await workspace.run_background_job("show")
        assert str(raised.value).startswith("setting tenants.context = 'shop:switch': ")
        assert reason in str(raised.value)
        await workspace.run_background_job("alone")  # which has no tenants, so it needs none of this
    with pytest.raises(ConfigurationError, match="setting tenants"):
        load_tenant_context("shop:switch")


ALONE = """
class Alone(BackgroundJob):
    multi_tenant = False

    async def run(self) -> None: ...
"""


@KINDS
@pytest.mark.parametrize("job", ["show", "show_in_thread"])
async def test_each_tenant_s_job_is_inside_it(
    project_folder: ProjectFolder, decorator: str, prefix: str, job: str
) -> None:
    shop(project_folder, decorator, prefix)
    async with open_project(project_folder.path) as project, project.workspace(tenant=None) as workspace:
        await workspace.options(tenants=["acme"]).run_background_job(job)
        await workspace.options(tenants=["bolt"]).run_background_job(job)
        assert shop_events() == [
            line for each in ("acme", "bolt") for line in (f"enter {each}", f"job of {each} in {each}", f"leave {each}")
        ]


def shop_events() -> list[str]:
    import sys

    events: list[str] = sys.modules["shop"].events
    return events


@KINDS
async def test_a_tenant_s_workspace_is_inside_it_and_what_it_runs_enters_it_anew(
    project_folder: ProjectFolder, decorator: str, prefix: str
) -> None:
    shop(project_folder, decorator, prefix)
    async with open_project(project_folder.path) as project:
        with pytest.raises(ValueError, match="lost"):  # which the context swallows, in vain
            await show_and_fail(project)
        async with project.workspace(tenant=None):
            pass
        inner = ["enter acme", "job of acme in acme", "leave acme"]
        assert shop_events() == ["enter acme", *inner, "told lost", "leave acme"]


async def show_and_fail(project: Any) -> None:
    async with project.workspace(tenant="acme") as workspace:
        await workspace.run_background_job("show")
        message = "lost"
        raise ValueError(message)


async def test_one_that_fails_closes_no_workspace_that_was_not_opened(project_folder: ProjectFolder) -> None:
    shop(project_folder)
    text = SWITCH.format(decorator="contextmanager", prefix="")
    project_folder.file("shop.py", text.replace("yield", "raise OSError('no such schema')\n            yield"))
    async with open_project(project_folder.path) as project:
        with pytest.raises(PinstripeError, match="for tenant 'acme' failed to open: OSError: no such schema"):
            async with project.workspace(tenant="acme"):
                pytest.fail("it was entered")
        async with project.workspace(tenant=None) as workspace:
            with pytest.raises(TenantFailures) as raised:
                await workspace.run_background_job("show")
        assert {*raised.value.by_tenant} == {"acme", "bolt"}


def test_a_plain_workspace_enters_nothing_for_it_has_its_own_thread(project_folder: ProjectFolder) -> None:
    shop(project_folder)
    with open_project(project_folder.path) as project, project.workspace(tenant="acme") as workspace:
        workspace.run_background_job("show")
        assert shop_events() == ["enter acme", "job of acme in acme", "leave acme"]


async def test_a_job_in_a_process_is_inside_it_there(
    project_folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop(project_folder)
    monkeypatch.chdir(project_folder.path)
    source = JOB.format(run="def").replace("        def run", '        runs_in = "process"\n\n        def run')
    project_folder.job("show_in_thread", source + "            open('told.txt', 'w').write(str(shop.events))\n")
    async with open_project(project_folder.path) as project:
        outcome = await project.run(Request("show_in_thread", selection=Selection(tenants=("acme",))))
        assert outcome.executions.succeeded == 1
        assert shop_events() == []
    assert (project_folder.path / "told.txt").read_text() == "['enter acme', 'job of acme in acme']"
