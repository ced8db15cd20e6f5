"""What may be asked of a project from outside: the same for the command line, code, the HTTP API and the dashboard.

Whoever says by which door they came is kept in the audit trail, before anything is done.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pinstripe.actor import Actor
    from pinstripe.clock import Clock
    from pinstripe.ledger import Ledger
    from pinstripe.operations import Cancelled, Operations
    from pinstripe.options import Terms
    from pinstripe.registry import Registry
    from pinstripe.run import Run
    from pinstripe.runs import Request, Runs
    from pinstripe.tenants import Tenant


class ProjectActions(ABC):
    """The part of `Project` by which runs are enqueued, retried and cancelled, and jobs and tenants paused.

    With an `actor` an entry of the audit trail is written before anything is done, and what came of it after, also
    where it is refused; without one there is no entry. An entry that can't be written refuses what was asked for, by
    `LedgerError`.
    """

    ledger: Ledger
    clock: Clock

    @property
    @abstractmethod
    def registry(self) -> Registry:
        """The jobs, by name."""

    @abstractmethod
    def job_names(self) -> list[str]:
        """List the names of the jobs in files, without importing or setting up anything."""

    @abstractmethod
    async def find_tenant(self, id_: str) -> Tenant:
        """Give the tenant with this id; raises `UnknownTenant`."""

    async def enqueue(self, request: Request, terms: Terms | None = None, *, actor: Actor | None = None) -> Run:
        """Enqueue a run for workers; give the queued run, or the one that has the same key.

        `terms` say when, how urgently and under which key; None is now. Raises what `run` raises, before anything is
        recorded.
        """
        from pinstripe.options import NOTHING_SAID

        await self._open_for_writing()
        return await self._runs().enqueue_for(actor, request, terms or NOTHING_SAID)

    async def enqueue_retry(
        self,
        reference: str,
        *,
        skipped: bool = False,
        tenants: Sequence[str] | None = None,
        actor: Actor | None = None,
    ) -> Run | None:
        """Enqueue what `retry` would run; give the queued run, or None where there is nothing to retry.

        Nor is there where another retry of all of it waits to be selected. With `tenants` it is for these alone. Raises
        `UnknownTenant` for some that the run hasn't, and `ConfigurationError` for some of whom nothing is to be
        retried.
        """
        await self._open_for_writing()
        return await self._runs().enqueue_retry(reference, skipped=skipped, tenants=tenants, actor=actor)

    async def cancel(self, reference: str, *, actor: Actor | None = None) -> Cancelled:
        """Ask for the end of a run, whoever runs it; give it before and after. A finished one stays as it is.

        Raises `UnknownRun`.
        """
        return await self._operations().cancel(reference, actor=actor)

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
        keeps nobody from pausing: `warn` is told of it, or else the log is.
        """
        return await self._operations().pause(job, tenant, actor=actor, warn=warn)

    async def resume(
        self,
        job: str | None,
        tenant: str | None,
        *,
        actor: Actor | None = None,
        warn: Callable[[str], None] | None = None,
    ) -> bool:
        """End the pause that `pause` made of the same, and no other; tell whether there was one.

        Raises what `pause` raises, where nothing of that is paused.
        """
        return await self._operations().resume(job, tenant, actor=actor, warn=warn)

    @abstractmethod
    def _refuse_closed(self) -> None:
        """Raise where the project has been closed."""

    @abstractmethod
    async def _open_for_writing(self) -> None: ...

    @abstractmethod
    def _runs(self) -> Runs: ...

    def _operations(self) -> Operations:
        from pinstripe.operations import Operations

        self._refuse_closed()
        return Operations(self.ledger, self.clock, self._check_job, self.find_tenant)

    def _check_job(self, name: str) -> None:
        """Raise `UnknownJob` for what is no job's name; the project's own code is asked only for one without a file."""
        if name not in self.job_names() and name not in self.registry.names():
            self.registry.find(name)  # says which names are near
