"""Draining: a real worker, in the test's own process, executes all that is due, one execution after another."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from pinstripe.errors import PinstripeError, TenantSourceFailed
from pinstripe.ledgers.sqlite.waiting import read_runs
from pinstripe.project import Project
from pinstripe.run import ExecutionStatus, RunStatus
from pinstripe.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable

    from pinstripe.assignment import Assignment
    from pinstripe.executor import Execution, Executor
    from pinstripe.outcome import Outcome
    from pinstripe.run import Run
    from pinstripe.testing.stage import Stage
    from pinstripe.worker import Worker

MAX_EXECUTIONS = 10_000
"""How many executions one call drains: jobs that enqueue one another for ever must not keep a test for ever."""


async def drain(stage: Stage, *, raising: bool) -> list[Run]:
    """Execute all that is due; give the runs that have ended by it, in the order in which they were enqueued.

    With `raising` the first failure is raised once all is done.
    """
    before = read_runs(stage.ledger)
    open_before = {run.id for run in before if not run.finished}
    last = before[-1].n if before else 0
    project = Project(stage.settings)
    await project.open()
    try:
        recorder = await _work(project)
        after = [run for run in read_runs(stage.ledger) if run.id in open_before or run.n > last]
        ended = [await project.ledger.find_run(run.id) for run in after if run.finished]
    finally:
        await project.close()
    if recorder.too_many:
        message = (
            f"drain() has executed {MAX_EXECUTIONS:,} executions, and there were more: does a job enqueue itself again "
            "and again? Enqueue it with a delay, and advance the time"
        )
        raise PinstripeError(message)
    if raising:
        _raise_first(recorder.failures({run.id for run in after}), ended)
    return ended


async def _work(project: Project) -> _Recorder:
    worker = project.worker(1, watcher=_Quiet())
    foreground = await project._ready()  # noqa: SLF001 - what executes is there before the worker begins
    recorder = _Recorder(foreground.executor, worker)
    foreground.executor.start = recorder.start  # type: ignore[method-assign]
    await worker.work(drain=True)
    return recorder


class _Quiet(Watcher):
    """Leaves output to the test's runner, which shows it where a test fails, and input to a debugger."""

    captures = False


class _Failure(NamedTuple):
    run: str
    who: str
    exception: Exception


class _Recorder:
    """Notes what executions raise, which the ledger keeps as text only."""

    def __init__(self, executor: Executor, worker: Worker) -> None:
        self._start = executor.start
        self._worker = worker
        self._executed = 0
        self._failures: list[_Failure] = []
        self.too_many = False

    def start(self, assignment: Assignment, done: Callable[[Assignment, Outcome], None]) -> Execution:
        """Start an attempt, in this process also where its job has one of its own: there would be no stand-ins."""
        self._executed += 1
        if self._executed > MAX_EXECUTIONS and not self.too_many:
            self.too_many = True
            self._worker.stop("drain() was stopped")
        if assignment.definition.runs_in == "process":
            assignment.definition = replace(assignment.definition, runs_in="thread")

        def note(ended: Assignment, outcome: Outcome) -> None:
            failed = outcome.status is ExecutionStatus.FAILED and outcome.retry_after is None
            if failed and outcome.exception is not None:
                whose = "" if ended.tenant is None else f" for tenant {ended.tenant.id}"
                who = f"{ended.definition.name}{whose}, attempt {ended.attempt.number} (run {ended.run_id})"
                self._failures.append(_Failure(ended.run_id, who, outcome.exception))
            done(ended, outcome)

        return self._start(assignment, note)

    def failures(self, runs: set[str]) -> list[_Failure]:
        """Give the failures of these runs: what jobs run in the foreground is theirs to handle."""
        return [failure for failure in self._failures if failure.run in runs]


def _raise_first(failures: list[_Failure], ended: list[Run]) -> None:
    """Raise what the first attempt that failed has raised, else what a run failed by."""
    for failure in failures:
        failure.exception.add_note(f"raised by {failure.who}; drain(raising=False) gives the runs instead")
        raise failure.exception
    for run in ended:
        if run.error is not None:
            raise TenantSourceFailed(run.error)
        if run.status is RunStatus.FAILED:
            what = run.failures[0].error if run.failures else "its executions have failed"
            message = f"run {run.id} of {run.job} has failed: {what}"
            raise PinstripeError(message)
