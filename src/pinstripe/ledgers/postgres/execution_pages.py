"""Pages of executions: of a run by tenant, and of a tenant by run, found by the indexes that there are."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from pinstripe.errors import UnknownRun
from pinstripe.history import ExecutionPage, TenantPage
from pinstripe.ledgers.histories import FOR_TENANT, LARGE_LOOKED, LOOKED, Sizes, execution_index, matching
from pinstripe.ledgers.postgres.texts import writable
from pinstripe.ledgers.references import unknown
from pinstripe.ledgers.rows import read_execution

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pinstripe.ledgers.histories import AskedOfRun, AskedOfTenant
    from pinstripe.ledgers.postgres.transaction import Transaction
    from pinstripe.run import Execution, ExecutionStatus

_TENANT = 1
"""Where in a row of `execution_in_list` the tenant is."""


async def page_of_run(tx: Transaction, run: str, asked: AskedOfRun, shown: str) -> ExecutionPage:
    """Give a run's executions by tenant."""
    sizes = await _sizes(tx, run, shown)
    if asked.status is not None and not sizes.may_have(asked.status):
        return ExecutionPage([], None)
    begin = sizes.number, writable(asked.after) or "", asked.after is None
    index = execution_index(asked.status)
    last: str | None = None
    rows: Sequence[Sequence[Any]]
    if asked.search:
        tenants = await tx.value(f"tenants_by_{index}", *begin, LOOKED)
        last = tenants[-1] if len(tenants) == LOOKED else None
        rows = await _some_of(tx, sizes.number, matching(tenants, asked.search), asked.status, asked.limit + 1)
    elif asked.status is not None and index == "run":
        reach, many = await tx.row("reach_of_page", *begin, LOOKED)
        last = reach if many == LOOKED else None
        rows = await tx.rows("executions_until", *begin, asked.limit + 1, reach, str(asked.status))
    else:
        rows = await tx.rows(f"executions_by_{index}", *begin, asked.limit + 1)
    if len(rows) > asked.limit:
        last = rows[asked.limit - 1][_TENANT]
    return ExecutionPage([read_execution(run, row) for row in rows[: asked.limit]], last)


async def executions_of(tx: Transaction, run: str, tenants: Sequence[str], shown: str) -> list[Execution]:
    """Give a run's executions for these tenants, in their order."""
    number = (await _sizes(tx, run, shown)).number
    wanted = [*dict.fromkeys(writable(tenant) for tenant in tenants)]
    return [read_execution(run, row) for row in await tx.rows("executions_for", number, wanted, None)]


async def page_of_tenant(tx: Transaction, asked: AskedOfTenant) -> TenantPage:
    """Give what was done for a tenant, newest run first."""
    tenant, job = writable(asked.tenant), writable(asked.job)
    floors: list[Any] = [*await tx.rows("floor_of_size", 0, asked.before, LARGE_LOOKED - 1)]
    if asked.job is not None or asked.state is not None:
        floors += await tx.rows("floor_of_tenant", 0, asked.before, FOR_TENANT - 1, tenant)
    floor: int | None = max((n for (n,) in floors), default=None)
    values = floor or 0, asked.limit + 1, job, tenant, asked.state, asked.before
    rows: list[Any] = [*await tx.rows("listed_for_tenant", *values), *await tx.rows("unlisted_for_tenant", *values)]
    rows.sort(key=lambda row: row[0], reverse=True)
    if len(rows) > asked.limit:
        floor = rows[asked.limit - 1][0]
    return TenantPage([read_execution(run, row) for _, run, *row in rows[: asked.limit]], floor)


async def _some_of(
    tx: Transaction, run: int, tenants: Sequence[str], status: ExecutionStatus | None, limit: int
) -> list[Sequence[Any]]:
    """Give the first so many rows of those for these tenants that have a status."""
    state = None if status is None else str(status)
    rows: list[Sequence[Any]] = []
    left = iter(tenants)
    while len(rows) < limit and (some := [*islice(left, limit)]):
        rows += await tx.rows("executions_for", run, some, state)
    return rows


async def _sizes(tx: Transaction, run: str, shown: str) -> Sizes:
    row = await tx.row("sizes_of_run", writable(run))
    if row is None:
        raise UnknownRun(unknown(run, shown))
    return Sizes(*row)
