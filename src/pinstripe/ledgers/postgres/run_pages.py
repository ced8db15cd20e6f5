"""Pages of runs: as they are listed, but each looks at a bounded part of an index, and tells where to go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pinstripe.history import RunPage
from pinstripe.ledgers.histories import LARGE_LOOKED, LOOKED
from pinstripe.ledgers.postgres.listing import fewest, first_of, make_runs, rows_of, text
from pinstripe.ledgers.rows import NUMBER

if TYPE_CHECKING:
    from pinstripe.ledger import RunFilter
    from pinstripe.ledgers.postgres.transaction import Transaction
    from pinstripe.run import Run


async def list_page(tx: Transaction, only: RunFilter, before: int) -> RunPage:
    """Give the next runs, of those with a number less than `before`, that `only` lets through, without failures."""
    first = await first_of(tx, only)
    if first is None:
        return RunPage([], None)
    index = await fewest(tx, only, first)
    asked = {"tenant": only.tenant, "state": text(only.status), "job": only.job}
    floors: list[Any] = []
    if index == "tenant":
        floors += await tx.rows("floor_of_size", first, before, LARGE_LOOKED - 1)
    if index != "end" and sum(value is not None for value in asked.values()) > (index != "number"):
        key = () if index == "number" else (asked[index],)
        floors += await tx.rows(f"floor_of_{index}", first, before, LOOKED - 1, *key)
    floor = max((n for (n,) in floors), default=None)
    rows = await rows_of(tx, index, only._replace(limit=only.limit + 1), first if floor is None else floor, before)
    more = len(rows) > only.limit
    runs = await make_runs(tx, rows[: only.limit], with_failures=False)
    return RunPage(runs, rows[only.limit - 1][NUMBER] if more else floor)


async def retries_of(tx: Transaction, run: str, limit: int) -> list[Run]:
    """Give the newest retries of a run, newest first, without failures."""
    return await make_runs(tx, await tx.rows("retries_of", run, limit), with_failures=False)
