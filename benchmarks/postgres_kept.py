"""A ledger on PostgreSQL that has kept millions of executions, made straight by SQL."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import psycopg

from benchmarks.kept import TRACEBACK, Kept, Shape, fill

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_RUNS = (
    "copy pinstripe.runs(n, id, job, state, origin, total, succeeded, failed, created_at, started_at, finished_at,"
    " trigger, args, kwargs, selection, selected) from stdin"
)
_SELECTION = '{"tenants": null, "exclude": [], "where": [], "force": false}'

_SINGLES = (
    "copy pinstripe.executions(run, tenant, job, state, started_at, finished_at, error, traceback, epoch, attempts)"
    " from stdin"
)

_FAN_OUT = """
insert into pinstripe.executions(
    run, tenant, job, listed, state, epoch, attempts, started_at, finished_at, error, traceback)
select %(run)s, 'tenant-' || lpad(i::text, 7, '0'), %(job)s, i < 1000,
    case when i %% 100 = 7 then 'failed' else 'succeeded' end, 1, 1, %(at)s, %(at)s + 1000,
    case when i %% 100 = 7 then 'ValueError: expected an address, got ' || i end,
    case when i %% 100 = 7 then %(traceback)s end
from generate_series(0, %(total)s - 1) as i
"""

_LOGS = """
insert into pinstripe.logs(execution, text, succeeded_at)
select id, repeat('x', 200), case when state = 'succeeded' then finished_at end from pinstripe.executions
where state = 'failed' or (id %% 20 = 0 and finished_at > %(kept_since)s)
"""

# What was given numbers here goes on with the next one.
_GO_ON = "select setval(pg_get_serial_sequence('pinstripe.runs', 'n'), (select max(n) from pinstripe.runs))"


def build(
    folder: Path, url: str, executions: int, singles: int, now: int | None = None, shape: Shape | None = None
) -> Kept:
    """Make the ledger of the project in `folder`, whose URL this is: as `benchmarks.kept` makes one in SQLite."""
    began = time.perf_counter()
    now = now or time.time_ns() // 1_000
    asyncio.run(_make(folder))
    with psycopg.connect(url) as connection:
        connection.execute("set synchronous_commit = off")
        runs, biggest = fill(_Postgres(connection), executions, singles, now, shape or Shape())
        connection.execute(_GO_ON)
    with psycopg.connect(url, autocommit=True) as connection:
        # As autovacuum leaves it after a while, and so that no checkpoint has to write what was made here.
        connection.execute("vacuum analyze")
        connection.execute("checkpoint")
    return Kept(executions, runs, time.perf_counter() - began, biggest, now)


def size_of(url: str) -> float:
    """Give the MiB that the database takes."""
    with psycopg.connect(url) as connection:
        (size,) = connection.execute("select pg_database_size(current_database())").fetchone() or (0,)
    return float(size) / 2**20


async def _make(folder: Path) -> None:
    from pinstripe import open_project

    async with open_project(folder) as opened:
        await opened.ledger.open(write=True)


class _Postgres:
    """Writes it by statements of PostgreSQL's."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def write(self, runs: Sequence[Sequence[Any]], singles: Sequence[Sequence[Any]]) -> None:
        with self._connection.cursor() as cursor:
            with cursor.copy(_RUNS) as copy:
                for run in runs:
                    copy.write_row([*run, "schedule", "[]", "{}", _SELECTION, True])
            with cursor.copy(_SINGLES) as copy:
                for single in singles:
                    copy.write_row([*single, 1, 1])

    def fan_out(self, run: int, job: str, total: int, at: int) -> None:
        values = {"run": run, "job": job, "total": total, "at": at, "traceback": TRACEBACK}
        self._connection.execute(_FAN_OUT, values)

    def logs(self, kept_since: int) -> None:
        self._connection.execute(_LOGS, {"kept_since": kept_since})
