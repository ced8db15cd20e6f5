"""Foreground runs: they live and die with their process, whoever asked for them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pinstripe.errors import ConfigurationError, RunCancelled, TenantFailures, TenantSourceFailed
from pinstripe.redirection import redirected, shown
from pinstripe.run import Run, RunStatus
from pinstripe.runs import Interrupted, Request
from pinstripe.selection import Selection
from pinstripe.watcher import Watcher
from pinstripe.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from pinstripe.background_job import BackgroundJob
    from pinstripe.executor import Executor
    from pinstripe.ledger import Ledger
    from pinstripe.runs import Plan, Runs, Started
    from pinstripe.workspace import Options, Workspace


T = TypeVar("T")

Lineage = frozenset[tuple[str, str | None]]
"""The jobs, with their tenants, inside which a run was started."""


class Foreground:
    """Runs jobs in this process, and knows what goes on, so that it can be stopped."""

    def __init__(self, runs: Runs, ledger: Ledger, *, concurrency: int) -> None:
        """Take the door that creates runs; `concurrency` is how many executions of a run go on at once by default."""
        self._runs = runs
        self._ledger = ledger
        self._concurrency = concurrency
        self._active: dict[str, _Active] = {}
        self._beginning: set[asyncio.Task[Any]] = set()
        self.executor: Executor
        """What executes; set by the project, since the executor is given this object to start nested runs with."""

    async def run(self, request: Request, watcher: Watcher) -> Run:
        """Run a request to its end; give the finished run, whatever became of its executions."""
        begun = await self._begin(self._start(request, watcher, None, None))
        return begun if isinstance(begun, Run) else (await self._execute(*begun, request, watcher))[0]

    async def retry(self, reference: str, request: Request, *, skipped: bool, watcher: Watcher) -> Run | None:
        """Retry a run to its end; None where there is nothing to retry. Of `request` only how to run is used."""
        begun = await self._begin(self._runs.retry(reference, skipped=skipped, watcher=watcher))
        if begun is None or isinstance(begun, Run):
            return begun
        return (await self._execute(*begun, request, watcher))[0]

    async def launch(
        self,
        workspace: Workspace,
        options: Options,
        job: str | type[BackgroundJob],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Run:
        """Run a job from a workspace; raise what `Workspace.run_background_job` promises."""
        request = Request(job, args, kwargs, selection=_selection(options))
        outer = self._active.get(workspace.run_id or "")
        watcher = Watcher() if outer is None else _Nested(outer.watcher)
        begun = await self._begin(self._start(request, watcher, workspace, outer))
        if isinstance(begun, Run):
            raise RunCancelled(begun)
        run, worker = await self._execute(*begun, request, watcher, _lineage(workspace, outer))
        _raise_for(run, worker)
        return run

    def stop(self, reason: str = "interrupted") -> None:
        """Stop every run cleanly: cancel what runs, start no more."""
        for active in tuple(self._active.values()):
            active.worker.stop(reason)
        for task in tuple(self._beginning):
            task.cancel()

    async def _start(
        self, request: Request, watcher: Watcher, workspace: Workspace | None, outer: _Active | None
    ) -> tuple[Plan, Started]:
        parent, only = (None, None) if workspace is None else (workspace.run_id, workspace.tenant)
        plan = await self._runs.plan(request, parent=parent, only=only)
        if workspace is not None:
            _refuse_endless(plan, workspace, _lineage(workspace, outer))
        return plan, await self._runs.start(plan, watcher)

    async def _begin(self, beginning: Coroutine[Any, Any, T]) -> T | Run:
        """Let a run begin; `stop` ends that at once, and gives the run if it was recorded already."""
        task = asyncio.get_running_loop().create_task(beginning)
        self._beginning.add(task)
        try:
            return await asyncio.shield(task)
        except Interrupted as interrupted:
            return interrupted.run
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.exception()  # it has been told by the cancellation
            raise
        finally:
            self._beginning.discard(task)

    async def _execute(
        self,
        plan: Plan,
        started: Started,
        request: Request,
        watcher: Watcher,
        lineage: Lineage = frozenset(),
    ) -> tuple[Run, Worker]:
        worker = Worker(
            self._ledger,
            self.executor,
            plan,
            started,
            watcher,
            concurrency=request.concurrency or self._concurrency,
            timeout=None if request.timeout is None else request.timeout.total_seconds(),
            fail_fast=request.fail_fast,
        )
        self._active[started.run.id] = _Active(worker, watcher, lineage)
        task = asyncio.get_running_loop().create_task(_redirecting(worker, watcher))
        try:
            run = await asyncio.shield(task)
        except asyncio.CancelledError:
            worker.stop()
            await asyncio.wait([task])
            raise
        finally:
            del self._active[started.run.id]
        watcher.finished(run)
        return run, worker


async def _redirecting(worker: Worker, watcher: Watcher) -> Run:
    """Execute with output and logging led to each execution's capture, or shown where the watcher captures nothing."""
    with redirected() if watcher.captures else shown():
        return await worker.execute()


