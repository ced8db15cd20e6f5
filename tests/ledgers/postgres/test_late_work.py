"""However much is kept, and waits elsewhere, what is late is found by the runs that schedules have open."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.ledgers.lateness import KINDS
from pinstripe.ledgers.postgres.fires import PostgresFires
from pinstripe.ledgers.works import OVERLAPS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pinstripe.ledgers.postgres.store import Store
    from tests.ledgers.postgres.conftest import Database

pytestmark = pytest.mark.anyio

RUN = """
insert into runs(id, job, state, trigger, args, kwargs, selection, origin, created_at, finished_at, selected, total,
  open, queued, schedule, scheduled_for, skipped, band, flow, overlap)
select '{schedule}' || g, 'job' || g % 5, 'queued', 'schedule', '[]', '{{}}', '{{"zone": ["UTC"]}}', 'a', g, {finished},
  true, {total}, {total}, true, nullif('{schedule}', ''), g, 0, 1, 'r:' || {total}, 'skip'
from generate_series({first}, {last}) g
"""

SCHEDULES = """
insert into schedules(job, key, edition, cron, by_tenant, looked) select 'job' || g, 'k', '1', '', true, 0
from generate_series(0, 4) g;
insert into schedule_zones(schedule, zone, since, fired) select id, 'UTC', 0, 1000000 from schedules
"""

CHUNKS = """
insert into chunks(run, flow, band, tag, until, ready_at) select n, flow, 1, g, g + least(total, 50), 1
from runs, generate_series(0, greatest(total / 50, 1) - 1) g where finished_at is null
"""

ENDED = """
insert into executions(run, tenant, job, state) select n, g, job, 'succeeded' from runs, generate_series(1, 10) g
where finished_at is not null
"""

READY = """
insert into executions(run, tenant, job, chunk) select n, 50 * c.tag + g, job, c.id
from runs r join chunks c on c.run = r.n, generate_series(1, least(total, 50)) g
"""

HELD = "update executions set held = '{}', chunk = null, due_at = 5 where state = 'queued' and run % 4 = {}"

LATE = 50
"""How many are asked for, of the hundreds that there are of each kind."""


@pytest.fixture
def kept(process: Store, database: Database) -> Database:
    """Give a ledger with 20,000 executions that have ended, 5,000 of schedules that wait, and 10,000 of others."""
    assert process.is_open
    database.fetch(RUN.format(finished=1, total=10, schedule="k", first=1, last=2000))
    database.fetch(RUN.format(finished="null", total=100, schedule="k", first=2001, last=2050))
    database.fetch(RUN.format(finished="null", total=1, schedule="k", first=2051, last=2550))
    database.fetch(RUN.format(finished="null", total=500, schedule="", first=2551, last=2570))
    for sql in (*SCHEDULES.split(";"), CHUNKS, ENDED, READY, HELD.format("due", 1), HELD.format("limit", 2), "analyze"):
        database.fetch(sql)
    return database


def scans(plan: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Give what each part of a plan reads, and how many rows it has looked at."""
    if "Relation Name" in plan:
        looked = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
        yield plan["Relation Name"], looked * plan["Actual Loops"]
    for part in plan.get("Plans", ()):
        yield from scans(part)


async def test_few_rows_are_looked_at_for_the_first_that_are_late(process: Store, kept: Database) -> None:
    values = dict.fromkeys(KINDS, (3000, LATE))
    others: dict[str, tuple[Any, ...]] = {"troubled_fires": (3000,), "overlapped": (2000, 2004, OVERLAPS, LATE)}
    connection = await process.listen()
    assert connection is not None
    try:
        for mode in ("force_custom_plan", "force_generic_plan"):
            await connection.execute(f"set plan_cache_mode = {mode}; set search_path to {kept.schema}")
            for name, given in (values | others).items():
                prepared = await connection.prepare(f"explain (analyze, format json) {process.statement(name)}")
                ((written,),) = await prepared.fetch(*given)
                looked = Counter[str]()
                for relation, rows in scans(json.loads(written)[0]["Plan"]):
                    looked[relation] += round(rows)
                assert max(looked["executions"], looked["runs"]) <= 1_000, (name, mode, written)
    finally:
        await connection.close()
    found = await PostgresFires(process).late(3000, LATE)
    assert len(found) == LATE
    assert {work.reason for work in found} <= {"waits for a worker", "waits for its job's limit"}
