"""The attempts that go on in a worker, from the claim to the settlement."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING

from pinstripe import arguments
from pinstripe.assignment import Assignment
from pinstripe.background_job import Attempt
from pinstripe.capture import Capture
from pinstripe.clock import to_datetime
from pinstripe.errors import ConfigurationError, InvalidArguments, TenantSourceFailed
from pinstripe.foreground_run import GONE
from pinstripe.going import Going
from pinstripe.ledger import NO_TENANT
from pinstripe.outcome import MAX_ERROR, cut, error_text, failed
from pinstripe.queue import LACKS_AGAIN
from pinstripe.run import ExecutionStatus
from pinstripe.setting_keys import hide_passwords
from pinstripe.settlement import ended, hand_back, lacks_job

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pinstripe.clock import Clock
    from pinstripe.definition import Arguments, Definition
    from pinstripe.executor import Executor
    from pinstripe.ledger import Settlement
    from pinstripe.queue import QueuedRun, Started
    from pinstripe.registry import Registry
    from pinstripe.tenant_lookup import TenantLookup
    from pinstripe.tenants import Tenant
    from pinstripe.watcher import Watcher

SOURCE_AGAIN = 5
"""Seconds after which an execution is tried again whose tenant can't be found, since the source fails."""

WARN_EVERY = 60.0
"""Seconds between two warnings of the same job."""

_PLAIN = frozenset({str, int, float, bool, type(None)})

_log = logging.getLogger("pinstripe")


