"""The queue: what the ledger keeps for workers. Each method is told as a state change, in one or few transactions.

A queued execution is *ready* (in a chunk, with a ticket), or *held* for a reason (`Held`). The claim decides who may
start; what it meets that may not becomes held, and admission alone makes held ones ready again.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pinstripe.priority import Priority
from pinstripe.redaction import repr_without_arguments

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pinstripe.ledger import NewRun, Settlement
    from pinstripe.limits import Limits
    from pinstripe.run import Run

MAX_CRASHES = 2
"""How many crashes an execution survives by default: the third fails it."""

MAX_SHOWN = 5
"""How many of a process's executions a `Process` lists."""

LACKS_JOB = "waits for a worker that has the job"
"""How the error of an execution begins that a worker gave back since its code lacks the job, or can't load it."""

MAX_LACKING = 10_000
"""Among how many of those that are held until they are due is looked for what waits for a worker that has its job."""

LACKS_AGAIN = 30
"""Seconds after which that is tried again: by this worker, or by one that has the job."""


class Held(StrEnum):
    """Why a queued execution may not start yet."""

    DUE = "due"
    """Its time has not come: it was enqueued for later, waits for its next attempt, or was given back."""
    LIMIT = "limit"
    """As many executions of its job go on as its `Limits(total=…)` lets."""
    TENANT_LIMIT = "tenant_limit"
    """As many executions of its job for its tenant go on as its `Limits(per_tenant=…)` lets."""
    PAUSED = "paused"
    """Its job, its tenant or one for the other is paused."""
    OVERLAP = "overlap"
    """An earlier fire of its schedule is unfinished for its tenant, and the job has `overlap = "queue"`."""


class NewWork(NamedTuple):
    """A run to enqueue.

    `tenants` are those it is for (`[""]` for a job without tenants), at most 1,000; None where a worker is to select
    them by the run's selection. Before `due_at` (microseconds UTC; None is at once) nothing of it is selected or
    started. `key` makes it unique: a run of the same job with the same `key` and `key_tenant` is given instead of a
    second one, for as long as it is kept. `crashes` is how many crashes each execution survives; no retry is put past
    `retry_until`. A run of a schedule has its `schedule`, its `scheduled_for` and the `overlap` that is to be kept:
    `"skip"`, `"queue"`, or None for any number at once.

    Where the tenants are to be selected: with a `spread` (microseconds) each one's execution starts as much later than
    `scheduled_for` as `pinstripe.schedule.offset` says. With a `local_time` none is made for a tenant for whom the
    schedule, which must be registered, has had that time already, in another zone. Where the tenants are given, so is
    who is due when, and both mean nothing.
    """

    run: NewRun
    tenants: Sequence[str] | None
    priority: Priority = Priority.DEFAULT
    due_at: int | None = None
    key: str | None = None
    key_tenant: str = ""
    crashes: int = MAX_CRASHES
    limits: Limits | None = None
    schedule: str | None = None
    scheduled_for: int | None = None
    overlap: str | None = None
    retry_until: int | None = None
    spread: int | None = None
    local_time: str | None = None


class QueuedRun(NamedTuple):
    """What a worker needs to know of a run to execute it. `args`, `kwargs` and `selection` are JSON values.

    `trace` is where the span of whoever asked for it is, as W3C Trace Context.
    """

    n: int
    id: str
    job: str
    trigger: str
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    selection: Mapping[str, Any]
    origin: str
    retry_of: str | None
    scheduled_for: int | None
    retry_until: int | None
    crashes: int
    total: int
    created_at: int
    trace: str | None = None

    def __repr__(self) -> str:
        """Show all but the arguments."""
        return repr_without_arguments(self)


class Started(NamedTuple):
    """An execution that this process has just started: `running`, its `attempt` counted, its `epoch` raised.

    `solo` says that a worker died while it ran, so that it now runs in a process of its own; `crashes` how many of
    those have died since.
    """

    id: int
    run: QueuedRun
    tenant: str
    epoch: int
    attempt: int
    solo: bool
    crashes: int


