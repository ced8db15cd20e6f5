"""Foreground runs: they live and die with their process, whoever asked for them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from pinstripe.errors import (
    ConfigurationError,
    InvalidArguments,
    PinstripeError,
    RunCancelled,
    TenantFailures,
    TenantSourceFailed,
)
from pinstripe.foreground_run import ForegroundRun
from pinstripe.redirection import redirected, shown
from pinstripe.run import Run, RunStatus
from pinstripe.runs import Interrupted, Request
from pinstripe.selection import Selection
from pinstripe.watcher import Guarded, Watcher

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pinstripe.background_job import BackgroundJob
    from pinstripe.executor import Executor
    from pinstripe.ledger import Ledger
    from pinstripe.ongoing import Ongoing
    from pinstripe.options import Call, Options
    from pinstripe.pulse import Pulse
    from pinstripe.runs import Plan, Runs, Started
    from pinstripe.workspace import Workspace


Lineage = frozenset[tuple[str, str | None]]
"""The jobs, with their tenants, inside which a run was started."""


class Foreground:
    """Runs jobs in this process, and knows what goes on, so that it can be stopped."""

    def __init__(self, runs: Runs, ledger: Ledger, *, concurrency: int) -> None:
        """Take the door that creates runs; `concurrency` is how many executions of a run go on at once by default."""
        self._runs = runs
        self._ledger = ledger
        self._concurrency = concurrency
        self._going: set[_Going] = set()
        self._recorded: dict[str, _Going] = {}
        self.executor: Executor
        """What executes; set by the project, since the executor is given this object to start nested runs with."""
        self.pulse: Pulse
        """What says that this process lives, as soon as it runs something; set by the project, too."""

    async def run(self, request: Request, watcher: Watcher) -> Run:
        """Run a request to its end; give the finished run, whatever became of its executions."""
        going = _Going(request, Guarded(watcher))
        run = await self._carry_out(going, partial(self._start, request, going.watcher, None))
        assert run is not None  # noqa: S101 - for the type checker: only a retry may find nothing to do
        return run

    async def retry(self, reference: str, request: Request, *, skipped: bool, watcher: Watcher) -> Run | None:
        """Retry a run to its end; None where there is nothing to retry. Of `request` only how to run is used."""
        going = _Going(request, Guarded(watcher))
        return await self._carry_out(
            going, partial(self._runs.retry, reference, skipped=skipped, watcher=going.watcher)
        )

    async def enqueue(
        self,
        workspace: Workspace,
        options: Options,
        job: str | type[BackgroundJob],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Run:
        """Enqueue a job from a workspace; raise what `Workspace.enqueue_background_job` promises."""
        request = Request(job, args, kwargs, selection=_selection(options))
        (run,) = await self._runs.enqueue(request, options.terms(), parent=workspace.run_id, only=workspace.tenant)
        return run

    async def enqueue_many(
        self, workspace: Workspace, options: Options, job: str | type[BackgroundJob], calls: list[Call]
    ) -> list[Run]:
        """Enqueue a run of a job for each of the `calls`, all or none; give them in order."""
        request = Request(job, selection=_selection(options))
        return await self._runs.enqueue(
            request, options.terms(), calls=calls, parent=workspace.run_id, only=workspace.tenant
        )

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
        outer = self._recorded.get(workspace.run_id or "")
        watcher = Guarded(Watcher()) if outer is None else _Nested(outer.watcher)
        going = _Going(request, watcher, _lineage(workspace, outer))
        run = await self._carry_out(going, partial(self._start, request, watcher, workspace, going.lineage))
        assert run is not None  # noqa: S101 - as above
        _raise_for(run, going.worker)
        return run

    def stop(self, reason: str = "interrupted") -> None:
        """Stop every run cleanly: cancel what runs, start no more."""
        for going in tuple(self._going):
            going.stop(reason)

    async def close(self) -> None:
        """Stop every run, and wait until each is closed in the ledger."""
        while self._going:
            self.stop()
            await asyncio.wait([going.task for going in self._going if going.task is not None])

    async def _start(
        self, request: Request, watcher: Watcher, workspace: Workspace | None, lineage: Lineage = frozenset()
    ) -> tuple[Plan, Started]:
        parent, only = (None, None) if workspace is None else (workspace.run_id, workspace.tenant)
        plan = await self._runs.plan(request, parent=parent, only=only)
        if workspace is not None:
            _refuse_endless(plan, workspace, lineage)
        return plan, await self._runs.start(plan, watcher)

    async def _carry_out(
        self, going: _Going, begin: Callable[[], Awaitable[tuple[Plan, Started] | None]]
    ) -> Run | None:
        """Go through a run in a task of its own, which closes it also where the caller's is cancelled."""
        self.pulse.start()
        task = going.task = asyncio.get_running_loop().create_task(self._go(going, begin))
        self._going.add(going)
        task.add_done_callback(lambda ended: self._ended(going, ended))
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            going.stop("interrupted")
            await asyncio.wait([task])
            raise
        if task.cancelled():
            message = "the run was stopped before anything of it was recorded; nothing was run"
            raise PinstripeError(message)
        return task.result()

    async def _go(self, going: _Going, begin: Callable[[], Awaitable[tuple[Plan, Started] | None]]) -> Run | None:
        with self.executor.tracing.running(going.request.job, going.request.trigger) as span:
            run = await self._go_through(going, begin, span)
            if run is None:
                span.forget()
            else:
                span.became(run)
            return run

    async def _go_through(
        self, going: _Going, begin: Callable[[], Awaitable[tuple[Plan, Started] | None]], span: Ongoing
    ) -> Run | None:
        try:
            begun = await begin()
        except Interrupted as interrupted:
            return interrupted.run
        if begun is None:
            return None
        plan, started = begun
        span.became(started.run)
        span.retries(plan.retried_trace)
        worker = going.worker = self._worker(plan, started, going)
        self._recorded[started.run.id] = going
        try:
            if going.stopped is not None:  # too late for the beginning to be cancelled
                with suppress(asyncio.CancelledError):
                    await asyncio.sleep(0)
                worker.stop(going.stopped)
            run = await _redirecting(worker, going.watcher)
        finally:
            del self._recorded[started.run.id]
        going.watcher.finished(run)
        return run

    def _worker(self, plan: Plan, started: Started, going: _Going) -> ForegroundRun:
        request = going.request
        return ForegroundRun(
            self._ledger,
            self.executor,
            plan,
            started,
            going.watcher,
            concurrency=request.concurrency or self._concurrency,
            timeout=None if request.timeout is None else request.timeout.total_seconds(),
            fail_fast=request.fail_fast,
        )

    def _ended(self, going: _Going, task: asyncio.Task[Run | None]) -> None:
        self._going.discard(going)
        if not task.cancelled():
            task.exception()  # it is raised to who waits; if nobody does any more, that is no reason for a warning


