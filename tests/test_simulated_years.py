"""A year of random schedules, zones, restarts and downtimes: what fired is what a calendar of its own kind says."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from benchmarks.simulated_years import SECOND, Job, Life, Simulation, calendar

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_year_fires_what_a_calendar_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    simulation = Simulation(seed=seed, jobs=12, days=365)
    made, expected = await simulation.simulate(tmp_path), simulation.expected()
    assert (made - expected, expected - made) == (Counter(), Counter())
    assert made.total() > 1_000


def moments(cron: str, zone: str, begin: datetime, end: datetime) -> list[str]:
    begins, ends = (int(at.timestamp()) * SECOND for at in (begin, end))
    found = calendar(cron, zone, begins, ends)
    return [datetime.fromtimestamp(at // SECOND, UTC).strftime("%m-%d %H:%M") for at in found]


@pytest.mark.parametrize(
    ("cron", "zone", "fires"),
    [
        ("30 2 * * *", "Europe/Berlin", ["03-28 01:30", "03-29 01:00", "03-30 00:30"]),
        ("30 2 L * *", "UTC", ["03-31 02:30"]),
        ("30 2 * * 1#5", "UTC", ["03-30 02:30"]),
        ("30 2 29 * *", "Asia/Kolkata", ["03-28 21:00"]),
        ("30 2 * * 0", "America/New_York", ["03-29 06:30"]),
    ],
)
def test_the_calendar_is_right(cron: str, zone: str, fires: list[str]) -> None:
    begin, end = datetime(2026, 3, 27, 20, tzinfo=UTC), datetime(2026, 3, 31, 20, tzinfo=UTC)
    assert [at for at in moments(cron, zone, begin, end) if at < "03-30 01" or "L" in cron or "#" in cron] == fires


def test_the_calendar_has_both_showings_of_an_hour_or_the_first() -> None:
    begin, end = datetime(2026, 10, 24, 23, 59, tzinfo=UTC), datetime(2026, 10, 25, 2, tzinfo=UTC)
    assert moments("0 * * * *", "Europe/Berlin", begin, end) == ["10-25 00:00", "10-25 01:00", "10-25 02:00"]
    assert moments("30 2 * * *", "Europe/Berlin", begin, end) == ["10-25 00:30"]
    begin, end = datetime(2026, 4, 4, 14, tzinfo=UTC), datetime(2026, 4, 4, 16, tzinfo=UTC)
    assert moments("45 1 * * *", "Australia/Lord_Howe", begin, end) == ["04-04 14:45"]


def test_what_is_promised_after_a_downtime() -> None:
    def after(down: int, catch_up: str) -> list[int]:
        job = Job("job", "0 12 * * *", ("UTC",), by_tenant=False, catch_up=catch_up, overlap="skip", first=0, until=2)
        noon = int(datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp()) * SECOND
        lives = [Life(noon - 9 * SECOND, noon - SECOND), Life(noon + down, noon + down + SECOND)]
        return [(at - noon) // (86_400 * SECOND) for at in job.expected(lives)]

    for catch_up, fires in (("latest", [0]), ("none", [])):
        assert after(4 * SECOND, catch_up) == [0]
        assert after(5 * SECOND, catch_up) == fires
        assert after(86_390 * SECOND, catch_up) == fires
