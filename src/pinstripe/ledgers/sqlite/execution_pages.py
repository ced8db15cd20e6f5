"""Pages of executions: of a run by tenant, and of a tenant by run, found by the indexes that there are."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any

from pinstripe.errors import UnknownRun
from pinstripe.history import MAX_ERROR, ExecutionPage, TenantPage
from pinstripe.ledgers.histories import FOR_TENANT, LARGE_LOOKED, LOOKED, Sizes, execution_index, matching
from pinstripe.ledgers.references import unknown
from pinstripe.ledgers.rows import read_execution
from pinstripe.ledgers.sqlite.settling import following
from pinstripe.ledgers.sqlite.statements import statement

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import apsw

    from pinstripe.ledgers.histories import AskedOfRun, AskedOfTenant
    from pinstripe.run import Execution, ExecutionStatus

_TENANT = 1
"""Where in a row of `execution_in_list` the tenant is."""


def page_of_run(connection: apsw.Connection, run: str, asked: AskedOfRun, path: Path) -> ExecutionPage:
    """Give a run's executions by tenant."""
    sizes = _sizes(connection, run, path)
    if asked.status is not None and not sizes.may_have(asked.status):
        return ExecutionPage([], None)
    values: dict[str, Any] = {"run": sizes.number, "first": following(asked.after), "looked": LOOKED}
    values |= {"limit": asked.limit + 1, "max_error": MAX_ERROR}
    index = execution_index(asked.status)
    last: str | None = None
    if asked.search:
        tenants = [tenant for (tenant,) in connection.execute(statement(f"tenants_by_{index}"), values)]
        last = tenants[-1] if len(tenants) == LOOKED else None
        rows = _some_of(connection, values, matching(tenants, asked.search), asked.status)
    elif asked.status is not None and index == "run":
        found: list[Any] = connection.execute(statement("reach_of_page"), values).fetchall()
        reach, many = found[0]
        last = reach if many == LOOKED else None
        more = {"last": reach, "state": str(asked.status)}
        rows = connection.execute(statement("executions_until"), {**values, **more}).fetchall()
    else:
        rows = connection.execute(statement(f"executions_by_{index}"), values).fetchall()
    if len(rows) > asked.limit:
        last = rows[asked.limit - 1][_TENANT]
    return ExecutionPage([read_execution(run, row) for row in rows[: asked.limit]], last)


def executions_of(connection: apsw.Connection, run: str, tenants: Sequence[str], path: Path) -> list[Execution]:
    """Give a run's executions for these tenants, in their order."""
    number = _sizes(connection, run, path).number
    return [read_execution(run, row) for row in _executions_for(connection, number, tenants, None)]


def page_of_tenant(connection: apsw.Connection, asked: AskedOfTenant) -> TenantPage:
    """Give what was done for a tenant, newest run first."""
    values: dict[str, Any] = {"tenant": asked.tenant, "job": asked.job, "state": asked.state, "first": 0}
    values |= {"before": asked.before, "limit": asked.limit + 1, "max_error": MAX_ERROR}
    floors = connection.execute(statement("floor_of_size"), {**values, "looked": LARGE_LOOKED - 1}).fetchall()
    if asked.job is not None or asked.state is not None:
        floors += connection.execute(statement("floor_of_tenant"), {**values, "looked": FOR_TENANT - 1}).fetchall()
    floor: Any = max(floors, default=(None,))[0]
    if floor is not None:
        values["first"] = floor
    rows = connection.execute(statement("listed_for_tenant"), values).fetchall()
    rows += connection.execute(statement("unlisted_for_tenant"), values).fetchall()
    rows.sort(key=lambda row: -row[0])  # type: ignore[operator]
    if len(rows) > asked.limit:
        floor = rows[asked.limit - 1][0]
    return TenantPage([read_execution(str(run), row) for _, run, *row in rows[: asked.limit]], floor)


def _some_of(
    connection: apsw.Connection, values: dict[str, Any], tenants: Sequence[str], status: ExecutionStatus | None
) -> list[Any]:
    """Give the first rows of those for these tenants, as many as the `limit` says, that have a status."""
    rows: list[Any] = []
    left = iter(tenants)
    while len(rows) < values["limit"] and (some := [*islice(left, values["limit"])]):
        rows += _executions_for(connection, values["run"], some, status)
    return rows


def _executions_for(
    connection: apsw.Connection, run: int, tenants: Sequence[str], status: ExecutionStatus | None
) -> list[Any]:
    state = None if status is None else str(status)
    values = {"run": run, "tenants": json.dumps([*tenants]), "state": state, "max_error": MAX_ERROR}
    return connection.execute(statement("executions_for"), values).fetchall()


def _sizes(connection: apsw.Connection, run: str, path: Path) -> Sizes:
    found: list[Any] = connection.execute(statement("sizes_of_run"), {"id": run}).fetchall()
    if not found:
        raise UnknownRun(unknown(run, path))
    return Sizes(*found[0])