class Taken(NamedTuple):
    """What a turn did. `next_due` is when the next held execution becomes due (microseconds UTC).

    `more` says that it stopped for being long enough, not for want of work; `lost` that this process had been taken
    for dead, so that nothing was started, and nothing that it still runs counts unless nobody else has started it.
    """

    started: list[Started]
    next_due: int | None = None
    more: bool = False
    lost: bool = False


class Waiting(NamedTuple):
    """What waits in one band: how many are `ready`, and since when the oldest of them is (microseconds UTC)."""

    priority: Priority
    ready: int
    oldest: int | None


class RunningExecution(NamedTuple):
    """What a process runs: the execution's `job` and `tenant` (None where it has none), in the `run` of that id.

    `started_at` is when its attempt began (microseconds UTC).
    """

    job: str
    tenant: str | None
    run: str
    started_at: int


class Process(NamedTuple):
    """A process of the ledger, as `status` shows it. Times are in microseconds UTC.

    `running` is how many executions it runs, and `concurrency` how many it may; None where it is no worker. `bot` says
    that it lets schedules fire. `executions` are those that it has run for longest, at most `MAX_SHOWN`, longest first.
    """

    id: int
    host: str
    pid: int
    code_version: str
    beat: int
    started_at: int | None
    running: int
    concurrency: int | None
    stopping: bool
    bot: bool = False
    executions: tuple[RunningExecution, ...] = ()


class Pause(NamedTuple):
    """What is paused: a `job`, a `tenant`, one for the other; with neither, everything. `since` in microseconds UTC."""

    job: str | None
    tenant: str | None
    since: int


class QueueStatus(NamedTuple):
    """What goes on: the processes, what waits by band, what is held by reason, what runs, and what is paused.

    `lacking` counts by job what of the held ones a worker gave back since its code lacks the job (see `LACKS_JOB`): it
    waits for a worker that has it. `lacking_runs` counts by job the runs whose tenants no process has selected for the
    same reason.
    """

    processes: list[Process]
    waiting: list[Waiting]
    held: Mapping[Held, int]
    running: int
    selecting: int
    next_due: int | None
    pauses: list[Pause]
    lacking: Mapping[str, int] = MappingProxyType({})
    lacking_runs: Mapping[str, int] = MappingProxyType({})


class RunWaits(NamedTuple):
    """What of one run waits for workers: how many executions are `ready`, and how many are held, by reason.

    `next_due` is when the first of those that wait for their time may start, or the selection may (microseconds UTC);
    `selecting` says that no process selects its tenants yet. Of those that wait for their time, `lacking` wait for a
    worker that has the job (see `QueueStatus.lacking`); of a run that is to be selected, `lacks_job` says that it does.
    """

    ready: int = 0
    held: Mapping[Held, int] = MappingProxyType({})
    next_due: int | None = None
    selecting: bool = False
    lacking: int = 0
    lacks_job: bool = False


class Swept(NamedTuple):
    """What a sweep found: dead processes, executions it gave back or failed for them, and queued ones it cancelled."""

    owners: int = 0
    rescued: int = 0
    failed: int = 0
    cancelled: int = 0


