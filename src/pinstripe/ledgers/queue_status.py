"""From a ledger's rows to what goes on in its queue: the statements of both ledgers give the same columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pinstripe.priority import Priority
from pinstripe.queue import Pause, Process, RunningExecution, Waiting

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def read_processes(
    rows: Iterable[Sequence[Any]], running: Mapping[int, int], longest: Iterable[Sequence[Any]]
) -> list[Process]:
    """Make processes of the `rows` of the statement `processes`.

    `running` is how many executions each runs, by its number, and `longest` the rows of `running_longest`.
    """
    executions: dict[int, list[RunningExecution]] = {}
    for owner, job, tenant, run, since in longest:
        executions.setdefault(owner, []).append(RunningExecution(job, tenant or None, run, since))
    return [
        Process(
            id_,
            host,
            pid,
            version,
            beat,
            started_at,
            running.get(id_, 0),
            concurrency,
            bool(stopping),
            bool(bot),
            tuple(executions.get(id_, ())),
        )
        for id_, host, pid, version, beat, started_at, concurrency, stopping, bot in rows
    ]


def read_waiting(counts: Mapping[int, int], oldest: Mapping[int, int | None]) -> list[Waiting]:
    """Tell of every priority how many are ready, and since when the `oldest` is; both are by band."""
    return [Waiting(each, counts.get(each.band, 0), oldest.get(each.band)) for each in Priority]


def read_pauses(rows: Iterable[Sequence[Any]]) -> list[Pause]:
    """Make pauses of the rows of the statement `pauses`."""
    return [Pause(job or None, tenant or None, since) for job, tenant, since in rows]
