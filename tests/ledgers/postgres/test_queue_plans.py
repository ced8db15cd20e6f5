"""No statement walks over what is kept or waits, whatever it is asked for: a turn costs no more where a queue is long.

Each is planned as PostgreSQL does it for values that it doesn't know, in a ledger where much is kept, and much waits.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from pinstripe.clock import SystemClock
from pinstripe.ledgers.postgres.statements import statements
from pinstripe.ledgers.postgres.store import Store
from pinstripe.postgres_address import read_postgres_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgres import Postgres

KEPT = 60_000
"""Runs of one execution that have ended."""

WAITING = 40_000
"""Those that wait: a quarter each is ready, held until its time, by a limit, and by a predecessor or a pause."""

MUCH = f"""
insert into pinstripe.runs(n, id, job, state, trigger, args, kwargs, selection, origin, selected, total, open,
  created_at, finished_at, queued, flow, band, due_at, schedule, scheduled_for)
select n, gen_random_uuid(), 'job' || n % 40, case when n <= {KEPT} then 'succeeded' else 'queued' end, 'code',
  '[]', '{{}}', '{{}}', '', true, 1, case when n <= {KEPT} then 0 else 1 end, n,
  case when n <= {KEPT} then n end, true, 't:t' || n % 900, n % 3, n,
  case when n % 10 = 0 then 'hourly' end, case when n % 10 = 0 then n end
from generate_series(1, {KEPT + WAITING}) n;
insert into pinstripe.executions(id, run, tenant, job, state, held, chunk, band, tag, due_at, epoch)
select n, n, 't' || n % 900, job, state,
  case when state = 'succeeded' or n % 4 = 0 then null
    else (array['due', 'limit', 'overlap', 'tenant_limit', 'paused'])[n % 4 + n % 8 / 4 * (n % 4 / 2)] end,
  case when state = 'queued' and n % 4 = 0 then n end, n % 3, n, n, 1
from pinstripe.runs;
update pinstripe.executions set state = 'running', chunk = null, owner = 1 where chunk > {KEPT + WAITING - 400};
insert into pinstripe.chunks(id, run, flow, band, tag, until, ready_at)
select chunk, run, 't:' || tenant, band, chunk, chunk + 1, chunk
from pinstripe.executions where state = 'queued' and chunk is not null;
insert into pinstripe.flows select n % 3, 't:t' || n, n from generate_series(1, 3000) n;
insert into pinstripe.limits select 'job' || n, 5, 1 from generate_series(0, 9) n;
insert into pinstripe.slots select id, job, tenant from pinstripe.executions where state = 'running';
insert into pinstripe.guards select job, 'hourly', id::text, id from pinstripe.executions where state = 'queued';
insert into pinstripe.pauses values ('job3', '', 1), ('', 't5', 1);
insert into pinstripe.logs select id, 'printed', id from pinstripe.executions where id % 5 = 0;
insert into pinstripe.owners(name, host, boot_id, pid, code_version, beat, expires_at, worker)
select k, '', '', 1, '', 0, 0, true from generate_series(1, 5) k;
insert into pinstripe.schedules(job, key, edition, cron, by_tenant, looked)
select 'job' || n, 'hourly', '', '', true, 1 from generate_series(0, 39) n;
insert into pinstripe.local_fires select 1, to_char(n, '00000'), n from generate_series(1, 20000) n;
"""

LARGE = "executions|runs|chunks|logs|guards|local_fires"
"""The tables that grow with what is kept or waits."""

_WALK = re.compile(rf"Seq Scan on ({LARGE})\b")
_COMMENT = re.compile(r"^--.*\n", re.MULTILINE)
_STATEMENT = re.compile(r"(select|insert|update|delete|with)\b")

WALKS = {
    "begin_turn": "it asks whether there is any guard, and the first one that it meets is the answer",
    "begin_turn_settling": "as begin_turn",
    "waiting_by_band": "it counts all that is ready, for a status",
    "stale_guards": "a sweep asks of each guard whether its execution is open",
    "guards_of_nobody": "a sweep asks of all that predecessors hold back, which is much here, for its runs",
}
"""Statements that may walk, and why."""


PARTS = frozenset({"settle", "note_fronts"})
"""What can't stand by itself."""


