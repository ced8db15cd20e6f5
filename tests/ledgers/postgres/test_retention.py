"""Retention on PostgreSQL: small transactions, of several machines at once, that leave each run whole or not at all."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from pinstripe.clock import to_datetime
from pinstripe.config import RetentionSettings
from pinstripe.ledgers.postgres import retention
from pinstripe.ledgers.postgres.retention import prune
from tests.ledgers.conftest import START, HandClock
from tests.ledgers.postgres.open_transactions import kept_open

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pinstripe.ledgers.postgres.store import Store
    from pinstripe.ledgers.postgres.transaction import Transaction
    from tests.ledgers.postgres.conftest import Database

T = TypeVar("T")

pytestmark = pytest.mark.anyio

SETTINGS = RetentionSettings(succeeded=timedelta(days=30), failed=timedelta(days=90), logs=timedelta(days=7))
DAY = 86_400_000_000
TABLES = ("runs", "executions", "logs", "local_fires")

RUN = """
insert into runs(id, job, state, trigger, args, kwargs, selection, origin, retry_of, created_at, finished_at, total,
  key)
values ('{id}', 'job', '{state}', 'code', '', '', '', '', {retry_of}, 1, {finished}, {executions}, '{id}') returning n
"""
EXECUTIONS = """
with made as (
  insert into executions(run, tenant, job, state)
  select {run}, n, 'job', '{state}' from generate_series(1, {executions}) n returning id)
