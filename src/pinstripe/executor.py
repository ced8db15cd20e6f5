"""One attempt in one workspace: open the services, call `run`, close everything, and tell how it ended.

`Executor.start` gives an `Execution`, whose `run` is the pipeline. By hand and by worker use the same one.
"""

from __future__ import annotations

import asyncio
import os
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from pinstripe.assignment import Assignment
from pinstripe.executing import CURRENT, TaskTracker
from pinstripe.execution import Execution
from pinstripe.outcome import Outcome
from pinstripe.service_stack import CLOSE_LIMIT
from pinstripe.tracing import Tracing, leave_spans

if TYPE_CHECKING:
    from collections.abc import Callable

    from pinstripe.processes import Processes
    from pinstripe.project_services import ProjectServices
    from pinstripe.services import ServiceDefinition, Services
    from pinstripe.tallies import Tallies
    from pinstripe.tenant_contexts import TenantContext
    from pinstripe.workspace import Databases, Launcher, Workspace

__all__ = ["Assignment", "Execution", "Executor", "Outcome"]


class Executor:
    """Executes assignments on the running event loop, each in a task and a context of its own."""

    def __init__(
        self,
        services: Services,
        project_services: ProjectServices,
        launcher: Launcher,
        *,
        shutdown_grace: float = 25.0,
        processes: Callable[[], Processes] | None = None,
        context: Callable[[], TenantContext | None] | None = None,
        databases: Databases | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        """Take where `services` come from and what starts nested runs.

        `shutdown_grace` is how many seconds a job may go on after it was cancelled, before it is abandoned;
        `processes` makes what jobs with `runs_in = "process"` run in, and attempts alone, when the first one comes;
        `context` finds what is entered for the tenant of an attempt that has one, None where there never is anything;
        `databases` opens the application's database, where one is set up; `tracing` makes spans, where any are made.
        """
        self.services = services
        self.project_services = project_services
        self.launcher = launcher
        self.shutdown_grace = shutdown_grace
        self.find_context = context
        self.databases = databases
        self.tracing = tracing or Tracing()
        self.tallies: Tallies | None = None
        """What counts how executions end; set by the project."""
        self._make_processes = processes
        self._processes: Processes | None = None
        self.executions: set[Execution] = set()
        """What runs now; also what keeps its tasks alive, since the event loop doesn't."""
        self._context = copy_context()
        self._context.run(CURRENT.set, None)
        self._context.run(leave_spans)  # whoever executes first may be in one, such as that of a request
        self._closing: set[asyncio.Future[Any]] = set()
        self._orders: dict[tuple[str, ...], list[ServiceDefinition]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tracker: TaskTracker | None = None
        self.pid = os.getpid()
        """The process that this belongs to; a job may fork another."""

    def start(self, assignment: Assignment, done: Callable[[Assignment, Outcome], None]) -> Execution:
        """Start an attempt; `done` is called exactly once, on the event loop, with the assignment and its outcome."""
        loop = self._loop or self._bind()
        execution = Execution(self, assignment, done, loop)
        self.executions.add(execution)
        if assignment.capture is not None:
            assignment.capture.loop = loop
            assignment.capture.mask = assignment.mask
        execution.task = asyncio.Task(
            execution.run(),
            loop=loop,
            name=assignment.definition.name,
            context=self._context.copy(),
        )
        execution.task.add_done_callback(execution.lost)
        return execution

    def processes(self) -> Processes | None:
        """Give what jobs with `runs_in = "process"`, and attempts alone, run in; None where there are no processes."""
        if self._processes is None and self._make_processes is not None:
            self._processes = self._make_processes()
        return self._processes

    async def execute(self, assignment: Assignment) -> Outcome:
        """Execute an attempt to its end and give the outcome; cancelling this cancels the attempt."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[Outcome] = loop.create_future()
        execution = self.start(assignment, lambda _, outcome: ended.set_result(outcome))
        while not ended.done():
            try:
                await asyncio.wait([ended])
            except asyncio.CancelledError:
                execution.cancel()
        return ended.result()

    def find(self, task: asyncio.Task[Any] | None) -> Execution | None:
        """Find the execution that a task belongs to, as its own or as one that its job started."""
        if task is None:
            return None
        for execution in tuple(self.executions):
            if execution.task is task or task in (execution.children or ()):
                return execution
        return None

    def order(self, names: tuple[str, ...]) -> list[ServiceDefinition]:
        """Give the services to open for `names`, each after what it needs."""
        found = self._orders.get(names)
        if found is None:
            found = self._orders[names] = self.services.order(names)
        return found

    def stuck(self) -> list[Execution]:
        """List the executions that were told to stop and still run in threads, which only the process's end stops."""
        return [execution for execution in self.executions if execution.stuck]

    async def close(self) -> None:
        """Cancel what still runs, wait for it, end the processes and give the event loop back as it was.

        It waits for threads however long they go on: whoever doesn't want to looks at `stuck` first.
        """
        while self.executions:
            for execution in tuple(self.executions):
                execution.cancel()
            tasks = [execution.task for execution in self.executions if execution.task is not None]
            if not tasks or all(execution.abandoned for execution in self.executions):
                break
            await asyncio.wait(tasks, timeout=0.05)
        if self._closing:
            await asyncio.wait(self._closing, timeout=CLOSE_LIMIT)
        if self._processes is not None:
            await self._processes.close()
        if self._tracker is not None:
            self._tracker.remove()
            self._tracker = None
        self._loop = None

    def close_later(self, workspace: Workspace, exception: BaseException | None) -> None:
        """Close the workspace of an abandoned attempt, which had to end with `exception`, in a task of its own."""
        closing = workspace.close(exception)
        task = asyncio.Task(closing, loop=asyncio.get_running_loop(), context=self._context.copy())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _bind(self) -> asyncio.AbstractEventLoop:
        loop = self._loop = asyncio.get_running_loop()
        self.pid = os.getpid()
        self._tracker = TaskTracker(loop)
        self._tracker.install()
        return loop
