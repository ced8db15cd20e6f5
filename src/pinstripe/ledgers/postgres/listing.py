"""Finding and listing runs: pages of the newest, each read by an index, whatever the ledger keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pinstripe.errors import UnknownRun
from pinstripe.ledgers.references import ID_LENGTH, LAST, read_reference, the_one, unknown
from pinstripe.ledgers.rows import FAILED, LAST_NUMBER, NUMBER, read_run
from pinstripe.run import MAX_FAILURES, RunStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from enum import StrEnum

    from pinstripe.ledger import RunFilter
    from pinstripe.ledgers.postgres.transaction import Transaction
    from pinstripe.run import Run

_MANY = 2_000
"""Runs that are looked at one by one in a millisecond or two; where there are more, another index may lead to fewer."""

_DISORDER = 60_000_000
"""Microseconds by which a run may be recorded later than one with a greater number: its process waited meanwhile."""


async def find_run(tx: Transaction, reference: str, shown: str, *, with_failures: bool = True) -> Run:
    """Give the run that `reference` names: an id, the unique end of one, or `last` (of those that no job started).

    `shown` is what the ledger is called in messages, here as everywhere.
    """
    written = read_reference(reference)
    if written == LAST:
        rows = await tx.rows("last_run")
    else:
        rows = await tx.rows("run_by_id" if len(written) == ID_LENGTH else "runs_by_end_of_id", written)
    return (await make_runs(tx, [the_one(rows, reference, shown)], with_failures=with_failures))[0]


async def list_runs(tx: Transaction, only: RunFilter) -> list[Run]:
    """Give the runs that `only` lets through, newest first, failures without tracebacks."""
    first = await first_of(tx, only)
    if first is None:
        return []
    index = await fewest(tx, only, first)
    rows = await rows_of(tx, index, only, first, LAST_NUMBER)
    return await make_runs(tx, rows, with_failures=only.failures, tracebacks=False)


async def first_of(tx: Transaction, only: RunFilter) -> int | None:
    """Give the number of the first run that may be what was asked for; None where there is none."""
    return 0 if only.since is None else await tx.value("first_run_since", only.since - _DISORDER)


async def rows_of(tx: Transaction, index: str, only: RunFilter, first: int, before: int) -> Sequence[Sequence[Any]]:
    """Walk an index; give rows of `columns_of_run`, newest first, of those numbers."""
    values = first, only.limit, only.job, only.tenant, text(only.status), only.since, before
    rows = await tx.rows(f"listed_by_{index}", *values)
    if index == "tenant":  # its index lacks most of what large runs did
        by_number = {row[NUMBER]: row for row in (*rows, *await tx.rows("listed_by_size", *values))}
        rows = [by_number[number] for number in sorted(by_number, reverse=True)[: only.limit]]
    return rows


async def fewest(tx: Transaction, only: RunFilter, first: int) -> str:
    """Choose the index to walk: of what was asked for, that which the fewest runs have, counted up to `_MANY`.

    Where runs with one are many and with another few, a walk over the many would look at all of them to find the few.
    That succeeded is said of nearly all runs: by that they are only found where they are few.
    """
    asked = {"tenant": only.tenant, "state": text(only.status), "job": only.job}
    succeeded = only.status is RunStatus.SUCCEEDED
    given = {name: value for name, value in asked.items() if value is not None and not (succeeded and name == "state")}
    if len(given) == 1 and not succeeded:
        return next(iter(given))
    counts = {name: int(await tx.value(f"some_of_{name}", value, first, _MANY)) for name, value in given.items()}
    if succeeded and (few := int(await tx.value("some_of_end", _MANY))) < _MANY:
        counts["end"] = few
    return min(counts, key=lambda name: counts[name]) if counts else "number"


async def last_runs(tx: Transaction, jobs: Sequence[str]) -> Mapping[str, Run]:
    """Give the newest run of each of `jobs` that has one."""
    runs = await make_runs(tx, await tx.rows("last_runs_of_jobs", [*dict.fromkeys(jobs)]), tracebacks=False)
    found = {run.job: run for run in runs}
    return {job: found[job] for job in jobs if job in found}


async def number_of(tx: Transaction, run: str, shown: str) -> tuple[int, str]:
    """Give the number and the job of the run with that whole id."""
    row = await tx.row("run_number", run)
    if row is None:
        raise UnknownRun(unknown(run, shown))
    number, job = row
    return number, job


async def run_of(tx: Transaction, number: int) -> Run:
    """Give the run with that number, which is there."""
    return await read_row(tx, await tx.row("run_by_number", number))


async def read_row(tx: Transaction, row: Sequence[Any]) -> Run:
    """Give the run of a row of `columns_of_run`, with its failures."""
    return (await make_runs(tx, [row]))[0]


async def other_retries(tx: Transaction, run: str) -> list[int]:
    """Give the numbers of the other runs in a run's chain of retries."""
    return [n for (n,) in await tx.rows("other_retries", run)]


async def succeeded(tx: Transaction, run: str, tenants: Sequence[str], *, lock: bool = True) -> set[str]:
    """Give those of `tenants` that need no retry: succeeded in `run` or its chain of retries, or open in it.

    With the `lock` that is so until the transaction ends: who else adds to a run of the chain waits for it.
    """
    if lock:
        await tx.rows("lock_chain", run)
    own = await tx.row("run_number", run)
    runs = [*await other_retries(tx, run), *([] if own is None else [own[0]])]
    return {tenant for (tenant,) in await tx.rows("succeeded", runs, [*tenants])}


async def make_runs(
    tx: Transaction, rows: Sequence[Sequence[Any]], *, with_failures: bool = True, tracebacks: bool = True
) -> list[Run]:
    """Make a `Run` of each row of `columns_of_run`, `with_failures` or without."""
    failures: dict[int, list[Sequence[Any]]] = {row[NUMBER]: [] for row in rows if row[FAILED] and with_failures}
    if failures:
        name = "failures" if tracebacks else "failures_without_tracebacks"
        for number, *failure in await tx.rows(name, [*failures], MAX_FAILURES):
            failures[number].append(failure)
    return [read_run(row, sorted(failures.get(row[NUMBER], ()), key=_tenant)) for row in rows]


def _tenant(failure: Sequence[Any]) -> str:
    return str(failure[0])


def text(status: StrEnum | None) -> str | None:
    """Give a status as the ledger writes it; None stays None."""
    return None if status is None else str(status)
