"""One attempt that goes on: the pipeline from its services' opening to its outcome.

An attempt without services, timeout and output touches no timer, no stack and no lock.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from pinstripe.errors import PinstripeError
from pinstripe.executing import CURRENT
from pinstripe.leftovers import end_tasks
from pinstripe.outcome import Outcome, ended_by, failed
from pinstripe.run import ExecutionStatus
from pinstripe.service_stack import CLOSE_LIMIT
from pinstripe.stopping import Stoppable
from pinstripe.threads import start_thread
from pinstripe.workspace import Workspace

if TYPE_CHECKING:
    from pinstripe.background_job import BackgroundJob
    from pinstripe.tenant_contexts import ContextOfTenant

KILL_AFTER = 1.0
"""How many seconds after its timeout the process of a job that has one is killed."""

_SUCCEEDED = ExecutionStatus.SUCCEEDED


class Execution(Stoppable):
    """One attempt that goes on: what `Executor.start` gives, to be cancelled by."""

    __slots__ = ()

    async def run(self) -> None:
        """Perform, close and report; nothing is raised. It is called once, by the executor, in a task of its own."""
        CURRENT.set(self)
        self._span = self._executor.tracing.begin(self.assignment)
        value: Any = None
        if self._stop is None:
            self.phase = "running"
            try:
                value = await self._perform()
            except BaseException as exception:
                if isinstance(exception, GeneratorExit) and (self._loop.is_closed() or not self._loop.is_running()):
                    raise  # the event loop is gone, and this coroutine with it
                self._error = exception
        if os.getpid() != self._executor.pid:
            self._end_fork()
        if not self.abandoned:
            self.phase = "closing"
            problems = await self._close()
            if not self.abandoned:
                outcome = self._conclude(value, problems)
                self._forget()
                self._report(outcome)
                return
        self._forget()

    def _end_fork(self) -> None:
        """End the child of an `os.fork()` that came back from `run`: it must not use its copy of the ledger."""
        text = f"{self} has forked, and its child came back from run and was ended; end it yourself by os._exit\n"
        with suppress(OSError):
            os.write(2, text.encode("utf-8", "replace"))
        os._exit(1)

    async def _perform(self) -> Any:
        """Open the services and call `run` where it belongs; give what it returned, for a process the outcome there."""
        assignment = self.assignment
        definition = assignment.definition
        if definition.runs_in == "process" or assignment.solo:
            return await self._call_in_process()
        if assignment.timeout is not None:
            self._timer = self._loop.call_later(assignment.timeout, self._expire)
        job = self._prepare()
        inside = None if self._executor.find_context is None else await self._enter(job.workspace)
        if definition.services:
            await self._open(job)
        if definition.runs_in == "thread":
            return await self._call_in_thread(job, inside)
        return await job.run(*assignment.args, **assignment.kwargs)  # type: ignore[attr-defined]

    def _prepare(self) -> BackgroundJob:
        """Make the workspace and the job, which knows them already in an `__init__` of its own."""
        assignment = self.assignment
        workspace = self._workspace = Workspace(
            assignment.tenant,
            self._executor.launcher,
            assignment.definition.name,
            assignment.run_id,
            self._loop,
            assignment.progress,
            self._executor.databases,
        )
        job_class = assignment.definition.job_class
        job = self._job = job_class.__new__(job_class)
        job._workspace = workspace  # noqa: SLF001 - the other half of the class
        job._attempt = assignment.attempt  # noqa: SLF001
        job.__init__()  # type: ignore[misc]
        return job

    async def _enter(self, workspace: Workspace) -> ContextOfTenant | None:
        """Enter the tenant's context, if there is a tenant; give the one that belongs around `run`, in its thread."""
        find = self._executor.find_context
        context = None if find is None or workspace.tenant is None else find()
        if context is None or workspace.tenant is None:
            return None
        entered = context.of(workspace.tenant)
        if self.assignment.definition.runs_in == "thread" and not context.asynchronous:
            return entered
        context.check(self.assignment.definition)
        await workspace.enter(entered)
        self.children = None  # the tasks that the context has started are its own to end
        return None

    async def _open(self, job: BackgroundJob) -> None:
        """Open the declared services in the attempt's own task, each after what it needs, and give them to the job."""
        workspace = job.workspace
        names = self.assignment.definition.services
        for service in self._executor.order(names):
            if service.scope == "project":
                workspace.lend_service(service.name, await self._executor.project_services.open(service))
            else:
                await workspace.open_service(service)
        for name in names:
            setattr(job, name, workspace.service(name))
        self.children = None  # the tasks that services have started are theirs to end

    async def _call_in_thread(self, job: BackgroundJob, inside: ContextOfTenant | None) -> Any:
        """Call a plain `def run` in a thread and wait until that ends, however long, for it can't be stopped."""
        assignment = self.assignment
        call = partial(job.run, *assignment.args, **assignment.kwargs)  # type: ignore[attr-defined]
        if inside is not None:
            call = partial(inside.call, call, self._failure)
        self._where = "thread"
        ended = start_thread(self._loop, f"pinstripe {self}", call)
        while not ended.done():
            try:
                await asyncio.wait([ended])
            except asyncio.CancelledError:
                self.cancel()
        value, raised = ended.result()
        if raised is not None:
            raise raised
        return value

    async def _call_in_process(self) -> Outcome:
        """Have a process of its own do all of it: it opens the project and the services there."""
        processes = self._executor.processes()
        if processes is None:
            message = f"{self.job} is to run in a process of its own, and there are no processes here"
            raise PinstripeError(message)
        self._where = "process"
        if self._span is not None:
            self.assignment.trace = self._executor.tracing.here()  # what is done there is below that
        return await processes.call(self.assignment, self._started_in_process)

    def _started_in_process(self) -> None:
        timeout = self.assignment.timeout
        if timeout is not None:
            # The job is told at its timeout, there; only if it then doesn't end by itself is its process killed.
            self._timer = self._loop.call_later(timeout + KILL_AFTER, self._expire)

    async def _close(self) -> list[PinstripeError]:
        """Close whatever there is: the timer, the tasks left behind, the services; give what failed to close."""
        if self._timer is not None:
            self._timer.cancel()
        if self._stop is not None:
            await self._calm()
        if self.children:
            await end_tasks(self.children, str(self))
        workspace = self._workspace
        if workspace is None:
            return []
        if not workspace.closes:
            self._refuse()
            return []
        self._refuse()
        limit = workspace.closes * CLOSE_LIMIT + self._executor.shutdown_grace
        self._timer = self._loop.call_later(limit, self._abandon)
        problems = await workspace.close(self._failure())
        self._timer.cancel()
        return problems

    def _conclude(self, value: Any, problems: list[PinstripeError]) -> Outcome:
        """Make the outcome from why it was stopped, what was raised, what failed to close, or what was returned."""
        task = self.task
        error, stop = self._error, self._stop
        if stop is None and isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            stop = Outcome(ExecutionStatus.CANCELLED, error="interrupted")
        if stop is not None:
            if stop.exception is not None:
                if self._where != "process":  # there it would tell where we waited, not the job
                    stop.exception.__cause__ = error
                stop.traceback = failed(stop.exception, problems).traceback
            return stop
        if error is not None:
            return ended_by(error, problems)
        if problems:
            return failed(problems[0], problems[1:])
        if isinstance(value, Outcome):
            return value
        return Outcome(_SUCCEEDED, None, None, None if value is None else self._write(value), value)

    def _write(self, value: Any) -> str | None:
        from pinstripe.arguments import write_result  # only where a job returns something

        return write_result(value, None if self._workspace is None else self._workspace.logger)

    def _forget(self) -> None:
        """Let go of everything, so that nothing has to wait for the garbage collector."""
        self._executor.executions.discard(self)
        self.phase = "ended"
        self.task = self._workspace = self._job = self._error = self._timer = None

    def lost(self, task: asyncio.Task[None]) -> None:
        """Report an attempt whose task ended without a word, as one that is cancelled before its first step."""
        if self.phase not in {"ended", "abandoned"}:
            error = None if task.cancelled() else task.exception()
            end = Outcome(ExecutionStatus.CANCELLED, error="interrupted") if error is None else failed(error)
            self._report(self._stop or end)
            self._forget()
