"""The one door through which runs are cancelled, and through which jobs and tenants are paused and resumed.

It is the same for the command line, code, the HTTP API and the dashboard; `runs.py` is that through which runs are
made. Nothing here imports the project's own code, unless it must be asked whether there is a job or a tenant.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from pinstripe.actor import Door
from pinstripe.audit import Kept, Subject
from pinstripe.errors import TenantSourceFailed, UnknownJob, UnknownTenant
from pinstripe.history import Action
from pinstripe.names import normalise_job_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from pinstripe.actor import Actor
    from pinstripe.clock import Clock
    from pinstripe.ledger import Ledger
    from pinstripe.run import Run

REASONS: Mapping[Door | None, str] = {
    Door.CLI: "cancelled by cancel-run",
    Door.API: "cancelled through the API",
    Door.DASHBOARD: "cancelled in the dashboard",
    Door.CODE: "cancelled by code",
    None: "cancelled by code",
}
"""What cancelled executions have for a reason, by the way in which whoever asked for it came."""

_log = logging.getLogger("pinstripe")


class Cancelled(NamedTuple):
    """A run `before` its end was asked for and `after`; `again` says that it had been asked for already."""

    before: Run
    after: Run
    again: bool


class Operations:
    """Does what is asked for to runs that there are, and to what may start."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        check_job: Callable[[str], None],
        check_tenant: Callable[[str], Awaitable[object]],
    ) -> None:
        """Take the `ledger`, which is opened for writing before anything is done, and what knows names.

        `check_job` raises `UnknownJob` for a name that is none, `check_tenant` raises `UnknownTenant` for such an id.
        """
        self._ledger = ledger
        self._clock = clock
        self._check_job = check_job
        self._check_tenant = check_tenant

    async def cancel(self, reference: str, *, actor: Actor | None = None) -> Cancelled:
        """Ask for the end of a run, whoever runs it; a finished one stays as it is. Raises `UnknownRun`."""
        async with self._keep(actor, Action.CANCEL, Subject(detail=f"run {reference}")) as kept:
            run = await self._ledger.find_run(reference)
            kept.subject = Subject(job=run.job, run=run.id)
            if run.finished:
                kept.outcome = "finished already"
                return Cancelled(run, run, again=False)
            await self._ledger.open(write=True)
            await kept.begin()
            queue = self._ledger.queue
            again = bool(await queue.cancelled([run.id]))
            await queue.cancel(run.id, REASONS[None if actor is None else actor.door])
            return Cancelled(run, await self._ledger.find_run(run.id), again)

    async def pause(
        self,
        job: str | None,
        tenant: str | None,
        *,
        actor: Actor | None = None,
        warn: Callable[[str], None] | None = None,
    ) -> bool:
        """Let nothing more start of a job, for a tenant, or of one for the other; with neither, nothing at all.

        Tells whether that is new. Raises `UnknownJob` and `UnknownTenant`. A tenant source that fails can't tell, and
        must not keep anyone from pausing: `warn` is told of it, or else the log is.
        """
        async with self._keep(actor, Action.PAUSE, Subject(job, tenant)) as kept:
            job = _normalised(job)
            kept.subject = Subject(job, tenant)
            await self._check(job, tenant, warn)
            await self._ledger.open(write=True)
            await kept.begin()
            new = await self._ledger.queue.pause(job, tenant)
            if not new:
                kept.outcome = "paused already"
            return new

    async def resume(
        self,
        job: str | None,
        tenant: str | None,
        *,
        actor: Actor | None = None,
        warn: Callable[[str], None] | None = None,
    ) -> bool:
        """End the pause that `pause` made of the same, and no other; tell whether there was one.

        What is paused may be resumed though its job or its tenant has gone meanwhile. Raises what `pause` raises where
        nothing is.
        """
        async with self._keep(actor, Action.RESUME, Subject(job, tenant)) as kept:
            job = _normalised(job)
            kept.subject = Subject(job, tenant)
            queue = self._ledger.queue
            ended = (job, tenant) in {(pause.job, pause.tenant) for pause in await queue.pauses()}
            if not ended:
                await self._check(job, tenant, warn)
            else:
                await self._ledger.open(write=True)
                await kept.begin()
                ended = await queue.resume(job, tenant)
            if not ended:
                kept.outcome = "not paused"
            return ended

    def _keep(self, actor: Actor | None, action: Action, subject: Subject) -> Kept:
        return Kept(self._ledger, self._clock, actor, action, subject)

    async def _check(self, job: str | None, tenant: str | None, warn: Callable[[str], None] | None) -> None:
        if tenant == "":  # which the ledger would take for "no tenant", and so for all of them
            message = "expected a tenant's id, got an empty text"
            raise UnknownTenant(message)
        if job is not None:
            self._check_job(job)
        if tenant is not None:
            try:
                await self._check_tenant(tenant)
            except TenantSourceFailed as error:
                (warn or _log.warning)(f"whether there is a tenant {tenant!r} can't be told: {error}")


def _normalised(job: str | None) -> str | None:
    try:
        return None if job is None else normalise_job_name(job)
    except ValueError as error:
        raise UnknownJob(str(error)) from error
