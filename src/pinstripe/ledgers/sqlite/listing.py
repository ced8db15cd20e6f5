"""Finding and listing runs: pages of the newest, each read by an index, whatever the ledger keeps."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pinstripe.errors import UnknownRun
from pinstripe.ledgers.references import ID_LENGTH, LAST, read_reference, the_one, unknown
from pinstripe.ledgers.rows import FAILED, LAST_NUMBER, NUMBER, read_run
from pinstripe.ledgers.sqlite.statements import statement
from pinstripe.run import MAX_FAILURES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import apsw

    from pinstripe.ledger import RunFilter
    from pinstripe.run import Run

INDEXED = ("tenant", "job", "state")
"""By what runs are found."""

_MANY = 2_000
"""Runs that are looked at one by one in a millisecond or two; where there are more, another index may lead to fewer."""


def find_run(connection: apsw.Connection, reference: str, path: Path, *, with_failures: bool = True) -> Run:
    """Give the run that `reference` names: an id, the unique end of one, or `last` (of those that no job started)."""
    written = read_reference(reference)
    if written == LAST:
        rows = connection.execute(statement("last_run")).fetchall()
    elif len(written) == ID_LENGTH:
        rows = connection.execute(statement("run_by_id"), {"id": written}).fetchall()
    else:
        rows = connection.execute(statement("runs_by_end_of_id"), {"reversed": written[::-1]}).fetchall()
    return make_run(connection, the_one(rows, reference, path), with_failures=with_failures)


def list_runs(connection: apsw.Connection, only: RunFilter) -> list[Run]:
    """Give the runs that `only` lets through, newest first, failures without tracebacks."""
    values = values_of(only, LAST_NUMBER)
    index = index_of(connection, values)
    rows = [] if index is None else rows_of(connection, index, values)[: only.limit]
    return [make_run(connection, row, with_failures=only.failures, tracebacks=False) for row in rows]


def values_of(only: RunFilter, before: int) -> dict[str, Any]:
    """Give the values of a list's statements, for runs with a number less than `before`."""
    return {
        "job": only.job,
        "tenant": only.tenant,
        "state": None if only.status is None else str(only.status),
        "since": only.since,
        "first": 0,
        "before": before,
        "limit": only.limit,
    }


def index_of(connection: apsw.Connection, values: dict[str, Any]) -> str | None:
    """Choose the index to walk, and note the first run that was asked for; None where there is none."""
    if values["since"] is not None:
        (first,) = connection.execute(statement("first_run_since"), values).fetchall()[0]
        if first is None:
            return None
        values["first"] = first
    return _fewest(connection, values)


def rows_of(connection: apsw.Connection, index: str, values: dict[str, Any]) -> list[Any]:
    """Walk an index; give rows of `columns_of_run`, newest first."""
    rows: list[Any] = connection.execute(statement(f"listed_by_{index}"), values).fetchall()
    if index == "tenant":  # its index lacks most of what large runs did
        rows += connection.execute(statement("listed_by_size"), values).fetchall()
        by_number = {row[NUMBER]: row for row in rows}
        rows = [by_number[number] for number in sorted(by_number, reverse=True)[: values["limit"]]]
    return rows


def _fewest(connection: apsw.Connection, values: dict[str, Any]) -> str:
    """Choose the index to walk: of what was asked for, that which the fewest runs have, counted up to `_MANY`.

    Where runs with one are many and with another few, a walk over the many would look at all of them to find the few.
    """
    asked = [name for name in INDEXED if values[name] is not None]
    if len(asked) < 2:  # noqa: PLR2004 - with one there is nothing to choose
        return asked[0] if asked else "number"

    def some(name: str) -> int:
        rows: list[Any] = connection.execute(statement(f"some_of_{name}"), {**values, "many": _MANY}).fetchall()
        return int(rows[0][0])

    return min(asked, key=some)


def last_runs(connection: apsw.Connection, jobs: Sequence[str]) -> Mapping[str, Run]:
    """Give the newest run of each of `jobs` that has one."""
    found = {job: connection.execute(statement("last_run_of_job"), {"job": job}).fetchall() for job in jobs}
    return {job: make_run(connection, rows[0], tracebacks=False) for job, rows in found.items() if rows}


def number_of(connection: apsw.Connection, run: str, path: Path) -> tuple[int, str]:
    """Give the number and the job of the run with that whole id."""
    row = connection.execute(statement("run_number"), {"id": run}).fetchone()
    if row is None:
        raise UnknownRun(unknown(run, path))
    number, job = row
    return number, job


def run_of(connection: apsw.Connection, number: int) -> Run:
    """Give the run with that number, which is there."""
    return make_run(connection, connection.execute(statement("run_by_number"), {"run": number}).fetchall()[0])


def succeeded(connection: apsw.Connection, run: str, tenants: Sequence[str]) -> set[str]:
    """Give those of `tenants` that need no retry: succeeded in `run` or its chain of retries, or open in it."""
    others = json.dumps([n for (n,) in connection.execute(statement("other_retries"), {"id": run})])
    values = {"id": run, "others": others, "tenants": json.dumps(tenants)}
    return {tenant for (tenant,) in connection.execute(statement("succeeded"), values)}


def make_run(
    connection: apsw.Connection, row: Sequence[Any], *, with_failures: bool = True, tracebacks: bool = True
) -> Run:
    """Make a `Run` of a row of `columns_of_run`, `with_failures` or without."""
    if not (row[FAILED] and with_failures):
        return read_run(row)
    name = "failures" if tracebacks else "failures_without_tracebacks"
    return read_run(row, connection.execute(statement(name), {"run": row[NUMBER], "limit": MAX_FAILURES}))
