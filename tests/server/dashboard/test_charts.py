"""Charts: each part is there, is seen however small it is, and is told in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe.history import Durations, HeatMap, HeatRow, RunPoint, Tally
from pinstripe.run import Counts, ExecutionStatus, Run, RunStatus, Trigger
from pinstripe.server.dashboard import charts
from pinstripe.server.dashboard.heat import heat
from tests.server.dashboard.markup import Node, read

NOW = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)
NAMES = [str(status) for status in ExecutionStatus]


class Due(NamedTuple):
    job: str
    at: datetime


def run(number: int, **counts: int) -> Run:
    return Run(
        f"0199-{number:08}",
        "mail",
        RunStatus.FAILED if counts.get("failed") else RunStatus.SUCCEEDED,
        Trigger.CLI,
        (),
        {},
        NOW + timedelta(hours=number),
        executions=Counts(sum(counts.values()), **counts),
    )


def boxes(node: Node, name: str = "part") -> list[tuple[float, float, float, float]]:
    parts = node.all("rect", class_=name)
    return [
        (
            float(part.attributes["x"]),
            float(part.attributes["y"]),
            float(part.attributes["width"]),
            float(part.attributes["height"]),
        )
        for part in parts
    ]


@given(st.fixed_dictionaries({name: st.integers(0, 10**9) for name in NAMES}))
def test_a_bar_shows_each_state_side_by_side(numbers: dict[str, int]) -> None:
    bar = read(charts.progress(Counts(sum(numbers.values()), **numbers)))
    at = 0.0
    for x, _, width, _ in boxes(bar):
        assert x == pytest.approx(at, abs=0.1)
        assert width >= 5
        at = x + width
    assert at <= 1_000.1
    titles = [title.exact for title in bar.all("title")]
    assert titles == [f"{numbers[name]:,} {name}" for name in charts.ORDER if numbers[name]]


def test_one_of_a_million_is_seen() -> None:
    bar = read(charts.progress(Counts(1_000_000, succeeded=999_999, failed=1)))
    assert boxes(bar, "part-failed")[0][2] >= 7
    assert bar.one("svg").attributes["aria-label"] == "Executions: 999,999 succeeded, 1 failed of 1,000,000"


def test_failures_hang_below_the_line() -> None:
    now = int(NOW.timestamp()) * 1_000_000
    minute = now // charts.MINUTE
    tallies = [
        Tally(minute, "mail", ExecutionStatus.SUCCEEDED, 100, 0),
        Tally(minute, "tidy", ExecutionStatus.SUCCEEDED, 100, 0),
        Tally(minute, "mail", ExecutionStatus.FAILED, 1, 0),
        Tally(minute - 60, "mail", ExecutionStatus.FAILED, 7, 0),
    ]
    figure = read(charts.throughput(tallies, now))
    ((x, y, _, height),) = boxes(figure, "part-succeeded")
    assert (int(x), y + height) == (59, 70)
    ((_, top, _, deep),) = boxes(figure, "part-failed")
    assert top > 70
    assert 3 <= deep <= 26
    assert figure.one("svg").attributes["aria-label"].startswith("201 executions finished in the last 60 minutes, 1 of")
    assert figure.one("title").exact == "20:00 UTC: 200 succeeded, 1 failed"
    assert figure.rows() == [["2026-11-21 20:00:00Z", "200", "1", "0"]]


def test_nothing_is_drawn_of_nothing() -> None:
    figure = read(charts.throughput([], 0))
    assert boxes(figure) == []
    assert "peak 0 a minute" in figure.text


def test_outcomes_and_how_long_they_took() -> None:
    points = [
        RunPoint(run(1, succeeded=3, failed=1), Durations(500_000, 2_000_000, 3_000_000, 4)),
        RunPoint(run(2), None),
        RunPoint(run(3, succeeded=4), Durations(1_000_000, 4_000_000, 9_000_000, 4)),
    ]
    figure = read(charts.outcomes(points))
    assert figure.all("svg")[0].attributes["aria-label"] == "The last 3 runs, of which 1 had failures"
    assert [row[2:] for row in figure.rows()] == [
        ["4 succeeded of 4", "1.0 s", "4.0 s"],
        ["nothing of 0", "-", "-"],
        ["3 succeeded, 1 failed of 4", "500 ms", "2.0 s"],
    ]
    assert [round(height, 1) for *_, height in boxes(figure, "p95")[:2]] == [17.0, 34.0]
    assert "half of them at most" in figure.one("p", class_="durations-key").text


def test_a_lane_for_each_job() -> None:
    fires = [Due("hourly", NOW + timedelta(hours=hour)) for hour in range(1, 30)]
    fires += [Due("<b>", NOW + timedelta(minutes=number)) for number in range(1, 9)]
    fires += [Due(f"job_{number}", NOW + timedelta(hours=5)) for number in range(12)]
    drawn = read(charts.lanes(fires, NOW, each=24))
    lanes = {lane.one("a").text: lane for lane in drawn.all("li")}
    assert len(lanes) == charts.LANES
    assert len(lanes["<b>"].all("rect", class_="tick")) == 8
    assert len(lanes["hourly"].all("rect", class_="tick")) == 1
    assert (
        lanes["hourly"].one("svg").attributes["aria-label"].startswith("24 fires or more, the first at 2026-11-21 21")
    )
    assert "and 4 jobs more" in drawn.text


def test_a_heat_map_tells_each_state_by_a_sign_and_a_word() -> None:
    runs = [run(1, failed=1), run(2, succeeded=1)]
    rows = [
        HeatRow("<acme>", [ExecutionStatus.FAILED, None], 1),
        HeatRow("birch", [None, ExecutionStatus.SUCCEEDED], 0),
    ]
    drawn = read(heat(HeatMap(runs, rows, more=True)))
    assert drawn.rows() == [
        ["<acme>", "\N{MULTIPLICATION SIGN}failed", "not in it", "1"],
        ["birch", "not in it", "\N{MIDDLE DOT}succeeded", "0"],
    ]
    cell = drawn.one("a", class_="heat-failed")
    assert cell.attributes["href"] == "/_pinstripe/runs/0199-00000001/execution?tenant=%3Cacme%3E"
    assert drawn.one("caption").text.endswith("; and more tenants, none of which failed")
    assert "cancelled" in drawn.one("p", class_="heat-legend").text
    assert heat(HeatMap([], [], more=False)) == ""


def test_a_heat_map_tells_of_those_that_have_no_row() -> None:
    def beyond(failed: int, *totals: int) -> str:
        runs = [run(number, succeeded=total) for number, total in enumerate(totals, 1)]
        rows = [HeatRow("acme", [ExecutionStatus.SUCCEEDED] * len(runs), failed)]
        return read(heat(HeatMap(runs, rows, more=True))).one("caption").text.partition("; ")[2]

    assert beyond(0, 87, 87) == "and 86 more tenants, none of which failed"
    assert beyond(1, 2) == "and 1 more tenant, with fewer failures"
    assert beyond(0, 1, 1_001) == "and at least 1,000 more tenants, none of which failed"
