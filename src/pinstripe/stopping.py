"""How an attempt is stopped: told, waited for, and abandoned where it doesn't stop."""

from __future__ import annotations

import asyncio
import logging
import sys
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from pinstripe.duration import write_duration
from pinstripe.errors import PinstripeError
from pinstripe.outcome import Outcome, failed
from pinstripe.run import ExecutionStatus
from pinstripe.tracing import ids_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.trace import Span

    from pinstripe.assignment import Assignment
    from pinstripe.background_job import BackgroundJob
    from pinstripe.capture import Capture
    from pinstripe.executor import Executor
    from pinstripe.redaction import Mask
    from pinstripe.workspace import Workspace

SUCCEEDED_LOG = 16 * 1024
"""How many bytes of output are kept of an execution that succeeded."""

FAILED_LOG = 256 * 1024
"""How many bytes of output are kept of an execution that failed or was cancelled."""

_log = logging.getLogger("pinstripe")

Phase = Literal["new", "running", "closing", "ended", "abandoned"]


class Stoppable:
    """An attempt as it is seen and stopped from outside, whatever it does."""

    __slots__ = (
        "_done",
        "_error",
        "_executor",
        "_job",
        "_loop",
        "_span",
        "_stop",
        "_timer",
        "_where",
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
        self._where: Literal["here", "thread", "process"] = "here"
        self._span: Span | None = None
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
    def mask(self) -> Mask | None:
        """What hides what nobody is shown in what it says."""
        return self.assignment.mask

    def facts(self) -> dict[str, object]:
        """Give what a log line tells of where it comes from."""
        facts: dict[str, object] = {"job": self.job, "run": self.assignment.run_id}
        facts |= {"tenant": self.tenant_id, "attempt": self.assignment.attempt.number}
        ids = None if self._span is None else ids_of(self._span)
        if ids is not None:
            facts["trace_id"], facts["span_id"] = ids
        return facts

    @property
    def abandoned(self) -> bool:
        """Whether it was given up, since it would not stop."""
        return self.phase == "abandoned"

    @property
    def stuck(self) -> bool:
        """Whether it was told to stop, and still runs in a thread, which can't be made to."""
        return self._stop is not None and self._where == "thread" and self.phase == "running"

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
        self._stop_by(Outcome(ExecutionStatus.CANCELLED, error=reason, stopped=True))

    def _failure(self) -> BaseException | None:
        """Give what a context is told: what `run` raised, or why it was stopped, however it then ended."""
        if self._error is not None or self._stop is None:
            return self._error
        return self._stop.exception or asyncio.CancelledError(self._stop.error)

    def _report(self, outcome: Outcome) -> None:
        """Tell the outcome, with the output that is to be kept."""
        capture = self.assignment.capture
        if capture is not None:
            outcome.log = capture.close(SUCCEEDED_LOG if outcome.succeeded else FAILED_LOG)
        mask = self.assignment.mask
        if mask is not None:
            outcome.error = None if outcome.error is None else mask.hide(outcome.error)
            outcome.traceback = None if outcome.traceback is None else mask.hide(outcome.traceback)
        if self._span is not None:
            self._executor.tracing.end(self._span, outcome)
        self._done(self.assignment, outcome)

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
        if self._where == "thread":
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