class Attempts:
    """Starts what was claimed, and gathers how it ended. At most as much is held as is claimed and unsettled."""

    def __init__(self, registry: Registry, lookup: TenantLookup, clock: Clock, watcher: Watcher) -> None:
        """Take what finds jobs and tenants, and who hears what jobs print."""
        self._registry = registry
        self._lookup = lookup
        self._watcher = watcher
        self._definitions: dict[str, Definition] = {}
        self._lookups: set[asyncio.Task[None]] = set()
        self._warned: dict[tuple[str, str], float] = {}
        self.clock = clock
        self.executor: Executor
        """What executes; set before the first start."""
        self.heard: Callable[[], None] = lambda: None
        """What is called when the first of some settlements is there to be taken."""
        self.running: dict[int, Going] = {}
        """What is claimed and has no settlement yet, by the ledger's id."""
        self.ended: list[Settlement] = []
        """What is to be settled."""

    def start(self, batch: Sequence[Started]) -> None:
        """Start executions; those that need a tenant begin once it is found."""
        for_tenants: dict[str, list[Going]] = {}
        restored: dict[int, Arguments] = {}
        for started in batch:
            definition = self._definitions.get(started.run.job) or self._find(started.run.job)
            if isinstance(definition, str):
                self.settle(hand_back(started, self.clock.now() + LACKS_AGAIN * 1_000_000, error=definition))
                continue
            going = Going(self, started, definition)
            self.running[started.id] = going
            if not definition.multi_tenant or started.tenant == NO_TENANT:
                self._begin(going, None, restored)
            else:
                for_tenants.setdefault(self._lookup.key(started.run), []).append(going)
        for group in for_tenants.values():
            task = asyncio.get_running_loop().create_task(self._begin_for_tenants(group, restored))
            self._lookups.add(task)
            task.add_done_callback(self._lookups.discard)

    def settle(self, settlement: Settlement) -> None:
        """Put a settlement to those that are to be taken."""
        self.ended.append(settlement)
        if len(self.ended) == 1:
            self.heard()

    def take(self) -> list[Settlement]:
        """Give what is to be settled, and forget it."""
        taken, self.ended = self.ended, []
        return taken

    def put_back(self, settlements: list[Settlement]) -> None:
        """Keep settlements that could not be recorded."""
        self.ended[:0] = settlements

    def cancel(self, run: str, reason: str) -> None:
        """Stop what runs of the run with this id, which is cancelled with `reason`."""
        for going in [going for going in self.running.values() if going.started.run.id == run]:
            going.stop(reason)

    def release(self, reason: str) -> None:
        """Stop all that runs, for others to do; `reason` is what those who wait for it are told."""
        for going in [*self.running.values()]:
            going.stop(reason, released=True)

    def runs(self) -> set[str]:
        """Give the ids of the runs of which something runs."""
        return {going.started.run.id for going in self.running.values()}

    @property
    def left(self) -> list[str]:
        """What still runs, as `job for tenant`; with what others have started here, and can't be stopped."""
        names = {str(going.execution or going.definition.name): None for going in self.running.values()}
        if hasattr(self, "executor"):
            names |= {str(stuck): None for stuck in self.executor.stuck()}
        return [*names]

    async def close(self, limit: float) -> None:
        """Look for no more tenants; a source that doesn't end within `limit` seconds is left behind."""
        for task in self._lookups:
            task.cancel()
        if self._lookups:
            await asyncio.wait(self._lookups, timeout=limit)
        await self._lookup.close(limit)

    def warn(self, job: str, what: str, error: Exception) -> None:
        """Log a warning, once in a while for each job."""
        now = self.clock.monotonic()
        if now - self._warned.get((job, what), float("-inf")) < WARN_EVERY:
            return
        self._warned = {key: at for key, at in self._warned.items() if now - at < WARN_EVERY}
        self._warned[job, what] = now
        _log.warning("%s: %s (%s)", job, what, error)

    def _find(self, job: str) -> Definition | str:
        """Find a job; where this process can't load it, warn, and tell why: another one may, or a later one."""
        try:
            definition = self._definitions[job] = self._registry.find(job)
        except Exception as error:  # noqa: BLE001 - mostly UnknownJob and InvalidJob; nothing may lose what is claimed
            self.warn(job, "what is queued of it waits for a worker that has it", error)
            return lacks_job(error)
        return definition

    async def _begin_for_tenants(self, group: list[Going], restored: dict[int, Arguments]) -> None:
        """Find the tenants of executions that are looked for in the same way, and begin them."""
        job = group[0].started.run.job
        try:
            ids = list(dict.fromkeys(going.started.tenant for going in group))
            as_of = max(going.started.run.created_at for going in group)
            found = await self._lookup.find(group[0].definition, group[0].started.run, ids, as_of)
        except (TenantSourceFailed, ConfigurationError) as error:
            self.warn(job, "its tenants can't be found now, so that what is queued of it waits", error)
            due_at = self.clock.now() + SOURCE_AGAIN * 1_000_000
            reason = f"waits for its tenant to be found: {cut(hide_passwords(str(error)), MAX_ERROR)}"
            for going in group:
                going.settle(hand_back(going.started, due_at, error=reason))
            return
        except BaseException as error:
            is_bug = isinstance(error, Exception)  # or else this is cancelled
            again = self.clock.now() + SOURCE_AGAIN * 1_000_000 if is_bug else None
            for going in group:
                going.settle(hand_back(going.started, again))
            if is_bug:
                _log.exception("%s: looking for its tenants failed", job)
                return
            raise
        for going in group:
            tenant = found.get(going.started.tenant)
            if tenant is None:
                going.settle(ended(going.started, ExecutionStatus.SKIPPED, GONE))
            elif going.is_open:
                self._begin(going, tenant, restored)

    def _begin(self, going: Going, tenant: Tenant | None, restored: dict[int, Arguments]) -> None:
        started, definition = going.started, going.definition
        run = started.run
        try:
            misfit = _misfit(definition, started)
            if misfit is not None:
                going.settle(ended(started, ExecutionStatus.FAILED, misfit))
                return
            takes_any = run.args or run.kwargs or definition.signature.parameters
            args, kwargs = _restored(definition, run, restored) if takes_any else ((), {})
            key = f"{run.origin}/{started.tenant}"
            scheduled_for = None if run.scheduled_for is None else to_datetime(run.scheduled_for)
            assignment = Assignment(
                definition,
                args,
                kwargs,
                run.id,
                tenant,
                Attempt(number=started.attempt, key=key, fence=started.epoch, scheduled_for=scheduled_for),
                definition.timeout,
                self._capture(started),
                None,
                started.solo,
                claimed=True,
                trigger=run.trigger,
                trace=run.trace,
                mask=definition.mask(run.args, run.kwargs),
            )
            going.execution = self.executor.start(assignment, going.end)
        except InvalidArguments as error:  # those of its run no longer fit, and will not by being tried again
            going.settle(ended(started, ExecutionStatus.FAILED, error_text(error)))
        except Exception as error:  # noqa: BLE001 - it ends one execution
            going.end(None, failed(error))

    def _capture(self, started: Started) -> Capture | None:
        watcher = self._watcher
        return Capture(started.tenant or None, partial(watcher.output_of, started)) if watcher.captures else None


def _misfit(definition: Definition, started: Started) -> str | None:
    """Tell why an execution can't be what its job has become since it was enqueued; None where it can."""
    if definition.multi_tenant and started.tenant == NO_TENANT:
        return f"{definition.name} has become multi-tenant since this was enqueued without a tenant; enqueue it anew"
    if not definition.multi_tenant and started.tenant != NO_TENANT:
        return f"{definition.name} is no longer multi-tenant, and this was enqueued for a tenant; enqueue it anew"
    return None


def _restored(definition: Definition, run: QueuedRun, restored: dict[int, Arguments]) -> Arguments:
    """Give the arguments to call `run` with: once for all of a run where none can be changed, else made anew."""
    known = restored.get(run.n)
    if known is not None:
        return known
    args, kwargs = arguments.restore(definition, run.args, run.kwargs)
    if all(type(value) in _PLAIN for value in (*args, *kwargs.values())):
        restored[run.n] = args, kwargs
    return args, kwargs
