"""A foreground run at work: start what there is room for, execute, settle, until nothing is left.

Each turn is one transaction: it settles what has ended since the last one and starts as many executions as slots are
free, so `running` in the ledger always means started.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import aclosing, suppress
from time import monotonic
from typing import TYPE_CHECKING

from pinstripe.background_job import Attempt
from pinstripe.capture import Capture
from pinstripe.errors import MAX_EXCEPTIONS, ConfigurationError, LedgerError, PinstripeError, TenantSourceFailed
from pinstripe.executor import Assignment
from pinstripe.ledger import NO_TENANT, Claimed, Settlement
from pinstripe.redaction import Mask
from pinstripe.run import Counts, ExecutionStatus, Failure

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from pinstripe.executor import Execution, Executor
    from pinstripe.ledger import Ledger
    from pinstripe.outcome import Outcome
    from pinstripe.run import Run
    from pinstripe.runs import Plan, Started
    from pinstripe.tenants import Tenant
    from pinstripe.watcher import Watcher

NOT_STARTED = "not started"
LOOK_EVERY = 0.5
"""Seconds between two looks whether somebody else asked for the run's end."""

_FINAL = (
    ExecutionStatus.SUCCEEDED,
    ExecutionStatus.FAILED,
    ExecutionStatus.CANCELLED,
    ExecutionStatus.SKIPPED,
)

GONE = "no longer a tenant that the job's filter lets through"


class ForegroundRun:
    """Executes one foreground run, and forgets it."""

    def __init__(
        self,
        ledger: Ledger,
        executor: Executor,
        plan: Plan,
        started: Started,
        watcher: Watcher,
        *,
        concurrency: int,
        timeout: float | None,
        fail_fast: bool,
    ) -> None:
        """Take the run that was `started` by `plan`; at most `concurrency` executions go on at once.

        `timeout` bounds each, in seconds, beside the job's own; `fail_fast` starts no more after a failure.
        """
        self._ledger = ledger
        self._executor = executor
        self._plan = plan
        self._run = started.run
        self._trace = executor.tracing.here()
        self._mask = Mask.of(*plan.written, plan.all_redacted())
        self._watcher = watcher
        self._concurrency = concurrency
        self._timeout = _smaller(plan.definition.timeout, timeout)
        self._fail_fast = fail_fast
        self._feed = _Feed(started.pages)
        self._running: dict[int, Execution] = {}
        self._ended: list[Settlement] = []
        self._failures: list[Failure] = []
        self._wake = asyncio.Event()
        self._halted: str | None = None
        self._stopped: str | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._counts: Counts = started.run.executions
        self._counted = Counts()
        self._took: dict[ExecutionStatus, float] = {}
        self.exceptions: dict[str | None, Exception] = {}
        """The first exceptions of failed executions, by tenant."""
        self.reason: str | None = None
        """Why the first of its executions that cancelled itself did so."""

    def stop(self, reason: str = "interrupted") -> None:
        """Start no more, and cancel what runs; `execute` then ends cleanly."""
        self._stopped = self._stopped or reason
        self._halt(NOT_STARTED)
        for execution in tuple(self._running.values()):
            execution.cancel(reason)

    async def execute(self) -> Run:
        """Execute the run to its end; give it as the ledger has it then.

        Where that can't go on, as with a ledger that fails, everything that runs is stopped before the error is raised.
        """
        run = self._run
        if run.finished:
            return self._closed(run)
        self._feed.open(self._wake)
        try:
            while await self._turn():
                await self._look()
                await self._wake.wait()
                self._wake.clear()
            return self._closed(await self._finish())
        except BaseException:
            await self._give_up()
            raise
        finally:
            if self._alarm is not None:
                self._alarm.cancel()
            await self._feed.close()

    async def _look(self) -> None:
        """Look, now and then, whether somebody else asked for the run's end; stop it then."""
        if self._alarm is not None or self._stopped is not None:
            return
        self._alarm = asyncio.get_running_loop().call_later(LOOK_EVERY, self._ring)
        with suppress(LedgerError):  # the next turn finds the same
            reasons = await self._ledger.queue.cancelled([self._run.id])
            for reason in reasons.values():
                self._halt(reason)
                self.stop(reason)

    def _ring(self) -> None:
        self._alarm = None
        self._wake.set()

    async def _turn(self) -> bool:
        """One pass: settle what has ended, start what there is room for. Tells whether anything is left to wait for."""
        ended, self._ended = self._ended, []
        failures, self._failures = self._failures, []
        wanted = {} if self._halted else self._feed.take(self._concurrency - len(self._running))
        if ended or wanted:
            try:
                turn = await self._ledger.turn(self._run.id, ended, list(wanted), force=self._plan.selection.force)
            except BaseException:
                self._ended[:0] = ended  # none of it has been recorded
                raise
            for claimed in turn.claimed:
                self._start(claimed, wanted[claimed.tenant])
            self._counts = turn.counts
            self._count(turn.counts)
            self._watcher.advanced(self._run, turn.counts, failures)
            if self._stopped is not None and turn.claimed:  # stopped while the transaction was on its way
                self.stop(self._stopped)
            if wanted and len(turn.claimed) < len(wanted):
                self._wake.set()  # some were not to be started, such as one that came twice: there is room left
        more = not self._halted and not self._feed.exhausted
        return bool(self._running or self._ended or more)

    def _start(self, claimed: Claimed, tenant: Tenant | None) -> None:
        plan, run = self._plan, self._run
        key = f"{plan.origin or run.id}/{claimed.tenant}"  # a retry is the same piece of work
        args, kwargs = plan.arguments() if plan.written != ((), {}) else ((), {})
        name = None if tenant is None else tenant.id
        assignment = Assignment(
            plan.definition,
            args,
            kwargs,
            run.id,
            tenant,
            Attempt(number=claimed.attempt, key=key, fence=claimed.epoch),
            self._timeout,
            self._capture(name),
            lambda done, total: self._watcher.progress(name, done, total),
            trigger=plan.trigger,
            trace=self._trace,
            mask=self._mask,
        )
        began = monotonic()
        self._running[claimed.id] = self._executor.start(
            assignment, lambda _, outcome: self._end(claimed, outcome, monotonic() - began)
        )

    def _capture(self, tenant: str | None) -> Capture | None:
        return Capture(tenant, self._watcher.output) if self._watcher.captures else None

    def _end(self, claimed: Claimed, outcome: Outcome, took: float) -> None:
        """Take an execution's outcome, and how many seconds it took; called on the event loop."""
        self._running.pop(claimed.id, None)
        self._took[outcome.status] = self._took.get(outcome.status, 0) + took
        if outcome.retry_after is not None:
            outcome.error = (
                f"{outcome.error} (a run in the foreground is not run again by itself; "
                f"`pinstripe retry-run {self._run.id}` runs it again)"
            )
        self._ended.append(
            Settlement(
                claimed.id,
                claimed.epoch,
                outcome.status,
                outcome.error,
                outcome.traceback,
                outcome.result,
                outcome.log,
            ),
        )
        tenant = claimed.tenant or None
        if outcome.status is ExecutionStatus.FAILED:
            self._fail(claimed, outcome, tenant)
        elif outcome.error is not None and not outcome.stopped and self.reason is None:
            self.reason = outcome.error if tenant is None else f"{outcome.error} (tenant {tenant})"
        self._wake.set()

    def _closed(self, run: Run) -> Run:
        self._count(run.executions)
        return run

    def _count(self, counts: Counts) -> None:
        """Count the executions that have come to their end since the last time, as the ledger has them."""
        tallies, before = self._executor.tallies, self._counted
        self._counted = counts
        if tallies is None or counts.done == before.done:
            return
        for status in _FINAL:
            ended = getattr(counts, status) - getattr(before, status)
            if ended > 0:
                took = int(self._took.pop(status, 0) * 1_000_000)
                tallies.count(self._plan.definition.name, status, took, ended)

    def _fail(self, claimed: Claimed, outcome: Outcome, tenant: str | None) -> None:
        self._failures.append(Failure(tenant, claimed.attempt, outcome.error or "", outcome.traceback))
        if outcome.exception is not None and len(self.exceptions) < MAX_EXCEPTIONS:
            self.exceptions[tenant] = outcome.exception
        if self._fail_fast:
            self._halt("not started: another tenant failed (--fail-fast)")

    def _halt(self, reason: str) -> None:
        self._halted = self._halted or reason
        self._wake.set()

    async def _finish(self) -> Run:
        """Close what never started: cancelled where the run was halted, skipped where its tenant is gone."""
        failure = self._feed.failure
        if failure is not None:
            if not isinstance(failure, (TenantSourceFailed, ConfigurationError)):
                raise failure
            error = f"{NOT_STARTED}: the tenant source failed on its second reading"
            return await self._ledger.end(self._run.id, ExecutionStatus.CANCELLED, error, error=str(failure))
        if self._halted is not None:
            return await self._ledger.end(self._run.id, ExecutionStatus.CANCELLED, self._halted)
        return await self._ledger.end(self._run.id, ExecutionStatus.SKIPPED, GONE)

    async def _give_up(self) -> None:
        """Stop everything, and record as much of it as the ledger still takes; the next to open it finds the rest."""
        self.stop()
        while self._running:
            self._wake.clear()
            await self._wake.wait()
        with suppress(PinstripeError):
            await self._ledger.turn(self._run.id, self._ended, [])
            await self._ledger.abandon(self._run.id)