class Queue(Protocol):
    """What every ledger's queue does.

    All methods raise `LedgerError` where the ledger can't be used, and lose nothing that was acknowledged.
    """

    async def enqueue(self, works: Sequence[NewWork], connection: object = None) -> list[Run]:
        """Nothing → queued runs, all or none of them; give them in order, or those that have their keys already.

        With a caller's `connection` that is done in its open transaction, and is there for others once that is
        committed. Raises `InvalidArguments` where the ledger can't do so on that connection.

        With tenants a run is selected, and its executions are ready, or held until due; a scheduled one that may not
        overlap becomes `skipped` or held where its predecessor for the tenant is unfinished. Without them it is
        selecting, and `take_selection` gives it to a worker. Raises `LedgerError` for one with a `local_time` whose
        schedule isn't registered.
        """
        ...

    async def join(self, concurrency: int) -> None:
        """Be a worker: this process gets an owner's row, and hears of new work from now on. Idempotent."""
        ...

    async def turn(self, settlements: Sequence[Settlement], slots: int) -> Taken:
        """Settle and claim, in one transaction.

        First executions that still have their epoch → their settlements' states; one that is settled as `queued` is
        held until its `due_at`, or ready where it has none. The runs that have no more open executions are closed,
        guards and slots given back, and what they held back is admitted. Then what is due is admitted, and up to
        `slots` ready executions → `running`, owned by this process: in the order of their tags, none of a cancelled
        run. One that is paused or over its job's limits becomes held instead; one of a fan-out or a schedule whose
        tenant is paused becomes `skipped`.
        """
        ...

    async def take_selection(self) -> QueuedRun | None:
        """Give a run that is due and `selecting` in no living process; it is then selected by this one. None for none.

        What a dead process had begun is begun again: `add` adds only who is missing.
        """
        ...

    async def add(self, run: QueuedRun, tenants: Sequence[str]) -> int:
        """Add queued executions to a run that this process selects, one per tenant not yet in it. Idempotent.

        None may start before `end_selection`; of a run with a `spread`, none before its own time either. Who has had
        the run's `local_time` in another run is left out. Gives how many were new. Raises `LedgerError` where the run
        isn't this process's to select any more, as when this process was taken for dead, or the run was cancelled.
        """
        ...

    async def end_selection(self, run: QueuedRun, *, error: str | None = None) -> Run:
        """End a selection: its executions become ready; with `error` they are `cancelled`, and the run has failed."""
        ...

    async def note_selection(self, run: QueuedRun, reason: str) -> None:
        """Keep as its error, for who looks, why this process doesn't select a run that it has taken, as yet.

        Whoever takes it next begins without. Nothing where the run isn't this process's to select any more.
        """
        ...

    async def leave_selection(self, run: QueuedRun) -> None:
        """Give a selection back unfinished, for another process to begin again."""
        ...

    async def cancel(self, reference: str, reason: str) -> Run:
        """Ask for a run's end: its queued executions → `cancelled` with `reason`; who runs the others hears of it.

        A finished run stays as it is. Raises `UnknownRun`.
        """
        ...

    async def cancelled(self, runs: Collection[str]) -> Mapping[str, str]:
        """Give those of these runs (by id) whose end was asked for, with the reason. One indexed read."""
        ...

    async def pause(self, job: str | None, tenant: str | None) -> bool:
        """Let nothing more start of a job, for a tenant, or of one for the other; with neither, nothing at all.

        What runs goes on. Tells whether that is new. Idempotent.
        """
        ...

    async def resume(self, job: str | None, tenant: str | None) -> bool:
        """End that pause, and only that: what no other one holds becomes ready. Tells whether there was one."""
        ...

    async def pauses(self) -> list[Pause]:
        """Give all pauses."""
        ...

    async def set_limits(self, limits: Mapping[str, Limits | None]) -> None:
        """Say what limits jobs have, as the code of this process has it; None is no limit. Writes only what is new."""
        ...

    async def stopping(self, pid: int | None = None) -> None:
        """Say that this process (or the one of this host with that `pid`) ends by intent: its end is no crash."""
        ...

    async def sweep(self) -> Swept:
        """One pass over the world, in short transactions. Idempotent.

        Executions of dead workers → `queued`, to run alone where the worker crashed; or `failed` where they may not be
        repeated. Runs by hand of dead processes are closed, as `Ledger.rescue` does. Queued executions of cancelled
        runs → `cancelled`. What limits, guards and pauses hold back without need is admitted. What fairness
        no longer needs to know is forgotten.
        """
        ...

    async def status(self) -> QueueStatus:
        """Tell what goes on."""
        ...

    async def waits(self, run: str) -> RunWaits:
        """Tell what of a run (by its id) waits for workers, and why; nothing of one that isn't for workers."""
        ...

    @property
    def hears(self) -> bool:
        """Whether `wait` hears of all that other processes do, so that it is enough to look for it now and then."""
        ...

    async def wait(self, timeout: float) -> bool:  # noqa: ASYNC109 - an idle wait, not a limit of what is done
        """Wait until work may be ready, for at most `timeout` seconds; tell whether anything was heard."""
        ...

    def wake(self) -> None:
        """Let `wait` end, here: something is to be settled."""
        ...
