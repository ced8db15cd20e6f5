"""Finding and listing runs: pages of the newest, each read by an index, whatever the ledger keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pinstripe.errors import UnknownRun
from pinstripe.ledgers.sqlite.rows import read_run
from pinstripe.ledgers.sqlite.statements import statement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import apsw

    from pinstripe.ledger import RunFilter
    from pinstripe.run import Run

_ID_LENGTH = 36
_HEXADECIMAL = frozenset("0123456789abcdef-")


def find_run(connection: apsw.Connection, reference: str, path: Path) -> Run:
    """Give the run that `reference` names: an id, the unique end of one, or `last` (of those that no job started)."""
    written = reference.strip().lower()
    if written == "last":
        rows = connection.execute(statement("last_run")).fetchall()
        if not rows:
            raise UnknownRun(f"the ledger {path} has no run yet")  # noqa: EM102, TRY003
    elif not written or not _HEXADECIMAL.issuperset(written) or len(written) > _ID_LENGTH:
        message = f"{reference!r} is not a run: expected an id, the unique end of one, or `last`"
        raise UnknownRun(message)
    elif len(written) == _ID_LENGTH:
        rows = connection.execute(statement("run_by_id"), {"id": written}).fetchall()
    else:
        rows = connection.execute(statement("runs_by_end_of_id"), {"reversed": written[::-1]}).fetchall()
    if not rows:
        raise UnknownRun(unknown(reference, path))
    if len(rows) > 1:
        message = f"several runs end with {reference!r}, such as {rows[0][1]} and {rows[1][1]}: give more of the id"
        raise UnknownRun(message)
    return read_run(connection, rows[0])


def list_runs(connection: apsw.Connection, only: RunFilter) -> list[Run]:
    """Give the runs that `only` lets through, newest first, failures without tracebacks."""
    tests, values = ["pruning = 0"], dict[str, Any](limit=only.limit)
    source, order = "runs", "n"
    if only.job is not None:
        tests.append("job = :job")
        values["job"] = only.job
    if only.status is not None:
        tests.append("state = :state")
        values["state"] = str(only.status)
    if only.since is not None:
        tests.append("created_at >= :since")
        values["since"] = only.since
    if only.tenant is not None:
        # A tenant's runs are found by its executions: that index is in the order of the runs.
        source = "(select run as found from executions where tenant = :tenant and tenant <> '') cross join runs on n = found"
        order = "found"
        values["tenant"] = only.tenant
    columns = statement("columns_of_run")
    query = f"select {columns} from {source} where {' and '.join(tests)} order by {order} desc limit :limit"  # noqa: S608 - put together of our own words
    rows = connection.execute(query, values).fetchall()
    return [read_run(connection, row, tracebacks=False) for row in rows]


def last_runs(connection: apsw.Connection, jobs: Sequence[str]) -> Mapping[str, Run]:
    """Give the newest run of each of `jobs` that has one."""
    found = {job: connection.execute(statement("last_run_of_job"), {"job": job}).fetchall() for job in jobs}
    return {job: read_run(connection, rows[0], tracebacks=False) for job, rows in found.items() if rows}


def number_of(connection: apsw.Connection, run: str, path: Path) -> int:
    """Give the number of the run with that whole id."""
    row = connection.execute(statement("run_number"), {"id": run}).fetchone()
    if row is None:
        raise UnknownRun(unknown(run, path))
    return int(row[0])


def unknown(reference: str, path: Path) -> str:
    """Say that there is no such run, and why that may be."""
    return (
        f"the ledger {path} has no run {reference!r}: it never had, or its retention has passed; `pinstripe list-runs` "
        "shows those it has"
    )