insert into logs select id, 'text', {log} from made
"""


class Writes:
    """Runs requests in transactions, and counts the rows that each removed from each table."""

    def __init__(self, store: Store, database: Database) -> None:
        self._store = store
        self._database = database
        self.removed: list[dict[str, int]] = []

    async def __call__(self, request: Callable[[Transaction], Awaitable[T]]) -> T:
        before = self.rows()
        answer = await self._store.write(request)
        after = self.rows()
        self.removed.append({table: count - after[table] for table, count in before.items()})
        return answer

    def rows(self) -> dict[str, int]:
        return {table: self._database.fetch(f"select count(*) from {table}")[0][0] for table in TABLES}


@pytest.fixture
def writes(process: Store, database: Database) -> Writes:
    return Writes(process, database)


@pytest.fixture(autouse=True)
def _unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "PASS_TIME", 60)
    monkeypatch.setattr(retention, "ROWS", 50)


def make(
    database: Database,
    id_: str,
    executions: int,
    *,
    state: str = "succeeded",
    days: int = 31,
    retry_of: str | None = None,
) -> int:
    """Make a run that ended that many days ago."""
    finished = START - days * DAY
    of = "null" if retry_of is None else f"'{retry_of}'"
    values: dict[str, Any] = {"id": id_, "state": state, "executions": executions, "finished": finished, "retry_of": of}
    run: int = database.fetch(RUN.format(**values))[0][0]
    database.fetch(EXECUTIONS.format(**values, run=run, log=finished if state == "succeeded" else "null"))
    return run


def left(database: Database) -> list[str]:
    return [id_ for (id_,) in database.fetch("select id from runs order by n")]


async def test_transactions_are_small(writes: Writes, database: Database) -> None:
    for id_, executions in (("a", 30), ("b", 120), ("c", 0), ("d", 20), ("e", 31), ("f", 50), ("g", 100)):
        make(database, id_, executions)
    assert await prune(writes, SETTINGS, HandClock()) == 7
    assert writes.rows() == dict.fromkeys(TABLES, 0)
    assert max(each["executions"] for each in writes.removed) <= 50
    assert sum(each["executions"] for each in writes.removed) == 351
    assert all(each["logs"] == each["executions"] for each in writes.removed)


async def test_runs_go_together_as_far_as_they_fit(writes: Writes, database: Database) -> None:
    for n in range(60):
        make(database, f"a{n}", 1, days=100 - n)
    assert await prune(writes, SETTINGS, HandClock()) == 60
    assert [each["runs"] for each in writes.removed] == [50, 10, 0]


async def test_a_large_run_leaves_the_screen_whole_before_its_rows_go(
    writes: Writes, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(database, "a", 51)
    seen = []

    async def stop(request: Callable[[Transaction], Awaitable[T]]) -> T:
        answer = await writes(request)
        seen.append(database.fetch("select pruning, key, (select count(*) from executions) from runs"))
        return answer

    assert await prune(stop, SETTINGS, HandClock()) == 1
    assert seen == [[(True, None, 51)], [(True, None, 1)], [], []]
    monkeypatch.setattr(retention, "ROWS", 1)
    make(database, "b", 1)
    assert await prune(writes, SETTINGS, HandClock()) == 1


async def test_a_pass_ends_when_its_time_is_up_and_the_next_carries_on(
    writes: Writes, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(database, "a", 10)
    monkeypatch.setattr(retention, "PASS_TIME", 0)
    assert await prune(writes, SETTINGS, HandClock()) == 0
    assert writes.removed == []
    monkeypatch.setattr(retention, "PASS_TIME", 60)
    assert await prune(writes, SETTINGS, HandClock()) == 1


async def test_old_logs_go_in_small_transactions_too(writes: Writes, database: Database) -> None:
    make(database, "old", 120, days=8)
    make(database, "young", 3, days=6)
    make(database, "failed", 3, state="failed", days=80)
    assert await prune(writes, SETTINGS, HandClock()) == 0
    assert [each["logs"] for each in writes.removed] == [50, 50, 20, 0]
    assert writes.rows() == {"runs": 3, "executions": 126, "logs": 6, "local_fires": 0}


@pytest.mark.parametrize(
    ("state", "days", "kept"),
    [
        ("succeeded", 29, True),
        ("succeeded", 31, False),
        ("failed", 89, True),
        ("failed", 91, False),
        ("cancelled", 89, True),
        ("cancelled", 91, False),
        ("running", 1_000, True),
        ("queued", 1_000, True),
    ],
)
async def test_how_long_a_run_is_kept(process: Store, database: Database, state: str, days: int, *, kept: bool) -> None:
    make(database, "a", 1, state=state, days=days)
    assert await prune(process.write, SETTINGS, HandClock()) == (0 if kept else 1)
    assert left(database) == ["a"] * kept


async def test_a_retry_stays_as_long_as_what_it_retried(process: Store, database: Database) -> None:
    make(database, "a", 1, state="failed", days=80)
    make(database, "b", 1, retry_of="a", days=79)
    make(database, "c", 1, days=79)
    assert await prune(process.write, SETTINGS, HandClock()) == 1
    assert left(database) == ["a", "b"]
    database.fetch(f"update runs set finished_at = {START - 91 * DAY} where id = 'a'")
    assert await prune(process.write, SETTINGS, HandClock()) == 2


async def test_several_at_once_do_not_wait_for_one_another_and_each_removes_something_else(
    process: Store, neighbour: Store, database: Database
) -> None:
    for n in range(100):
        make(database, f"a{n}", 1, days=200 - n)
    make(database, "large", 120)
    database.fetch("update runs set pruning = true where id = 'large'")

    async def lock(tx: Transaction) -> None:
        assert len(await tx.rows("old_runs", "succeeded", START, 40)) == 40
        assert await tx.value("next_pruned") is not None
        assert len(await tx.rows("old_runs", "failed", START, 40)) == 0

    async with kept_open(process, lock):
        assert await prune(neighbour.write, SETTINGS, HandClock()) == 60
    counts = await asyncio.gather(*(prune(each.write, SETTINGS, HandClock()) for each in (process, neighbour)))
    assert sum(counts) == 41
    assert left(database) == []


def schedule(database: Database, key: str, *, gone: int | None = None, zones: dict[str, int | None]) -> int:
    """Make a schedule that has been gone for so many days, and its zones for so many; None are there."""
    moments = {days: "null" if days is None else START - days * DAY for days in (gone, *zones.values())}
    columns = "job, key, edition, cron, by_tenant, looked, gone_at"
    values = f"'greet', '{key}', '', '', true, 0, {moments[gone]}"
    number: int = database.fetch(f"insert into schedules({columns}) values ({values}) returning id")[0][0]
    for zone, days in zones.items():
        row = f"{number}, '{zone}', 1, {moments[days]}"
        database.fetch(f"insert into schedule_zones(schedule, zone, since, gone_at) values ({row})")
    return number


def keep_local_times(database: Database, number: int, *days: int, tenants: int = 1) -> None:
    """Note that tenants had the present time of the wall clock so many days ago."""
    for day in days:
        local_time = (to_datetime(START) - timedelta(days=day)).replace(tzinfo=None).isoformat()
        database.fetch(
            f"insert into local_fires select {number}, '{local_time}', n from generate_series(1, {tenants}) n"
        )


async def test_local_times_go_after_three_days(writes: Writes, database: Database) -> None:
    for key in ("first", "second"):
        number = schedule(database, key, zones={"Europe/Paris": None})
        keep_local_times(database, number, 0, 1, 2)
        keep_local_times(database, number, 4, 200, tenants=40)
    await prune(writes, SETTINGS, HandClock())
    there = database.fetch("select count(*), substr(min(local_time), 1, 10) from local_fires group by schedule")
    assert there == [(3, "2026-09-19")] * 2
    assert [each["local_fires"] for each in writes.removed] == [50, 50, 50, 10, 0]  # in as small transactions
    assert database.fetch("select count(*) from schedules") == [(2,)]


async def test_what_is_kept_of_schedules_goes_a_month_after_them(process: Store, database: Database) -> None:
    schedule(database, "there", zones={"Europe/Paris": None, "Asia/Tokyo": 29, "America/Lima": 31})
    schedule(database, "just gone", gone=29, zones={"Europe/Paris": None})
    gone = schedule(database, "gone", gone=31, zones={"Europe/Paris": None, "Asia/Tokyo": 3})
    keep_local_times(database, gone, 0)
    schedule(database, "empty", gone=31, zones={})
    await prune(process.write, SETTINGS, HandClock())
    zones = "select key, zone from schedules s left join schedule_zones on schedule = s.id order by s.id, zone"
    assert database.fetch(zones) == [
        ("there", "Asia/Tokyo"),
        ("there", "Europe/Paris"),
        ("just gone", "Europe/Paris"),
        ("gone", None),  # for as long as it is kept who has had which time of it
    ]
    database.fetch("delete from local_fires")
    await prune(process.write, SETTINGS, HandClock())
    assert database.fetch("select key from schedules order by id") == [("there",), ("just gone",)]
