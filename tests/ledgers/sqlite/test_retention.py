from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from pinstripe.clock import to_datetime
from pinstripe.config import RetentionSettings
from pinstripe.ledgers.sqlite import retention
from pinstripe.ledgers.sqlite.retention import ROWS, prune
from pinstripe.ledgers.sqlite.statements import statement
from tests.ledgers.conftest import START, HandClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    import apsw

    T = TypeVar("T")

pytestmark = pytest.mark.anyio

SETTINGS = RetentionSettings(succeeded=timedelta(days=30), failed=timedelta(days=90), logs=timedelta(days=7))


class Writes:
    """Runs requests in transactions, and counts the rows that each removed from each table."""

    def __init__(self, connection: apsw.Connection) -> None:
        self.connection = connection
        self.removed: list[dict[str, int]] = []

    async def __call__(self, request: Callable[[apsw.Connection], T]) -> T:
        before = self.rows()
        with self.connection:
            answer = request(self.connection)
        self.removed.append({table: count - self.rows()[table] for table, count in before.items()})
        return answer

    def rows(self) -> dict[str, int]:
        tables = ("runs", "executions", "logs")
        return {table: int(self.connection.execute(f"select count(*) from {table}").get) for table in tables}


@pytest.fixture
def writes(connection: apsw.Connection) -> Writes:
    return Writes(connection)


@pytest.fixture(autouse=True)
def _unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "PASS_TIME", 60)
    monkeypatch.setattr(retention, "TRANSACTION_TIME", 60)


def make(connection: apsw.Connection, id_: str, executions: int, *, state: str = "succeeded", days: int = 31) -> None:
    """Make a run that ended that many days ago."""
    texts = dict.fromkeys(("id", "reversed_id", "job", "args", "kwargs", "selection", "origin", "trigger"), id_)
    values = {**texts, **dict.fromkeys(("retry_of", "parent", "trace", "redacted")), "owner": 1, "now": 1}
    ((run,),) = connection.execute(statement("create_run"), values).fetchall()
    finished = START - days * 86_400_000_000
    connection.execute("update runs set state = ?, finished_at = ? where n = ?", (state, finished, run))
    for n in range(executions):
        connection.execute("insert into executions(run, tenant, job, state) values (?, ?, '', ?)", (run, str(n), state))
        log = (connection.last_insert_rowid(), finished if state == "succeeded" else None)
        connection.execute("insert into logs values (?, 'text', ?)", log)


async def test_transactions_are_small(connection: apsw.Connection, writes: Writes) -> None:
    make(connection, "a", 30)
    make(connection, "b", 120)
    make(connection, "c", 0)
    make(connection, "d", 30)
    assert await prune(writes, SETTINGS, HandClock()) == 4
    assert writes.rows() == {"runs": 0, "executions": 0, "logs": 0}
    assert max(each["executions"] for each in writes.removed) <= ROWS
    assert sum(each["executions"] for each in writes.removed) == 180
    assert all(each["logs"] == each["executions"] for each in writes.removed)


async def test_a_transaction_ends_when_its_time_is_up(
    connection: apsw.Connection, writes: Writes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "TRANSACTION_TIME", 0)
    for name in "abc":
        make(connection, name, 2)
    assert await prune(writes, SETTINGS, HandClock()) == 3
    steps = [(each["executions"], each["runs"]) for each in writes.removed]
    assert steps == [(2, 0), (0, 1), (2, 0), (0, 1), (2, 0), (0, 1), (0, 0)]


