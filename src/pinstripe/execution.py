"""One attempt that goes on: the pipeline from its services' opening to its outcome, and how it is stopped.

An attempt without services, timeout and output touches no timer, no stack and no lock.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pinstripe.duration import write_duration
from pinstripe.errors import PinstripeError
from pinstripe.executing import CURRENT
from pinstripe.leftovers import end_tasks
from pinstripe.outcome import Outcome, failed
from pinstripe.run import ExecutionStatus
from pinstripe.service_stack import CLOSE_LIMIT
from pinstripe.threads import start_thread
from pinstripe.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable

    from pinstripe.assignment import Assignment
    from pinstripe.background_job import BackgroundJob
    from pinstripe.capture import Capture
    from pinstripe.executor import Executor
    from pinstripe.tenant_contexts import ContextOfTenant

KILL_AFTER = 1.0
"""How many seconds after its timeout the process of a job that has one is killed."""

SUCCEEDED_LOG = 16 * 1024
"""How many bytes of output are kept of an execution that succeeded."""

FAILED_LOG = 256 * 1024
"""How many bytes of output are kept of an execution that failed or was cancelled."""

_log = logging.getLogger("pinstripe")
_SUCCEEDED = ExecutionStatus.SUCCEEDED


Phase = Literal["new", "running", "closing", "ended", "abandoned"]


class Execution:
    """One attempt that goes on: what `Executor.start` gives, to be cancelled by."""

    __slots__ = (
        "_done",
        "_error",
        "_executor",
        "_in_thread",
        "_job",
        "_loop",
        "_stop",
        "_timer",
        "_workspace",
        "assignment",
        "children",
        "phase",
        "task",
    )

    def __init__(
        self,
        executor: Executor,
        assignment: Assignment,
        done: Callable[[Assignment, Outcome], None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """Take what to do and whom to tell."""
        self._executor = executor
        self.assignment = assignment
        self._done = done
        self._loop = loop
        self.phase: Phase = "new"
        self.task: asyncio.Task[None] | None = None
        self.children: set[asyncio.Future[Any]] | None = None
        self._workspace: Workspace | None = None
        self._job: BackgroundJob | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._in_thread = False
        self._stop: Outcome | None = None  # why it was stopped, as the outcome that it then has
        self._error: BaseException | None = None

    # What others see of it.

    @property
    def job(self) -> str:
        """The job's name."""
        return self.assignment.definition.name

    @property
    def file(self) -> str | None:
        """The file that the job's class is written in."""
        module = sys.modules.get(self.assignment.definition.job_class.__module__)
        return getattr(module, "__file__", None)

    @property
    def tenant_id(self) -> str | None:
        """The tenant's id; None in a job that is not multi-tenant."""
        tenant = self.assignment.tenant
        return None if tenant is None else tenant.id

    @property
    def capture(self) -> Capture | None:
        """Where its output goes; None leaves it alone."""
        return self.assignment.capture

    @property
    def abandoned(self) -> bool:
        """Whether it was given up, since it would not stop."""
        return self.phase == "abandoned"

    def __str__(self) -> str:
        """Write the job's name, and the tenant's id if there is one."""
        return self.job if self.tenant_id is None else f"{self.job} for tenant {self.tenant_id}"

    def adopt(self, task: asyncio.Future[Any]) -> None:
        """Remember a task that the job's code started, until it ends."""
        if self.children is None:
            self.children = set()
        self.children.add(task)
        task.add_done_callback(self.children.discard)

    def cancel(self, reason: str = "interrupted") -> None:
        """Stop the attempt, which then is cancelled with `reason`; once it is closing its services, it ends as it did.

        A job in a thread can't be stopped: it is told by `self.attempt.cancelled` and by its closed workspace. Any
        other that goes on for longer than the grace is abandoned.
        """
        self._stop_by(Outcome(ExecutionStatus.CANCELLED, error=reason))

    # The pipeline.

    async def run(self) -> None:
        """Perform, close and report; nothing is raised. It is called once, by the executor, in a task of its own."""
        CURRENT.set(self)
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
        if definition.runs_in == "process":
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
        self._in_thread = True
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
            message = f'{self.job} has runs_in = "process", and there are no processes here'
            raise PinstripeError(message)
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

    def _failure(self) -> BaseException | None:
        """Give what a context is told: what `run` raised, or why it was stopped, however it then ended."""
        if self._error is not None or self._stop is None:
            return self._error
        return self._stop.exception or asyncio.CancelledError(self._stop.error)

    def _conclude(self, value: Any, problems: list[PinstripeError]) -> Outcome:
        """Make the outcome from why it was stopped, what was raised, what failed to close, or what was returned."""
        assignment, task = self.assignment, self.task
        error, stop = self._error, self._stop
        if stop is None and isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            stop = Outcome(ExecutionStatus.CANCELLED, error="interrupted")
        if stop is not None:
            if stop.exception is not None:
                if assignment.definition.runs_in != "process":  # there it would tell where we waited, not the job
                    stop.exception.__cause__ = error
                stop.traceback = failed(stop.exception, problems).traceback
            return stop
        if error is not None:
            return failed(error, problems)
        if problems:
            return failed(problems[0], problems[1:])
        if isinstance(value, Outcome):
            return value
        return Outcome(_SUCCEEDED, None, None, None if value is None else self._write(value), value)

    def _write(self, value: Any) -> str | None:
        from pinstripe.arguments import write_result  # only where a job returns something

        return write_result(value, None if self._workspace is None else self._workspace.logger)

    def _report(self, outcome: Outcome) -> None:
        """Tell the outcome, with the output that is to be kept."""
        capture = self.assignment.capture
        if capture is not None:
            outcome.log = capture.close(SUCCEEDED_LOG if outcome.succeeded else FAILED_LOG)
        self._done(self.assignment, outcome)

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

    # Stopping.

    def _expire(self) -> None:
        timeout = write_duration(timedelta(seconds=self.assignment.timeout or 0))
        self._stop_by(failed(TimeoutError(f"exceeded its timeout of {timeout}")))

    def _stop_by(self, stop: Outcome) -> None:
        """Ask the attempt to stop, once."""
        if self._stop is not None or self.phase not in {"new", "running"}:
            return
        self._stop = stop
        self.assignment.attempt.cancelled = True
        if self._timer is not None:
            self._timer.cancel()
        if self._in_thread:
            self._refuse()
        elif self.phase == "running" and self.task is not None:
            self.task.cancel()
            self._timer = self._loop.call_later(self._executor.shutdown_grace, self._abandon)

    def _abandon(self) -> None:
        """Give up on an attempt that doesn't stop: tell its outcome, and close the workspace under it."""
        closing = self.phase == "closing"
        self.phase = "abandoned"
        _log.warning(
            "%s did not stop %s and was abandoned; its code may still be running",
            self,
            "while it closed its services" if closing else f"within {self._executor.shutdown_grace:g}s of being told",
        )
        for child in self.children or ():
            child.cancel()
        outcome = self._stop or failed(PinstripeError("its services did not close"))
        outcome.error = f"{outcome.error} (it did not stop and was abandoned)"
        if not closing and self._workspace is not None:
            self._refuse()
            self._executor.close_later(self._workspace, self._failure())
        self._report(outcome)

    async def _calm(self) -> None:
        """Take in a cancellation that has not arrived yet, so that closing begins in peace."""
        task = self.task
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0)
        while task is not None and task.cancelling():
            task.uncancel()

    def _refuse(self) -> None:
        """Let every further use of the workspace and of its services raise `WorkspaceClosed`."""
        if self._job is not None:
            for name in self.assignment.definition.services:
                vars(self._job).pop(name, None)
        if self._workspace is not None:
            self._workspace.refuse()  # last, for it wakes a thread that waits, which must find no service any more
