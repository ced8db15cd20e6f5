"""The one door through which the command line, code, jobs, the API and the dashboard create runs.

Check first, then record, then select. `operations.py` is the door to runs that there are.
"""

from __future__ import annotations

from contextlib import aclosing
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from pinstripe import arguments
from pinstripe.audit import Kept, Subject, named
from pinstripe.enqueueing import bind_calls, make_retry, make_works
from pinstripe.errors import ConfigurationError, UnknownTenant
from pinstripe.history import Action
from pinstripe.names import normalise_job_name
from pinstripe.operations import Cancelled
from pinstripe.recording import Interrupted, Recording, Started
from pinstripe.redaction import repr_without_arguments
from pinstripe.retrying import ONLY, is_covered, retryable_pages, tenants_in
from pinstripe.run import Run, Trigger
from pinstripe.selection import Choice, Selection, choose
from pinstripe.tenant_sources import Tenants
from pinstripe.tracing import Tracing

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
    from datetime import timedelta

    from pinstripe.actor import Actor
    from pinstripe.background_job import BackgroundJob
    from pinstripe.clock import Clock
    from pinstripe.definition import Arguments, Definition
    from pinstripe.ledger import Ledger, Selected
    from pinstripe.options import Call, Terms
    from pinstripe.queue import NewWork
    from pinstripe.registry import Registry
    from pinstripe.tenant_contexts import TenantContext
    from pinstripe.tenants import Tenant, TenantSource
    from pinstripe.watcher import Watcher

__all__ = ["Cancelled", "Interrupted", "Plan", "Request", "Runs", "Started"]


class Request(NamedTuple):
    """What is to run: a `job` (its name or class), its `args` and `kwargs`, and for whom.

    With `text` the arguments are text from a command line, read by the annotations of `run`. `concurrency` is how many
    executions go on at once, `timeout` bounds each beside the job's own; `fail_fast` starts no more after a failure.
    """

    job: str | type[BackgroundJob]
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = MappingProxyType({})
    text: bool = False
    selection: Selection = Selection()
    trigger: Trigger = Trigger.CODE
    concurrency: int | None = None
    fail_fast: bool = False
    timeout: timedelta | None = None

    def __repr__(self) -> str:
        """Show all but the arguments."""
        return repr_without_arguments(self)


class Plan(NamedTuple):
    """A checked request, of which nothing is recorded yet. `written` are the arguments as the ledger keeps them.

    A retry may be for some tenants `only` of all that it would be for; `retried_trace` is that of the run it retries,
    and `redacted` are those arguments that are shown to nobody since they weren't in that one.
    """

    definition: Definition
    written: Arguments
    selection: Selection
    choice: Choice
    trigger: Trigger
    parent: str | None = None
    retry_of: str | None = None
    origin: str | None = None
    only: tuple[str, ...] | None = None
    retried_trace: str | None = None
    redacted: tuple[int | str, ...] = ()

    def __repr__(self) -> str:
        """Show all but the arguments."""
        return repr_without_arguments(self)

    def all_redacted(self) -> tuple[int | str, ...]:
        """Give the positions and names of the arguments that nobody is shown."""
        return tuple(dict.fromkeys((*self.definition.redacted(*self.written), *self.redacted)))

    def arguments(self) -> Arguments:
        """Give the arguments to call `run` with, made anew."""
        return arguments.restore(self.definition, *self.written)

    def selection_json(self) -> dict[str, Any]:
        """Give whom the run is for, as the ledger keeps it."""
        written = self.selection.to_json()
        return written if self.only is None else {**written, ONLY: [*self.only]}