@dataclass(frozen=True, slots=True)
class _Active:
    """A run that goes on."""

    worker: Worker
    watcher: Watcher
    lineage: Lineage


class _Nested(Watcher):
    """Hears the output of a run that a job started, for whoever watches that job's run."""

    def __init__(self, outer: Watcher) -> None:
        self._outer = outer
        self.captures = outer.captures

    def output(self, tenant: str | None, text: str) -> None:
        self._outer.output(tenant, text)


def _selection(options: Options) -> Selection:
    """Make the selection of a workspace's options; no tenants named is nothing asked, an empty list is nobody."""
    tenants = options.tenants
    return Selection(
        tenants=None if tenants is None else tuple(tenants),
        exclude=tuple(options.exclude or ()),
        where=tuple((options.where or {}).items()),
    )


def _lineage(workspace: Workspace, outer: _Active | None) -> Lineage:
    if workspace.job is None:
        return frozenset()
    tenant = None if workspace.tenant is None else workspace.tenant.id
    return frozenset({(workspace.job, tenant)}) | (frozenset() if outer is None else outer.lineage)


def _refuse_endless(plan: Plan, workspace: Workspace, lineage: Lineage) -> None:
    """Refuse a job that is started, for the same tenant, from inside itself."""
    name = plan.definition.name
    tenant = workspace.tenant.id if workspace.tenant is not None and plan.definition.multi_tenant else None
    if (name, tenant) in lineage:
        whom = "" if tenant is None else f" for tenant {tenant!r}"
        message = f"{name} was started{whom} from inside itself, and would go on for ever"
        raise ConfigurationError(message)


def _raise_for(run: Run, worker: Worker) -> None:
    """Raise what became of a run that code awaits: nothing where it succeeded."""
    if run.status is RunStatus.SUCCEEDED:
        return
    if run.status is RunStatus.CANCELLED:
        raise RunCancelled(run)
    if run.error is not None:
        raise TenantSourceFailed(run.error)
    if run.executions.total == 1:
        for exception in worker.exceptions.values():
            raise exception if isinstance(exception, Exception) else _wrapped(exception)
    by_tenant = {
        tenant or "": _noted(exception if isinstance(exception, Exception) else _wrapped(exception), tenant)
        for tenant, exception in worker.exceptions.items()
    }
    raise TenantFailures(run, by_tenant)


def _wrapped(exception: BaseException) -> Exception:
    """Make an ordinary error of one that would end the caller's process, such as the job's `sys.exit`."""
    error = RuntimeError(f"the job raised {type(exception).__name__}: {exception}")
    error.__cause__ = exception
    return error


def _noted(exception: Exception, tenant: str | None) -> Exception:
    exception.add_note(f"tenant: {tenant}")
    return exception
