"""The ledger: the durable record of runs and executions, and the only truth. Each method is told as a state change.

An execution is named by the ledger's own integer `id`; `epoch` grows with each start and fences its result: what a
process that has lost the execution still reports is not accepted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pinstripe.redaction import repr_without_arguments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pinstripe.fires import Fires
    from pinstripe.history import History
    from pinstripe.queue import Queue
    from pinstripe.run import Counts, Execution, ExecutionStatus, Run, RunStatus, Trigger

NO_TENANT = ""
"""How the ledger writes "no tenant": no nullable column stands in a unique key."""


class NewRun(NamedTuple):
    """A run to create. `args` and `kwargs` are JSON values; `selection` is what `Selection.to_json` gave.

    `origin` is the first run of a chain of retries; None for a run that is no retry. `trace` is where the span of
    whoever asks for it is, as W3C Trace Context; `redacted` are the positions and names of the arguments that nobody is
    shown.
    """

    id: str
    job: str
    trigger: Trigger
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    selection: Mapping[str, Any]
    retry_of: str | None = None
    origin: str | None = None
    parent: str | None = None
    trace: str | None = None
    redacted: Sequence[int | str] = ()

    def __repr__(self) -> str:
        """Show all but the arguments."""
        return repr_without_arguments(self)


class Claimed(NamedTuple):
    """An execution that this process has just started: `running`, its `attempt` counted, its `epoch` raised."""

    id: int
    tenant: str
    epoch: int
    attempt: int


class Settlement(NamedTuple):
    """How an attempt ended. `error` is the error or the reason; `result` is JSON text; `log` the output to keep.

    One of a worker has its run's number too. With the status `queued` it is to run again: at `due_at` (microseconds
    UTC; None is at once), the attempt counted or not, and after a `crash` of its own process alone once more.
    """

    id: int
    epoch: int
    status: ExecutionStatus
    error: str | None = None
    traceback: str | None = None
    result: str | None = None
    log: str | None = None
    run: int = 0
    due_at: int | None = None
    counted: bool = True
    crash: bool = False


class Turn(NamedTuple):
    """What one transaction of a foreground run did: what was started, and the run's counts after it."""

    claimed: list[Claimed]
    counts: Counts


class Selected(NamedTuple):
    """What a run was created with: its `selection` as JSON, its `origin` and its `trace`.

    `complete` tells whether all that it was selected by was ever read.
    """

    selection: Mapping[str, Any]
    complete: bool
    origin: str
    trace: str | None = None


class Look(NamedTuple):
    """What a look at the ledger found: its `trouble` in words without a path, None where it can be read.

    `is_current` says whether its schema is the one of this code; `workers` are the workers of this host that don't end,
    each by its process id and the microseconds UTC at which it last said that it lives.
    """

    trouble: str | None = None
    is_current: bool = False
    workers: tuple[tuple[int, int], ...] = ()


class RunFilter(NamedTuple):
    """Which runs to list. `since` is in microseconds UTC; all that are given must hold.

    Without `failures` the runs come without theirs, which may be a thousand each.
    """

    job: str | None = None
    tenant: str | None = None
    status: RunStatus | None = None
    since: int | None = None
    limit: int = 50
    failures: bool = True