async def test_a_pass_ends_when_its_time_is_up_and_the_next_carries_on(
    connection: apsw.Connection, writes: Writes, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(connection, "a", 10)
    monkeypatch.setattr(retention, "PASS_TIME", 0)
    assert await prune(writes, SETTINGS, HandClock()) == 0
    assert writes.removed == []
    monkeypatch.setattr(retention, "PASS_TIME", 60)
    assert await prune(writes, SETTINGS, HandClock()) == 1


async def test_old_logs_go_in_small_transactions_too(connection: apsw.Connection, writes: Writes) -> None:
    make(connection, "old", 120, days=8)
    make(connection, "young", 3, days=6)
    make(connection, "failed", 3, state="failed", days=80)
    assert await prune(writes, SETTINGS, HandClock()) == 0
    assert [each["logs"] for each in writes.removed] == [50, 50, 20, 0]
    assert writes.rows() == {"runs": 3, "executions": 126, "logs": 6}


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
async def test_how_long_a_run_is_kept(
    connection: apsw.Connection, writes: Writes, state: str, days: int, *, kept: bool
) -> None:
    make(connection, "a", 1, state=state, days=days)
    assert await prune(writes, SETTINGS, HandClock()) == (0 if kept else 1)
    assert writes.rows()["runs"] == int(kept)


def schedule(connection: apsw.Connection, key: str, *, gone: int | None = None, zones: dict[str, int | None]) -> int:
    """Make a schedule that has been gone for so many days, and its zones for so many; None are there."""
    moments = {days: None if days is None else START - days * 86_400_000_000 for days in (gone, *zones.values())}
    columns = "job, key, edition, cron, by_tenant, looked, gone_at"
    values = key, moments[gone]
    connection.execute(f"insert into schedules({columns}) values ('greet', ?, '', '', 1, 0, ?)", values)
    number = connection.last_insert_rowid()
    for zone, days in zones.items():
        row = (number, zone, moments[days])
        connection.execute("insert into schedule_zones(schedule, zone, since, gone_at) values (?, ?, 1, ?)", row)
    return number


def keep_local_times(connection: apsw.Connection, number: int, *days: int, tenants: int = 1) -> None:
    """Note that tenants had the present time of the wall clock so many days ago."""
    for day in days:
        local_time = (to_datetime(START) - timedelta(days=day)).replace(tzinfo=None).isoformat()
        rows = [(number, local_time, f"t{n}") for n in range(tenants)]
        connection.executemany("insert into local_fires values (?, ?, ?)", rows)


async def test_local_times_go_after_three_days(connection: apsw.Connection, writes: Writes) -> None:
    for key in ("first", "second"):
        number = schedule(connection, key, zones={"Europe/Paris": None})
        keep_local_times(connection, number, 0, 1, 2)
        keep_local_times(connection, number, 4, 200, tenants=40)
    await prune(writes, SETTINGS, HandClock())
    left = connection.execute("select count(*), substr(min(local_time), 1, 10) from local_fires group by schedule")
    assert left.fetchall() == [(3, "2026-09-19")] * 2
    assert len(writes.removed) == 160 // ROWS + 2  # in as small transactions
    assert connection.execute("select count(*) from schedules").get == 2


async def test_what_is_kept_of_schedules_goes_a_month_after_them(connection: apsw.Connection, writes: Writes) -> None:
    schedule(connection, "there", zones={"Europe/Paris": None, "Asia/Tokyo": 29, "America/Lima": 31})
    schedule(connection, "just gone", gone=29, zones={"Europe/Paris": None})
    gone = schedule(connection, "gone", gone=31, zones={"Europe/Paris": None, "Asia/Tokyo": 3})
    keep_local_times(connection, gone, 0)
    schedule(connection, "empty", gone=31, zones={})
    await prune(writes, SETTINGS, HandClock())
    zones = "select key, zone from schedules s left join schedule_zones on schedule = s.id order by s.id, zone"
    assert connection.execute(zones).fetchall() == [
        ("there", "Asia/Tokyo"),
        ("there", "Europe/Paris"),
        ("just gone", "Europe/Paris"),
        ("gone", None),  # for as long as it is kept who has had which time of it
    ]
    connection.execute("delete from local_fires")
    await prune(writes, SETTINGS, HandClock())
    assert connection.execute("select key from schedules order by id").fetchall() == [("there",), ("just gone",)]
