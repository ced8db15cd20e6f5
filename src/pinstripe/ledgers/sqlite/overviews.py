"""Overviews of a job's last runs, and of who fails: each a bounded number of looks into indexes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pinstripe.history import MAX_ERROR, SAMPLED, RunPoint
from pinstripe.ledgers.overviews import (
    FAILED_RUNS,
    FAILURES,
    LATER,
    OF_TENANT,
    SPARSE,
    FailedRun,
    choose_tenants,
    durations_of,
    failing_of,
    groups_of,
    make_heat_map,
)
from pinstripe.ledgers.rows import FAILED, NUMBER
from pinstripe.ledgers.sqlite.listing import make_run
from pinstripe.ledgers.sqlite.statements import statement

if TYPE_CHECKING:
    import apsw

    from pinstripe.history import FailingTenant, HeatMap


def read_points(connection: apsw.Connection, job: str, limit: int) -> list[RunPoint]:
    """Give a job's last runs, oldest first, with percentiles of how long their executions took."""
    points = []
    for row in reversed(_last_runs(connection, job, limit)):
        values = {"run": row[NUMBER], "looked": SPARSE * SAMPLED, "sampled": SAMPLED}
        took: Any = connection.execute(statement("durations"), values)
        points.append(RunPoint(make_run(connection, row, with_failures=False), durations_of(each for (each,) in took)))
    return points


def read_heat_map(connection: apsw.Connection, job: str, runs: int, rows: int) -> HeatMap:
    """Give the tenants of a job's last runs; of each run, some of those that failed are looked at."""
    last = _last_runs(connection, job, runs)[::-1]
    failed = [_tenants(connection, "failed", row[NUMBER], FAILURES // len(last)) for row in last if row[FAILED]]
    others = (_tenants(connection, "run", row[NUMBER], 2 * rows + 1) for row in last)
    tenants, more = choose_tenants(failed, others, rows)
    values = {"runs": json.dumps([row[NUMBER] for row in last]), "tenants": json.dumps(tenants)}
    cells: Any = connection.execute(statement("heat_cells"), values)
    made = {row[NUMBER]: make_run(connection, row, with_failures=False) for row in last}
    return make_heat_map(made, tenants, cells, more=more)


def read_failing(connection: apsw.Connection, since: int, limit: int) -> list[FailingTenant]:
    """Give for which tenants jobs failed since then, newest first."""
    values = {"since": since, "looked": FAILED_RUNS, "max_error": MAX_ERROR}
    found: list[Any] = connection.execute(statement("last_failed_runs"), values).fetchall()
    found += connection.execute(statement("running_failed_runs"), values).fetchall()
    runs = sorted((FailedRun(*row) for row in found), reverse=True)
    tenants = {run.number: _tenants(connection, "failed", run.number, 2 * limit) for run in runs}
    ids = {run.number: run.id for run in runs}
    later: dict[int, str] = {}
    failing = []
    for group in groups_of(runs, tenants, limit):
        numbers = json.dumps([run.number for run in runs if run.job == group.job])
        asked = {**values, "runs": numbers, "tenant": group.tenant}
        ((failures, number),) = connection.execute(statement("failures_of_tenant"), asked).fetchall()
        if failures:
            last = int(str(number))
            asked |= {"run": last, "id": ids[last], "job": group.job, "later": LATER, "of_tenant": OF_TENANT}
            rows: list[Any] = connection.execute(statement("last_error"), asked).fetchall()
            error, failed_at = rows[0]
            if last not in later:
                later[last] = json.dumps([n for (n,) in connection.execute(statement("later_runs"), asked)])
            asked |= {"later_runs": later[last], "failed_at": failed_at}
            mended: Any = connection.execute(statement("mended_in"), asked).fetchone()
            failing.append(failing_of(group, int(str(failures)), ids[last], error, failed_at, *(mended or [None])))
    return sorted(failing, key=lambda each: -each.finished_at)


def _last_runs(connection: apsw.Connection, job: str, limit: int) -> list[Any]:
    return connection.execute(statement("last_runs_of"), {"job": job, "limit": limit}).fetchall()


def _tenants(connection: apsw.Connection, index: str, run: int, limit: int) -> list[str]:
    values = {"run": run, "first": "", "looked": limit}
    return [str(tenant) for (tenant,) in connection.execute(statement(f"tenants_by_{index}"), values)]