class Ledger(Protocol):
    """What every ledger does.

    All methods raise `LedgerError` where it can't be used, and lose nothing that was acknowledged.
    """

    @property
    def queue(self) -> Queue:
        """What it keeps for workers; it is open for as long as the ledger is."""
        ...

    @property
    def fires(self) -> Fires:
        """What it keeps of schedules; it is open for as long as the ledger is."""
        ...

    @property
    def history(self) -> History:
        """What it tells of what was; it is open for as long as the ledger is."""
        ...

    @property
    def is_made(self) -> bool:
        """Whether there was a ledger when it was opened, or it was made since; else there is nothing to read."""
        ...

    async def open(self, *, write: bool = True) -> None:
        """Connect; with `write` create or migrate the schema, else only look at what is there.

        An absent ledger is then an empty one.
        """
        ...

    async def close(self) -> None:
        """Disconnect and give up this process's ownership; what it still runs is then up for rescue."""
        ...

    async def rescue(self) -> int:
        """Find processes that are gone, and close the foreground runs they left. Give how many runs. Idempotent.

        `running` executions → `cancelled` ("interrupted"), `queued` ones → `cancelled` ("not started").
        """
        ...

    async def create(self, run: NewRun) -> Run:
        """Nothing → a `queued` run that is `selecting`, without executions, owned by this process."""
        ...

    async def add(self, run: str, tenants: Sequence[str], *, retry_of: str | None = None) -> int:
        """Add `queued` executions to a selecting run, one per tenant not yet in it; give how many were new. Idempotent.

        With the run that it is a `retry_of`, none is added for who needs no retry (see `succeeded`): of two retries
        that are made at once, a tenant is in one only.
        Raises `LedgerError` where the run isn't selecting any more, as when this process was taken for dead.
        """
        ...

    async def end_selection(self, run: str, *, error: str | None = None) -> Run:
        """End a run's selection: selecting → selected.

        With `error` its executions become `cancelled` and it is closed as `failed`, never selected; without executions
        it is closed as `succeeded`.
        """
        ...

    async def turn(
        self, run: str, settlements: Sequence[Settlement], tenants: Sequence[str], *, force: bool = False
    ) -> Turn:
        """Settle and start, in one transaction.

        First `running` executions of `run` that still have their epoch → their settlements' states, the run closed with
        the last of them; then those of `tenants` that are `queued` → `running`, owned by this process, or `skipped`
        where they are paused, unless by `force`. Raises `LedgerError`, and starts nothing, where this process was taken
        for dead or the run is still selecting.
        """
        ...

    async def end(self, run: str, status: ExecutionStatus, reason: str, *, error: str | None = None) -> Run:
        """End what is left: each still `queued` execution of a run → `status` (cancelled or skipped) with `reason`.

        With `error` the run has failed by it, and is closed so with the last of its executions.
        """
        ...

    async def abandon(self, run: str) -> Run:
        """Close a run of this process, whose selection was interrupted, as `cancelled`; it is never selected.

        Its executions become `cancelled` ("interrupted" or "not started").
        """
        ...

    def look(self, lock_wait: float) -> Look:
        """Look whether it can be used, as one who comes new would find it; from any thread, and changing nothing.

        Trouble is told, not raised. A lock is waited for `lock_wait` seconds; a disk that doesn't answer, longer.
        """
        ...

    def beat(self) -> None:
        """Say that this process lives; from any thread."""
        ...

    async def prune(self) -> int:
        """Remove whole closed runs past their retention, and old logs, in short transactions. Give how many runs."""
        ...

    async def find_run(self, reference: str, *, failures: bool = True) -> Run:
        """Give the run that `reference` names: an id, the unique end of one, or `last`. Raises `UnknownRun`.

        Without `failures` it comes without theirs, which may be a thousand: for who looks again and again.
        """
        ...

    async def list_runs(self, only: RunFilter) -> list[Run]:
        """Give runs, newest first, failures without tracebacks."""
        ...

    async def last_runs(self, jobs: Sequence[str]) -> Mapping[str, Run]:
        """Give the newest run of each of the jobs that has one."""
        ...

    async def find_execution(self, run: str, tenant: str | None) -> Execution | None:
        """Give one execution with its log; None where the run has none for that tenant."""
        ...

    async def queued_tenants(self, run: str, *, after: str | None, limit: int) -> list[str]:
        """Give the next `limit` tenants after `after`, in order, whose executions are `queued`."""
        ...

    async def retryable(self, run: str, *, skipped: bool, after: str | None, limit: int) -> list[str]:
        """Give the next `limit` tenants after `after`, in order, that a retry of `run` is for.

        Their execution in `run` failed or was cancelled (or, with `skipped`, was skipped), and they have neither
        succeeded in another run of its chain of retries nor are in one that is still open.
        """
        ...

    async def succeeded(self, run: str, tenants: Sequence[str]) -> set[str]:
        """Give those of `tenants` that need no retry: succeeded in `run` or its chain of retries, or open in it."""
        ...

    async def selected_by(self, run: str) -> Selected:
        """Give what a run was selected by, whether that was ever complete, and where its chain of retries began."""
        ...
