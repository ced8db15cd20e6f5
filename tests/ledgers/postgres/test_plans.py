"""Every hot statement goes by the index that was made for it, whatever PostgreSQL knows or guesses of the values.

Plans depend on what is kept: here that is much of one kind and little of another, as in a ledger of some months.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql

from pinstripe.clock import SystemClock
from pinstripe.ledgers.postgres.statements import statements
from pinstripe.ledgers.postgres.store import Store
from pinstripe.ledgers.rows import LAST_NUMBER
from pinstripe.postgres_address import read_postgres_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgres import Postgres

RUNS = 20_000
LARGE = 5
"""How many runs have 2,000 executions; they are the last."""

MUCH = f"""
insert into pinstripe.runs(n, id, job, state, trigger, args, kwargs, selection, origin, selected, total, open,
  succeeded, created_at, finished_at, queued, flow)
select n, gen_random_uuid(), case when n < 1000 then 'early' when n % 3 = 0 then 'often' else 'job' || n % 40 end,
  case when n > {RUNS - 50} then 'running' when n % 100 = 0 then 'failed' else 'succeeded' end, 'code',
  '[]', '{{}}', '{{}}', '', true, case when n > {RUNS - LARGE} then 2000 else 1 end, 0, 1, n::bigint * 1000000,
  case when n > {RUNS - 50} then null else n::bigint * 1000000 end, true, 'j:x'
from generate_series(1, {RUNS}) n;
insert into pinstripe.executions(run, tenant, job, state, listed, owner, epoch)
select n, 't' || case when total > 1 then k else n % 300 end, job,
  case when total > 1 then (array['succeeded', 'failed', 'queued'])[1 + k % 3] else state end, k <= 1000, n % 5, 1
from pinstripe.runs, generate_series(1, total) k;
insert into pinstripe.logs select id, 'printed', id from pinstripe.executions where id % 5 = 0;
insert into pinstripe.owners(name, host, boot_id, pid, code_version, beat, expires_at)
select k, '', '', 1, '', 0, 0 from generate_series(1, 5) k;
insert into pinstripe.schedules(job, key, edition, cron, by_tenant, looked) values ('often', '', '', '', true, 1);
insert into pinstripe.local_fires select 1, to_char(n, '00000'), n from generate_series(1, 5000) n;
insert into pinstripe.tallies select n / 10, 'job' || n % 10, 'succeeded', 1, 1 from generate_series(1, 20000) n;
insert into pinstripe.audit(at, door, name, action, job, tenant, run)
select n, 'api', 'n' || n % 500, 'start',
  'j' || n % 500, 't' || n % 500, 'r' || n % 500 from generate_series(1, 20000) n;