class _Feed:
    """Pages of tenants, read ahead of the worker, so that it need not wait for the source."""

    def __init__(self, pages: AsyncGenerator[list[Tenant | None], None]) -> None:
        self._pages = pages
        self._ready: deque[Tenant | None] = deque()
        self._room = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None
        self._done = False
        self.failure: Exception | None = None

    @property
    def exhausted(self) -> bool:
        """Whether everything has been read and taken."""
        return self._done and not self._ready

    def open(self, wake: asyncio.Event) -> None:
        """Begin to read; `wake` is set whenever there is something new."""
        self._reader = asyncio.get_running_loop().create_task(self._read(wake.set))

    def take(self, most: int) -> Mapping[str, Tenant | None]:
        """Give up to `most` tenants by id (the empty one stands for "no tenant")."""
        ready = self._ready
        taken: dict[str, Tenant | None] = {}
        while ready and len(taken) < most:
            tenant = ready.popleft()
            taken[NO_TENANT if tenant is None else tenant.id] = tenant
        if len(ready) < _AHEAD:
            self._room.set()
        return taken

    async def close(self) -> None:
        """Stop reading, and close the source."""
        reader = self._reader
        if reader is not None and not reader.done():
            reader.cancel()
            await asyncio.wait([reader])

    async def _read(self, wake: Callable[[], None]) -> None:
        try:
            async with aclosing(self._pages) as pages:
                async for page in pages:
                    self._ready.extend(page)
                    wake()
                    if len(self._ready) >= _AHEAD:
                        self._room.clear()
                        await self._room.wait()
        except Exception as failure:  # noqa: BLE001 - the worker tells it, or raises it
            self.failure = failure
        finally:
            self._done = True
            wake()


_AHEAD = 1_000


def _smaller(one: float | None, other: float | None) -> float | None:
    given = [value for value in (one, other) if value is not None]
    return min(given) if given else None
