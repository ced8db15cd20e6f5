"""What both ledgers say of work that is enqueued and of what becomes of it: without SQL, and without a driver."""

from __future__ import annotations

import json
from dataclasses import fields
from functools import lru_cache
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from pinstripe.clock import to_datetime
from pinstripe.ledger import NO_TENANT
from pinstripe.queue import QueuedRun
from pinstripe.run import Counts, Run, RunStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from pinstripe.ledger import NewRun
    from pinstripe.queue import NewWork

OVERLAPS = "an earlier fire of its schedule is unfinished for this tenant"
"""Why a scheduled execution is skipped where `overlap` is `"skip"`."""

NOT_STARTED = "not started"
"""Why the executions of a run whose selection failed are cancelled."""

UNKNOWN_SCHEDULE = (
    "a run of {}'s schedule {!r} has the local time {}, but the ledger doesn't know that schedule; expected one that "
    "was registered before it fires"
)


def flow_of(job: str, tenant: str) -> str:
    """Name whom a run of one execution is served for: its tenant, or where it has none its job."""
    return f"t:{tenant}" if tenant != NO_TENANT else f"j:{job}"


def write_redacted(run: NewRun) -> str | None:
    """Write which arguments of a run nobody is shown, as the ledger keeps it: None for a run that hides none."""
    return json.dumps([*run.redacted]) if run.redacted else None


class SelectionWriter:
    """Writes what runs are selected by as JSON: once, where many runs have the same."""

    def __init__(self) -> None:
        """Begin with what most runs have: nothing."""
        self._known: Mapping[str, Any] = {}
        self._written = "{}"

    def write(self, selection: Mapping[str, Any]) -> str:
        """Write a selection."""
        if selection is not self._known:
            self._written = json.dumps(dict(selection))
            self._known = selection
        return self._written


def are_alike(works: Sequence[NewWork]) -> bool:
    """Tell whether there are many, each of one execution, that differ in nothing but their ids and arguments.

    Such are those of one call for many. None of them is what may be there already by its key, or what may meet an
    unfinished predecessor.
    """
    first = works[0]
    if len(works) <= _FEW or first.tenants is None or len(first.tenants) != 1:
        return False
    if first.key is not None or first.overlap is not None or first.local_time is not None:
        return False
    terms, (job, trigger), rest = first[1:], first.run[1:3], first.run[5:]
    return all(
        work[1:] == terms and work.run.job == job and work.run.trigger == trigger and work.run[5:] == rest
        for work in islice(works, 1, None)
    )


_FEW = 4
"""So few are written by a statement for each."""


def new_queued_run(work: NewWork, created_at: datetime) -> Run:
    """Make the run that has just been written for a `work`, without reading it back."""
    run = work.run
    tenants = work.tenants
    total = 0 if tenants is None else len(tenants) if len(tenants) < 2 else len(set(tenants))  # noqa: PLR2004
    is_empty = work.tenants is not None and not total
    return Run(
        id=run.id,
        job=run.job,
        status=RunStatus.SUCCEEDED if is_empty else RunStatus.QUEUED,
        trigger=run.trigger,
        args=tuple(run.args),
        kwargs=run.kwargs,
        created_at=created_at,
        selecting=work.tenants is None,
        retry_of=run.retry_of,
        parent=run.parent,
        scheduled_for=None if work.scheduled_for is None else to_datetime(work.scheduled_for),
        finished_at=created_at if is_empty else None,
        executions=Counts(total, total),
        redacted=tuple(run.redacted),
    )


def new_queued_runs(works: Sequence[NewWork], created_at: datetime) -> list[Run]:
    """Make the runs of works that differ in nothing but their ids and arguments, as `new_queued_run` does of one."""
    first = new_queued_run(works[0], created_at)
    before, after = (first.job, first.status, first.trigger), (created_at, *_AFTER_CREATED(first))
    return [Run(work.run.id, *before, tuple(work.run.args), work.run.kwargs, *after) for work in works]


_AFTER_CREATED = attrgetter(*(each.name for each in fields(Run)[7:]))


def read_queued_run(row: Sequence[Any]) -> QueuedRun:
    """Make a `QueuedRun` of a row of the statement `runs_to_work`."""
    n, id_, job, trigger, args, kwargs, selection, *rest = row
    return QueuedRun(
        n,
        id_,
        job,
        trigger,
        () if args == "[]" else json.loads(args),
        {} if kwargs == "{}" else json.loads(kwargs),
        _selection(selection),
        *rest,
    )


@lru_cache(maxsize=128)
def _selection(written: str) -> dict[str, Any]:
    """Read a selection, which most runs have the same of; nobody changes it."""
    read: dict[str, Any] = json.loads(written)
    return read