class Runs:
    """Creates runs: new ones, and retries of old ones."""

    def __init__(
        self,
        registry: Registry,
        find_source: Callable[[], TenantSource | None],
        ledger: Ledger,
        clock: Clock,
        active: str,
        find_context: Callable[[], TenantContext | None] = lambda: None,
        tracing: Tracing | None = None,
    ) -> None:
        """Take what a run is made from; `active` names the attribute that tells whether a tenant is active.

        The tenant source is found when a job first needs it, so that a broken one stops no job that has no tenants; so
        is the tenant context, which may refuse a job. `tracing` makes spans, where any are made.
        """
        self._registry = registry
        self._find_source = find_source
        self._ledger = ledger
        self._clock = clock
        self._active = active
        self._find_context = find_context
        self._tracing = tracing or Tracing()
        self._recording = Recording(ledger, clock, self._tracing)

    async def plan(self, request: Request, *, parent: str | None = None, only: Tenant | None = None) -> Plan:
        """Check a request, and record nothing.

        `only` is the tenant in whose workspace it was made: a multi-tenant job is then for that one alone. Raises
        `UnknownJob`, `InvalidJob`, `InvalidArguments`, `UnknownTenant`, `ConfigurationError` and `TenantSourceFailed`.
        """
        definition = self._find(request.job)
        return await self._plan(definition, _bind(definition, request), request, parent, only)

    async def _plan(
        self, definition: Definition, written: Arguments, request: Request, parent: str | None, only: Tenant | None
    ) -> Plan:
        selection = request.selection
        if only is not None and definition.multi_tenant:
            selection = _only(definition, selection, only)
            choice = await choose(definition, Selection(), Tenants([only]), self._active)
        else:
            choice = await choose(definition, selection, self._source(definition), self._active)
        return Plan(definition, written, selection, choice, request.trigger, parent)

    def _find(self, job: str | type[BackgroundJob]) -> Definition:
        definition = self._registry.find(job)
        context = self._find_context() if definition.multi_tenant else None
        if context is not None:
            context.check(definition)
        return definition

    async def start(self, plan: Plan, watcher: Watcher) -> Started:
        """Record the run, select its tenants, and give them.

        A tenant source that fails closes the run as failed: it never looks like "no tenants".
        """
        return await self._recording.record(plan, watcher, leave_out=None)

    async def enqueue(
        self,
        request: Request,
        terms: Terms,
        *,
        calls: Sequence[Call] | None = None,
        parent: str | None = None,
        only: Tenant | None = None,
    ) -> list[Run]:
        """Write down a run for workers, and give it; or one for each of the `calls`, all or none, in their order.

        Each call has its own arguments; all else of `request` holds for all. A run that has the key of `terms` already
        is given instead. Raises as `plan` does, before anything is recorded, and with the number of a call.
        """
        works = await self._works(request, terms, calls, parent, only)
        return await self._put(works, terms.connection) if works else []

    async def _put(
        self, works: Sequence[NewWork], connection: object = None, *, retries: str | None = None, by: str = "enqueue"
    ) -> list[Run]:
        """Write down works, in a span that says so; those of a retry are linked with the trace that it `retries`."""
        first = works[0].run
        with self._tracing.asking(by, first.job, first.trigger, len(works)) as asked:
            asked.retries(retries)
            runs = await self._ledger.queue.enqueue(asked.mark(works), connection)
            if len(runs) == 1:
                asked.became(runs[0])
            return runs

    async def enqueue_for(self, actor: Actor | None, request: Request, terms: Terms) -> Run:
        """Write down a run for workers, as `enqueue` does, and in the audit trail who asked for it."""
        selection = request.selection
        only = selection.tenants[0] if selection.tenants is not None and len(selection.tenants) == 1 else None
        subject = Subject(_name(request.job), only, detail=_detail(selection))
        async with Kept(self._ledger, self._clock, actor, Action.START, subject) as kept:
            (work,) = await self._works(request, terms, None, None, None)
            kept.subject = subject._replace(job=work.run.job)
            await kept.begin()
            (run,) = await self._put([work], terms.connection)
            kept.run = run.id
            if run.id != work.run.id:
                kept.outcome = "a run has this key already"
            return run

    async def _works(
        self,
        request: Request,
        terms: Terms,
        calls: Sequence[Call] | None,
        parent: str | None,
        only: Tenant | None,
    ) -> list[NewWork]:
        definition = self._find(request.job)
        bound = [_bind(definition, request)] if calls is None else await bind_calls(definition, calls)
        plan = await self._plan(definition, bound[0] if bound else ((), {}), request, parent, only)
        tenant = None if only is None else only.id
        return await make_works(plan, bound, terms, tenant=tenant, now=self._clock.now())

    async def enqueue_retry(
        self, reference: str, *, skipped: bool, tenants: Sequence[str] | None = None, actor: Actor | None = None
    ) -> Run | None:
        """Write down a retry, as `retry` makes it, for a worker to select; None where there is nothing to retry.

        Nor is there where another one waits to be selected. With `tenants` it is for these alone. Raises
        `UnknownTenant` for some that the run hasn't, and `ConfigurationError` for some of whom nothing is to be
        retried.
        """
        asked = None if tenants is None else tuple(dict.fromkeys(tenants))
        subject = Subject(tenant=asked[0] if asked is not None and len(asked) == 1 else None, detail=f"run {reference}")
        async with Kept(self._ledger, self._clock, actor, Action.RETRY, subject) as kept:
            plan, whole = await self._plan_retry(reference, asked)
            old = str(plan.retry_of)
            kept.subject = subject._replace(job=plan.definition.name, run=old, detail=None)
            if asked is not None:
                await self._check_retried(plan, asked, whole=whole, skipped=skipped)
            covered = asked is None and await is_covered(self._ledger, old, skipped=skipped)
            if covered or asked == () or (whole and not await self._is_left(plan, skipped=skipped)):
                kept.outcome = "nothing to retry"
                return None
            work = make_retry(plan, skipped=skipped, now=self._clock.now())
            whom = f"{named('for', asked)}, " if asked else ""
            kept.subject = kept.subject._replace(detail=f"{whom}by run {work.run.id}")
            await kept.begin()
            (run,) = await self._put([work], retries=plan.retried_trace, by="retry")
            return run

    async def _is_left(self, plan: Plan, *, skipped: bool) -> bool:
        """Tell whether anything of a run that was selected to its end is to be tried again."""
        async with aclosing(self._left(plan, skipped=skipped)) as pages:
            return await anext(pages, None) is not None

    def _left(self, plan: Plan, *, skipped: bool) -> AsyncGenerator[list[str], None]:
        return retryable_pages(self._ledger, str(plan.retry_of), skipped=skipped, only=plan.only)

    async def _check_retried(self, plan: Plan, asked: tuple[str, ...], *, whole: bool, skipped: bool) -> None:
        """Refuse tenants that a retry would not be for."""
        old, definition = str(plan.retry_of), plan.definition
        if not definition.multi_tenant:
            message = f"{definition.name} is not multi-tenant, so that its runs are retried without a choice of tenants"
            raise ConfigurationError(message)
        if whole:
            known = await tenants_in(self._ledger, old, asked)
            async with aclosing(self._left(plan, skipped=skipped)) as pages:
                left = {id_ async for ids in pages for id_ in ids}
        else:
            async with aclosing(plan.choice.pages()) as chosen:
                known = {tenant.id async for page in chosen for tenant in page}
            left = known - await self._ledger.succeeded(old, asked)
        unknown = tuple(tenant for tenant in asked if tenant not in known)
        if unknown:
            message = f"run {old} of {definition.name} has no {_quoted(unknown)}"
            raise UnknownTenant(message)
        done = tuple(tenant for tenant in asked if tenant not in left)
        if done:
            kinds = "failed, was cancelled or was skipped" if skipped else "failed or was cancelled"
            message = (
                f"nothing of run {old} of {definition.name} is to be retried for {_quoted(done)}; expected tenants "
                f"of whom it {kinds}, and that have neither succeeded since nor are being retried"
            )
            raise ConfigurationError(message)

    async def retry(self, reference: str, *, skipped: bool, watcher: Watcher) -> tuple[Plan, Started] | None:
        """Record a run for what failed or was cancelled in another and has not succeeded in a later retry of it.

        With `skipped`, what was skipped too. Give None where there is nothing of that kind.
        A run whose selection never was complete is selected again, without the tenants that succeeded. Raises
        `UnknownRun`, and what `plan` raises.
        """
        plan, whole = await self._plan_retry(reference, None)
        if not whole:
            return plan, await self._recording.record(plan, watcher, leave_out=plan.retry_of)
        started = await self._recording.record_retry(plan, watcher, skipped=skipped)
        return None if started is None else (plan, started)

    async def _plan_retry(self, reference: str, asked: tuple[str, ...] | None) -> tuple[Plan, bool]:
        """Check a retry, and tell whether all that the old run was for had been selected."""
        old, selected_by, only = await self._retried(reference)
        only = only if asked is None else asked
        selection = Selection.from_json(selected_by.selection)
        definition = self._find(old.job)
        stored = (tuple(old.args), dict(old.kwargs))
        arguments.restore(definition, *stored)  # raises where the job's signature has changed meanwhile
        if selected_by.complete:
            choice = await self._choice_of_retry(definition, selection)
        else:
            choice = await choose(definition, selection, self._source(definition), self._active)
            if only is not None:
                choice, selection = choice.narrowed(only), selection.narrowed(only)
        plan = Plan(
            definition,
            stored,
            selection,
            choice,
            Trigger.RETRY,
            retry_of=old.id,
            origin=selected_by.origin,
            only=only,
            retried_trace=selected_by.trace,
            redacted=old.redacted,
        )
        return plan, selected_by.complete

    async def _retried(self, reference: str) -> tuple[Run, Selected, tuple[str, ...] | None]:
        """Find the run to retry, what it was selected by, and the only tenants of it to retry, if not all.

        A retry that was interrupted before it knew its own tenants stands for the run that it was to retry.
        """
        old = await self._ledger.find_run(reference)
        if not old.finished:
            message = (
                f"run {old.id} of {old.job} is still {old.status}: wait for its end, or stop it, before you retry it"
            )
            raise ConfigurationError(message)
        selected_by = await self._ledger.selected_by(old.id)
        if not selected_by.complete and old.retry_of is not None:
            only = selected_by.selection.get(ONLY)
            first, first_selected_by, _ = await self._retried(old.retry_of)
            return first, first_selected_by, None if only is None else tuple(only)
        return old, selected_by, None

    async def _choice_of_retry(self, definition: Definition, selection: Selection) -> Choice:
        """Choose from the source as it is today: who is gone or no longer matches is then skipped, not refused."""
        if not definition.multi_tenant:
            return await choose(definition, Selection(), None, self._active)
        if selection.force:
            open_selection = Selection(tenants=(), force=True, where=selection.where)
            opened = await choose(definition, open_selection, self._source(definition), self._active)
            return Choice(opened.source, None, frozenset())
        return await choose(definition, Selection(where=selection.where), self._source(definition), self._active)

    def _source(self, definition: Definition) -> TenantSource | None:
        return self._find_source() if definition.multi_tenant else None


