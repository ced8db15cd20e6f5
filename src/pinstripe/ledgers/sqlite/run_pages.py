"""Pages of runs: as they are listed, but each looks at a bounded part of an index, and tells where to go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pinstripe.history import RunPage
from pinstripe.ledgers.histories import LARGE_LOOKED, LOOKED
from pinstripe.ledgers.rows import NUMBER
from pinstripe.ledgers.sqlite.listing import INDEXED, index_of, make_run, rows_of, values_of
from pinstripe.ledgers.sqlite.statements import statement

if TYPE_CHECKING:
    import apsw

    from pinstripe.ledger import RunFilter
    from pinstripe.run import Run


def list_page(connection: apsw.Connection, only: RunFilter, before: int) -> RunPage:
    """Give the next runs, of those with a number less than `before`, that `only` lets through, without failures."""
    values = values_of(only, before)
    index = index_of(connection, values)
    if index is None:
        return RunPage([], None)
    floors: list[Any] = []
    if index == "tenant":
        floors += connection.execute(statement("floor_of_size"), {**values, "looked": LARGE_LOOKED - 1}).fetchall()
    if sum(values[name] is not None for name in INDEXED) > 1:
        floors += connection.execute(statement(f"floor_of_{index}"), {**values, "looked": LOOKED - 1}).fetchall()
    floor = max((n for (n,) in floors), default=None)
    if floor is not None:
        values["first"] = floor
    rows = rows_of(connection, index, {**values, "limit": only.limit + 1})
    more = len(rows) > only.limit
    runs = [make_run(connection, row, with_failures=False) for row in rows[: only.limit]]
    return RunPage(runs, rows[only.limit - 1][NUMBER] if more else floor)


def retries_of(connection: apsw.Connection, run: str, limit: int) -> list[Run]:
    """Give the newest retries of a run, newest first, without failures."""
    rows = connection.execute(statement("retries_of"), {"run": run, "limit": limit}).fetchall()
    return [make_run(connection, row, with_failures=False) for row in rows]