"""

LARGEST = RUNS
TENANTS = [f"t{n}" for n in range(1_000)]
IDS = [*range(5_000, 5_050)]
ID = "01234567-89ab-7cde-8f01-23456789abcd"
TEXTS = [["text"] * 50] * 5
PAGE = (LARGEST, "t5", False, 50)
AUDITED = (1, 15_000, 50, "r5", "t5", "n5", "j5", "start")

HOT: dict[str, tuple[tuple[Any, ...], str]] = {
    "turning_run": ((1, 5), "runs_pkey"),
    "counted_in": ((5, 1), "runs_pkey"),
    "settled": ((1, [5, 6], [1, 1], [0, 0], [0, 0], [0, 0]), "runs_pkey"),
    "run_abandoned": ((5, 1), "runs_pkey"),
    "counts": ((LARGEST,), "executions_running"),
    "run_number": ((ID,), "runs_by_id"),
    "run_by_number": ((LARGEST,), "executions_running"),
    "run_by_id": ((ID,), "runs_by_id"),
    "runs_by_end_of_id": ((ID[-5:],), "runs_by_id"),
    "selection_of": ((ID,), "runs_by_id"),
    "last_run": ((), "runs_pkey"),
    "last_runs_of_jobs": ((["often", "early", "never"],), "runs_by_job"),
    "failures": (([LARGEST, 100], 1_000), "executions_failed"),
    "failures_without_tracebacks": (([LARGEST, 100], 1_000), "executions_failed"),
    "start_executions": ((LARGEST, 1, TENANTS, 1), "executions_of_run"),
    "started_before": ((LARGEST, 1, TENANTS, 1), "executions_running"),
    "skip_tenants": ((LARGEST, TENANTS, "paused", 1), "executions_of_run"),
    "settle_executions": ((LARGEST, 1, IDS, [1] * 50, *TEXTS), "executions_pkey"),
    "end_ids": ((IDS, "cancelled", "why", 1), "executions_pkey"),
    "end_executions": ((IDS, "cancelled", "why", 1), "executions_pkey"),
    "open_executions": ((LARGEST, "t5", False, 500), "executions_of_run"),
    "queued_tenants": ((LARGEST, "t5", False, 500), "executions_of_run"),
    "retryable_failed": ((LARGEST, "t5", False, 500, [LARGEST - 1]), "executions_failed"),
    "retryable_cancelled": ((LARGEST, "t5", False, 500, [LARGEST - 1]), "executions_cancelled"),
    "retryable_skipped": ((LARGEST, "t5", False, 500, [LARGEST - 1]), "executions_skipped"),
    "other_retries": ((ID,), "runs_by_retry"),
    "lock_chain": ((ID,), "runs_by_id"),
    "succeeded": (([LARGEST, LARGEST - 1], TENANTS), "executions_of_run"),
    "find_execution": ((LARGEST, "t5"), "executions_of_run"),
    "first_run_since": ((RUNS * 500_000,), "runs_pkey"),
    "some_of_tenant": (("t5", 100, 2_000), "executions_of_tenant"),
    "some_of_job": (("often", 100, 2_000), "runs_by_job"),
    "some_of_state": (("failed", 100, 2_000), "runs_by_state"),
    "some_of_end": ((2_000,), "runs_by_end"),
    "old_runs": (("succeeded", 5_000_000, 500), "runs_by_end"),
    "next_pruned": ((), "runs_pruning"),
    "prune_executions_of": ((IDS[:10],), "executions_of_run"),
    "prune_some_executions": ((LARGEST, 500), "executions_of_run"),
    "prune_logs": ((IDS,), "logs_pkey"),
    "prune_runs": ((IDS[:10],), "runs_pkey"),
    "old_logs": ((5_000, 500), "logs_of_succeeded"),
    "old_local_fires": (("00100", 500), "local_fires_pkey"),
    # What those who look back ask for.
    "floor_of_number": ((100, RUNS, 2_000), "runs_pkey"),
    "floor_of_job": ((100, RUNS, 50, "often"), "runs_by_job"),
    "floor_of_state": ((100, RUNS, 50, "failed"), "runs_by_state"),
    "floor_of_tenant": ((100, RUNS, 50, "t5"), "executions_of_tenant"),
    "floor_of_size": ((100, RUNS, 50), "runs_large"),
    "sizes_of_run": ((ID,), "runs_by_id"),
    "executions_by_run": (PAGE, "executions_of_run"),
    "executions_by_failed": (PAGE, "executions_failed"),
    "executions_by_cancelled": (PAGE, "executions_cancelled"),
    "executions_by_skipped": (PAGE, "executions_skipped"),
    "executions_by_running": (PAGE, "executions_running"),
    "executions_until": ((*PAGE, "t6", "succeeded"), "executions_of_run"),
    "reach_of_page": (PAGE, "executions_of_run"),
    "tenants_by_run": (PAGE, "executions_of_run"),
    "tenants_by_failed": (PAGE, "executions_failed"),
    "tenants_by_cancelled": (PAGE, "executions_cancelled"),
    "tenants_by_skipped": (PAGE, "executions_skipped"),
    "tenants_by_running": (PAGE, "executions_running"),
    "executions_for": ((LARGEST, TENANTS[:50], "queued"), "executions_of_run"),
    "listed_for_tenant": ((1, 50, "often", "t5", "failed", RUNS), "executions_of_tenant"),
    "unlisted_for_tenant": ((1, 50, "often", "t5", "failed", RUNS), "runs_large"),
    "retries_of": (("r" * 36, 20), "runs_by_retry"),
    "last_runs_of": (("early", 50), "runs_by_job"),
    "durations": (([LARGEST, 100], 400, 200), "executions_of_run"),
    "heat_tenants": (([LARGEST, 100], 500, 101), "executions_failed"),
    "heat_cells": (([LARGEST, 100], TENANTS[:50]), "executions_of_run"),
    "last_failed_runs": ((1, 200), "runs_by_state"),
    "failed_tenants": (([LARGEST, 100], 50), "executions_failed"),
    "failures_of_tenants": ((["often"], ["t5"], [LARGEST, 100], ["often", "often"], 1), "executions_failed"),
    "mended_in": ((["often"], ["t5"], [100], ["r" * 36], [1], 8, 16), "executions_of_tenant"),
    "tallies": ((1_990,), "tallies_pkey"),
    "totals": ((), "tallies_pkey"),
    "end_audit": ((500, "started", None), "audit_pkey"),
    "audit_by_number": (AUDITED, "audit_pkey"),
    "audit_by_name": (AUDITED, "audit_by_name"),
    "audit_by_job": (AUDITED, "audit_of_job"),
    "audit_by_tenant": (AUDITED, "audit_of_tenant"),
    "audit_by_run": (AUDITED, "audit_of_run"),
    "audit_floor_by_number": ((15_000, 50), "audit_pkey"),
    "audit_floor_by_name": ((15_000, 50, "n5"), "audit_by_name"),
    "audit_floor_by_job": ((15_000, 50, "j5"), "audit_of_job"),
    "audit_floor_by_tenant": ((15_000, 50, "t5"), "audit_of_tenant"),
    "audit_floor_by_run": ((15_000, 50, "r5"), "audit_of_run"),
    "old_tallies": ((500, 500), "tallies_pkey"),
    "old_audit": ((500, 500), "audit_pkey"),
}
"""The statements, each with values for it, and the index by which it goes."""

LISTS = {
    "number": (None, None, None, "runs_pkey"),
    "job": ("early", "t5", None, "runs_by_job"),
    "state": (None, "t5", "failed", "runs_by_state"),
    "tenant": ("often", "t5", "failed", "executions_of_tenant"),
    "size": ("often", "t5", "failed", "runs_large"),
    "end": ("often", None, "succeeded", "runs_by_end"),
}
"""The indexes that a list may go by, each with what is asked for: a job, a tenant and a state."""

BUFFERS = 4_000
"""How many pages of 8 KiB a list may look at: some milliseconds."""


@pytest.fixture(scope="module")
def much(postgres: Postgres) -> Iterator[psycopg.Connection]:
    """Give a connection to a ledger that has much."""

    async def make(url: str) -> None:
        store = Store(read_postgres_url(url, "ledger"), SystemClock())
        await store.open(write=True)
        await store.close()

    with postgres.database() as name:
        asyncio.run(make(postgres.url(name)))
        with psycopg.connect(postgres.url(name), autocommit=True) as connection:
            connection.execute(MUCH.encode())
            connection.execute("vacuum analyze")
            connection.execute("set jit = off")
            yield connection


@pytest.fixture(params=["force_custom_plan", "force_generic_plan"])
def mode(much: psycopg.Connection, request: pytest.FixtureRequest) -> str:
    """Have PostgreSQL plan for the values, or for any."""
    chosen: str = request.param
    much.execute(f"set plan_cache_mode = {chosen}".encode())
    return chosen


class Plan:
    """How a statement is executed."""

    def __init__(self, connection: psycopg.Connection, name: str, values: tuple[Any, ...], *, execute: bool) -> None:
        """Plan it, or execute it and undo that."""
        connection.execute(f"prepare planned as {statements('pinstripe')(name)}".encode())
        written = sql.SQL("({})").format(sql.SQL(", ").join(map(sql.Literal, values))) if values else sql.SQL("")
        how = sql.SQL("analyze, buffers, ") if execute else sql.SQL("")
        explain = sql.SQL("explain ({how}format json) execute planned{values}").format(how=how, values=written)
        with connection.transaction(force_rollback=True):
            (found,) = connection.execute(explain).fetchall()[0]
        connection.execute("deallocate planned")
        self.text = json.dumps(found, indent=1)
        self.nodes = [*_nodes(found[0]["Plan"])]
        self.buffers = sum(found[0]["Plan"].get(f"Shared {kind} Blocks", 0) for kind in ("Hit", "Read"))

    @property
    def indexes(self) -> set[str]:
        """By which indexes it goes."""
        return {node["Index Name"] for node in self.nodes if "Index Name" in node}

    @property
    def whole(self) -> set[str]:
        """Which of the large tables it reads whole."""
        scans = [node["Relation Name"] for node in self.nodes if node["Node Type"] == "Seq Scan"]
        return {*scans} & {"runs", "executions", "logs", "local_fires", "tallies", "audit"}


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for each in plan.get("Plans", ()):
        yield from _nodes(each)


@pytest.mark.usefixtures("mode")
@pytest.mark.parametrize("name", HOT)
def test_hot_statements_go_by_their_index(much: psycopg.Connection, name: str) -> None:
    values, index = HOT[name]
    plan = Plan(much, name, values, execute=False)
    assert not plan.whole, plan.text
    assert index in plan.indexes, plan.text


@pytest.mark.usefixtures("mode")
@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("first", [0, RUNS - 100])
def test_lists_go_by_the_index_that_was_chosen(much: psycopg.Connection, name: str, first: int) -> None:
    job, tenant, state, index = LISTS[name]
    values = first, 50, job, tenant, state, None if not first else first * 1_000_000, LAST_NUMBER
    plan = Plan(much, f"listed_by_{name}", values, execute=True)
    assert not plan.whole, plan.text
    assert index in plan.indexes, plan.text
    assert plan.buffers < BUFFERS, plan.text
