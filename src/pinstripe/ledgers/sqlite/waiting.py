"""What waits in a ledger's file, and which runs were for workers: read whole, for tests, whose ledgers are small."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

from pinstripe.ledger import NO_TENANT
from pinstripe.ledgers.sqlite.connection import connect, translated
from pinstripe.ledgers.sqlite.statements import statement
from pinstripe.priority import Priority

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class WaitingWork(NamedTuple):
    """An execution that waits for a worker, or a run whose tenants a worker is to select: then it is `selecting`.

    `args` and `kwargs` are JSON values; `due_at` is in microseconds UTC, None where nothing has to come first.
    """

    run: str
    job: str
    tenant: str | None
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    due_at: int | None
    priority: Priority
    key: str | None
    attempts: int
    selecting: bool


class RunOfWorkers(NamedTuple):
    """A run that was enqueued: its number in the ledger, its id, and whether it has ended."""

    n: int
    id: str
    finished: bool


def read_waiting(path: Path) -> list[WaitingWork]:
    """Read what waits in the ledger's file, in the order in which it was enqueued, then of the tenants' ids."""
    return [
        WaitingWork(
            run=id_,
            job=job,
            tenant=None if tenant == NO_TENANT else tenant,
            args=json.loads(args),
            kwargs=json.loads(kwargs),
            due_at=due_at,
            priority=Priority.of_band(band),
            key=key,
            attempts=attempts or 0,
            selecting=not selected,
        )
        for _, id_, job, tenant, args, kwargs, band, key, attempts, selected, due_at in sorted(
            _rows(path, "waiting_work"), key=lambda row: (row[0], row[3] or NO_TENANT)
        )
    ]


def read_runs(path: Path) -> list[RunOfWorkers]:
    """Read which runs were enqueued, in their order."""
    return [RunOfWorkers(n, id_, bool(finished)) for n, id_, finished in _rows(path, "runs_of_workers")]


def _rows(path: Path, name: str) -> list[Any]:
    with translated(path), closing(connect(path, write=False)) as connection:
        return connection.execute(statement(name)).fetchall()