async def _redirecting(worker: ForegroundRun, watcher: Watcher) -> Run:
    """Execute with output and logging led to each execution's capture, or shown where the watcher captures nothing."""
    with redirected() if watcher.captures else shown():
        return await worker.execute()


class _Going:
    """A run that goes on, from its planning to its end."""

    def __init__(self, request: Request, watcher: Watcher, lineage: Lineage = frozenset()) -> None:
        self.request = request
        self.watcher = watcher
        self.lineage = lineage
        self.task: asyncio.Task[Run | None] | None = None
        self.worker: ForegroundRun | None = None
        self.stopped: str | None = None

    def stop(self, reason: str) -> None:
        """Stop it cleanly: before there is a worker, its beginning is cancelled, once."""
        if self.worker is not None:
            self.worker.stop(reason)
        elif self.stopped is None and self.task is not None:
            self.task.cancel()
        self.stopped = self.stopped or reason


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
    for name, ids in (("tenants", tenants), ("exclude", options.exclude)):
        if isinstance(ids, str):
            message = f"options({name}={ids!r}): expected a list of ids, as {name}=[{ids!r}]"
            raise InvalidArguments(message)
    return Selection(
        tenants=None if tenants is None else tuple(tenants),
        exclude=tuple(options.exclude or ()),
        where=tuple((options.where or {}).items()),
    )


def _lineage(workspace: Workspace, outer: _Going | None) -> Lineage:
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


def _raise_for(run: Run, worker: ForegroundRun | None) -> None:
    """Raise what became of a run that code awaits: nothing where it succeeded."""
    if run.status is RunStatus.SUCCEEDED:
        return
    if run.status is RunStatus.CANCELLED or worker is None:
        raise RunCancelled(run, None if worker is None else worker.reason)
    if run.error is not None:
        raise TenantSourceFailed(run.error)
    if run.executions.total == 1:
        for exception in worker.exceptions.values():
            raise exception
    raise TenantFailures(run, {tenant or "": _noted(each, tenant) for tenant, each in worker.exceptions.items()})


def _noted(exception: Exception, tenant: str | None) -> Exception:
    exception.add_note(f"tenant: {tenant}")
    return exception