def _bind(definition: Definition, request: Request) -> Arguments:
    bind = arguments.bind_text if request.text else arguments.bind
    return bind(definition, request.args, request.kwargs)


def _name(job: str | type[BackgroundJob]) -> str:
    """Name a job that may be none, as the audit trail has it."""
    try:
        return normalise_job_name(job if isinstance(job, str) else job.__name__)
    except ValueError:
        return str(job)


def _detail(selection: Selection) -> str | None:
    """Tell whom a run is asked for, where that is said; its arguments are nobody's business here."""
    parts = [
        named("for", selection.tenants) if selection.tenants else None,
        "for no tenant" if selection.tenants == () else None,
        named("except", selection.exclude) if selection.exclude else None,
        f"where {', '.join(f'{key}={value}' for key, value in selection.where)}" if selection.where else None,
        "forced" if selection.force else None,
    ]
    return ", ".join(part for part in parts if part) or None


def _quoted(tenants: tuple[str, ...]) -> str:
    return f"{'tenant' if len(tenants) == 1 else 'tenants'} {named('', tuple(map(repr, tenants))).lstrip()}"


def _only(definition: Definition, selection: Selection, only: Tenant) -> Selection:
    """Refuse other tenants than the workspace's own, and give the selection of that one."""
    others = sorted({*(selection.tenants or ()), *selection.exclude} - {only.id})
    if others or selection.where:
        what = f"tenants {', '.join(map(repr, others))}" if others else "a choice by `where`"
        message = (
            f"{definition.name} was asked for {what} from the workspace of tenant {only.id!r}; expected that tenant "
            "alone: other tenants are chosen in a global workspace, `project.workspace(tenant=None)`"
        )
        raise ConfigurationError(message)
    return Selection(tenants=(only.id,))