def all_statements() -> list[str]:
    """Name every statement; what is only a part of others is tried with them."""
    statement = statements("pinstripe")
    whole = [name for name in statement.names() if _STATEMENT.match(_COMMENT.sub("", statement(name)))]
    return [name for name in whole if "pinstripe." in statement(name) and name not in PARTS]


@contextmanager
def new_ledger(postgres: Postgres) -> Iterator[psycopg.Connection]:
    """Give a connection to a ledger in which nothing is, and of which nothing is known."""

    async def make(url: str) -> None:
        store = Store(read_postgres_url(url, "ledger"), SystemClock())
        await store.open(write=True)
        await store.close()

    with postgres.database() as name:
        asyncio.run(make(postgres.url(name)))
        with psycopg.connect(postgres.url(name), autocommit=True) as connection:
            connection.execute("set plan_cache_mode = force_generic_plan; set jit = off")
            yield connection


@pytest.fixture(scope="module")
def queue(postgres: Postgres) -> Iterator[psycopg.Connection]:
    """Give a connection to a ledger in which much is kept, and much waits."""
    with new_ledger(postgres) as connection:
        connection.execute(MUCH.encode())
        connection.execute("vacuum analyze")
        yield connection


@pytest.fixture(scope="module")
def fresh(postgres: Postgres) -> Iterator[psycopg.Connection]:
    """Give a connection, as a worker's, to a ledger in which nothing is."""
    with new_ledger(postgres) as connection:
        connection.execute("set enable_seqscan = off")
        yield connection


def plan(connection: psycopg.Connection, name: str) -> str:
    """Give the plan of a statement for values that aren't known."""
    connection.execute(f"prepare planned as {statements('pinstripe')(name)}".encode())
    try:
        rows: list[Any] = connection.execute(
            "select coalesce(array_length(parameter_types, 1), 0) from pg_prepared_statements where name = 'planned'"
        ).fetchall()
        nulls = ", ".join(["null"] * rows[0][0])
        lines = connection.execute(f"explain execute planned{f'({nulls})' if nulls else ''}".encode())
        return "\n".join(line for (line,) in lines)
    finally:
        connection.execute("deallocate planned")


@pytest.mark.parametrize("name", all_statements())
def test_no_statement_walks_over_what_is_kept_or_waits(queue: psycopg.Connection, name: str) -> None:
    steps = plan(queue, name)
    assert not _WALK.search(steps) or name in WALKS, steps


TURNS = {
    "begin_turn_settling": {"executions_pkey", "executions_due", "runs_stopping", "runs_to_select"},
    "settle_works": {"executions_pkey"},
    "requeue": {"executions_pkey"},
    "last_crashes": {"executions_pkey", "runs_pkey"},
    "start_picked": {"executions_ready", "executions_pkey"},
    "start_ids": {"executions_pkey"},
    "candidates": {"executions_ready", "runs_pkey"},
    "locked_chunks": {"chunks_pkey", "executions_ready"},
    "running_of_worker": {"executions_running", "runs_pkey"},
    "uncap": {"executions_capped", "executions_limited", "executions_pkey"},
    "end_turn": {"chunks_pkey", "executions_ready", "runs_pkey"},
}
"""By which indexes of what grows a turn goes."""

_INDEX = re.compile(r"(?:Scan using|Bitmap Index Scan on) ((?:executions|runs|chunks)_\w+)")


@pytest.mark.parametrize("name", TURNS)
def test_a_turn_that_is_planned_while_nothing_is_there_goes_by_number(fresh: psycopg.Connection, name: str) -> None:
    """A worker plans once: it begins in a ledger that has just been made, and goes on with a run of thousands."""
    steps = plan(fresh, name)
    assert {*_INDEX.findall(steps)} == TURNS[name], steps
