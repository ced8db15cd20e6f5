from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from pinstripe.clock import to_microseconds
from pinstripe.clock_changes import effect_in_words, next_change
from pinstripe.fires import Fire, KnownSchedule
from pinstripe.opening import open_project
from pinstripe.schedule import Schedule, offset
from tests.test_reference import section, shape

if TYPE_CHECKING:
    from tests.commands.conftest import Command
    from tests.conftest import ProjectFolder

MORNING = (
    'Schedule("30 2 * * *", name="morning", time_zone="tenant", spread="30m", args=("weekly",), kwargs={"limit": 5})'
)
SINCE = datetime(2026, 1, 5, 10, tzinfo=UTC)


@pytest.fixture
def zones(shop: ProjectFolder) -> ProjectFolder:
    """Give the shop tenants in zones of their own, Paris as its own zone, and jobs with schedules."""
    shop.configure("""
        time_zone = "Europe/Paris"
        [tool.pinstripe.tenants]
        source = "shop:tenants"
        time_zone = "place"
    """)
    shop.file(
        "shop.py",
        """
        def tenants():
            yield {"id": "acme", "place": "Asia/Tokyo", "active": True}
            yield {"id": "globex", "place": "Nowhere", "active": True}
            yield {"id": "initech", "place": "Australia/Lord_Howe", "active": False}
            yield {"id": "umbrella", "active": True}
        """,
    )
    job(shop, "report", MORNING)
    job(shop, "several", '["0 * * * *", Schedule("0 9 * * MON", time_zone="America/New_York", catch_up="none")]')
    job(shop, "alone", 'Schedule("0 0 1 * *", spread="1h")', multi_tenant=False)
    return shop


def job(shop: ProjectFolder, name: str, schedule: str, *, multi_tenant: bool = True) -> None:
    shop.job(
        name,
        f"""
        from pinstripe import BackgroundJob, Schedule


        class It(BackgroundJob):
            multi_tenant = {multi_tenant}
            schedule = {schedule}

            async def run(self, kind="weekly", limit=1):
                pass
        """,
    )


def fields(out: str) -> dict[str, str]:
    """Give the fields of what is printed of a schedule, by their names."""
    lines = out.partition("\n\n")[0].splitlines()[1:]
    return {line[2:13].strip(): line[13:] for line in lines}


def test_a_schedule_is_shown_in_words_with_its_next_fires(zones: ProjectFolder, pinstripe: Command) -> None:
    answer = pinstripe("show-schedule", "several", "--next", "2")
    assert (answer.code, answer.err) == (0, "")
    first, fires, second, other_fires = answer.out.split("\n\n")
    assert first.splitlines()[0] == "several  every hour, at minute 0"
    assert second.splitlines()[0] == "several  every Monday at 09:00, America/New_York time"
    shown = fields(answer.out)
    assert shown["zone"] == "Europe/Paris, the project's"
    assert shown["catch-up"] == "latest: of what is missed, the last is made once, late"
    assert shown["known"].startswith("not yet: it fires once a bot has seen it")
    assert shown["clock"].endswith(": it fires each real hour, as ever")
    assert "spread" not in shown
    heading, *rows = fires.splitlines()
    assert heading.split() == ["NEXT,", "IN", "Europe/Paris", "IN", "UTC"]
    assert len(rows) == 2
    local, utc = (cell.strip() for cell in rows[0].strip().split("  "))
    assert datetime.fromisoformat(local) == datetime.fromisoformat(utc)
    assert utc.endswith(":00:00Z")
    assert "NEXT, IN America/New_York" in other_fires
    assert "catch-up   none: what is missed is let go" in second


def test_the_next_fires_are_those_of_the_schedule(zones: ProjectFolder, pinstripe: Command) -> None:
    before = datetime.now(UTC)
    (_, shown) = pinstripe("show-schedule", "several", "--next", "3", "--json").json
    schedule = Schedule("0 9 * * MON", time_zone="America/New_York")
    fires = schedule.fires(before)
    expected = [next(fires) for _ in range(3)]
    assert [datetime.fromisoformat(one["at"]) for one in shown["next"]] == expected
    assert [one["due_at"] for one in shown["next"]] == [one["at"] for one in shown["next"]]
    assert all(one["local"][10:16] == "T09:00" for one in shown["next"])
    assert shown["zone"] == "America/New_York"
    assert (shown["words"], shown["key"]) == (schedule.in_words(), "0 9 * * MON America/New_York")


def test_in_each_tenants_zone_the_projects_is_an_example(zones: ProjectFolder, pinstripe: Command) -> None:
    answer = pinstripe("show-schedule", "report", "--next", "1")
    first_line = answer.out.splitlines()[0]
    assert first_line == "report  every day at 02:30, in each tenant's zone, spread over 30m (morning)"
    shown = fields(answer.out)
    assert shown["zone"] == "each tenant's own; as an example, what follows is for Europe/Paris, the project's"
    assert shown["spread"] == "30m: each tenant has a place of its own in that; --tenant shows one's"
    assert shown["arguments"] == '"weekly", limit=5'
    assert "02:30" in shown["clock"]  # it isn't there, or there twice
    assert "DUE" not in answer.out


def test_a_tenant_has_its_zone_and_its_place_in_the_window(zones: ProjectFolder, pinstripe: Command) -> None:
    (shown,) = pinstripe("show-schedule", "report", "--tenant", "acme", "--next", "1", "--json").json
    place = timedelta(microseconds=offset("report", "acme", 1_800_000_000))
    (fire,) = shown["next"]
    at = datetime.fromisoformat(fire["at"])
    assert at.astimezone(ZoneInfo("Asia/Tokyo")).strftime("%H:%M") == "02:30"
    assert datetime.fromisoformat(fire["due_at"]) == at + place
    assert (shown["tenant"], shown["zone"], shown["outside"], shown["clock_change"]) == (
        *("acme", "Asia/Tokyo"),
        *(False, None),
    )
    answer = pinstripe("show-schedule", "report", "--tenant", "acme", "--next", "1")
    lines = fields(answer.out)
    assert lines["zone"] == "each tenant's own; acme counts as in Asia/Tokyo"
    assert lines["spread"] == f"30m: acme is due {shown['offset']} after each fire"
    assert lines["clock"] == "it is not changed in the next 13 months"
    due = (at + place).astimezone(ZoneInfo("Asia/Tokyo"))
    assert answer.out.splitlines()[-1].endswith(due.isoformat(" "))


@pytest.mark.parametrize("tenant", ["globex", "umbrella"])
def test_a_tenant_without_a_right_zone_counts_as_in_the_projects(
    zones: ProjectFolder, pinstripe: Command, tenant: str
) -> None:
    (shown,) = pinstripe("show-schedule", "report", "--tenant", tenant, "--json").json
    assert shown["zone"] == "Europe/Paris"


def test_a_tenant_outside_of_the_filter_is_told_so(zones: ProjectFolder, pinstripe: Command) -> None:
    answer = pinstripe("show-schedule", "report", "--tenant", "initech")
    assert answer.code == 0
    assert "counts as in Australia/Lord_Howe" in answer.out
    assert answer.out.endswith("\nThe filter of report leaves initech out: it doesn't fire for that one.\n")
    (shown,) = pinstripe("show-schedule", "report", "--tenant", "initech", "--json").json
    assert shown["outside"] is True


def test_a_job_without_tenants_has_one_place(zones: ProjectFolder, pinstripe: Command) -> None:
    (shown,) = pinstripe("show-schedule", "alone", "--next", "1", "--json").json
    (fire,) = shown["next"]
    place = timedelta(microseconds=offset("alone", "", 3_600_000_000))
    assert datetime.fromisoformat(fire["due_at"]) == datetime.fromisoformat(fire["at"]) + place
    assert fields(pinstripe("show-schedule", "alone").out)["spread"].startswith("1h: it is due ")


def test_the_coming_change_of_the_clock(zones: ProjectFolder, pinstripe: Command) -> None:
    (shown,) = pinstripe("show-schedule", "report", "--json").json
    paris = ZoneInfo("Europe/Paris")
    change = next_change(paris, datetime.now(UTC))
    assert change is not None
    assert shown["clock_change"] == {
        "at": change.at.isoformat().replace("+00:00", ".000000Z"),
        "from": change.shown.isoformat(),
        "to": change.put_to.isoformat(),
        "effect": effect_in_words("30 2 * * *", paris, change),
    }


def register(zones: ProjectFolder, job: str, own: str | None, fired: dict[str, datetime]) -> None:
    """Let a bot have seen the first schedule of a job, and let its times go in these zones."""

    async def register_it() -> None:
        async with open_project(zones.path) as project:
            await project.ledger.open(write=True)
            fires = project.ledger.fires
            schedule = project.registry.find(job).schedules[0]
            known = KnownSchedule(
                job, schedule.key("Europe/Paris"), schedule.identity("Europe/Paris"), schedule.cron, own
            )
            registered = await fires.register([known], keep=(), now=to_microseconds(SINCE))
            (number,) = registered.numbers
            if own is None:
                since = to_microseconds(SINCE)
                await fires.set_zones(number, [*fired, "Asia/Kolkata"], since=since, now=since)
            await fires.fire([Fire(number, zone, to_microseconds(at), None) for zone, at in fired.items()])

    asyncio.run(register_it())


def test_what_the_ledger_knows_is_shown(zones: ProjectFolder, pinstripe: Command) -> None:
    at = SINCE + timedelta(days=2)
    register(zones, "several", "Europe/Paris", {"Europe/Paris": at})
    shown = fields(pinstripe("show-schedule", "several").out)
    assert shown["known"] == "since 2026-01-05 10:00:00Z"
    assert shown["last fire"] == "2026-01-07 10:00:00Z"
    assert shown["missed"] == "2026-01-07 10:00:00Z, the last that was let go"
    first, second = pinstripe("show-schedule", "several", "--json").json
    assert second["known"] == []
    assert first["known"] == [
        {
            "zone": "Europe/Paris",
            "since": "2026-01-05T10:00:00.000000Z",
            "last_fire": "2026-01-07T10:00:00.000000Z",
            "last_missed": "2026-01-07T10:00:00.000000Z",
        }
    ]


def test_what_the_ledger_knows_is_shown_of_all_zones_or_of_the_tenants(
    zones: ProjectFolder, pinstripe: Command
) -> None:
    tokyo, paris = SINCE + timedelta(days=2), SINCE + timedelta(days=1)
    register(zones, "report", None, {"Asia/Tokyo": tokyo, "Europe/Paris": paris})
    shown = fields(pinstripe("show-schedule", "report").out)
    assert shown["known"] == "since 2026-01-05 10:00:00Z, in 3 zones"
    assert shown["last fire"] == "2026-01-07 10:00:00Z"
    (everywhere,) = pinstripe("show-schedule", "report", "--json").json
    assert {one["zone"]: one["last_fire"] for one in everywhere["known"]} == {
        "Asia/Tokyo": "2026-01-07T10:00:00.000000Z",
        "Europe/Paris": "2026-01-06T10:00:00.000000Z",
        "Asia/Kolkata": None,
    }
    (there,) = pinstripe("show-schedule", "report", "--tenant", "globex", "--json").json
    assert [one["zone"] for one in there["known"]] == ["Europe/Paris"]


def test_nothing_fires_before_what_has_fired_already(zones: ProjectFolder, pinstripe: Command) -> None:
    ahead = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=400)
    register(zones, "several", "Europe/Paris", {"Europe/Paris": ahead})
    first, _ = pinstripe("show-schedule", "several", "--next", "1", "--json").json
    assert datetime.fromisoformat(first["next"][0]["at"]) == ahead + timedelta(hours=1)


def test_an_edited_schedule_is_not_known_yet(zones: ProjectFolder, process: Command) -> None:
    register(zones, "report", None, {"Asia/Tokyo": SINCE + timedelta(days=2)})
    job(zones, "report", MORNING.replace("30 2", "30 13"))
    (edited,) = process("show-schedule", "report", "--json").json
    assert (edited["key"], edited["known"]) == ("name:morning", [])


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["reprot"], "there is no background job 'reprot'; did you mean report?"),
        (["alone", "--tenant", "acme"], "alone is not multi-tenant: it runs once, without a tenant"),
        (["report", "--tenant", "nobody"], "unknown tenant 'nobody'"),
        (["report", "--tenant", ""], "unknown tenant ''"),
        (["report", "--next", "0"], "Invalid value for '--next': 0 is not in the range"),
        (["report", "--next", "many"], "Invalid value for '--next'"),
        ([], "Missing argument 'JOB'"),
    ],
)
def test_what_is_not_there_is_exit_code_2(
    zones: ProjectFolder, pinstripe: Command, words: list[str], reason: str
) -> None:
    answer = pinstripe("show-schedule", *words)
    assert (answer.code, answer.out) == (2, "")
    assert reason in answer.err


def test_a_tenant_of_a_project_that_says_nothing_of_them_is_exit_code_2(
    zones: ProjectFolder, pinstripe: Command
) -> None:
    zones.configure("")
    answer = pinstripe("show-schedule", "report", "--tenant", "acme")
    assert (answer.code, answer.out) == (2, "")
    assert "expected `source` under [tool.pinstripe.tenants]" in answer.err


def test_a_job_without_a_schedule_says_so(shop: ProjectFolder, pinstripe: Command) -> None:
    answer = pinstripe("show-schedule", "Greet", "--tenant", "acme")
    assert (answer.code, answer.out) == (0, "greet has no schedule: it runs when it is told to.\n")
    empty: Any = pinstripe("show-schedule", "greet", "--json").json
    assert empty == []


def test_a_broken_job_is_told(shop: ProjectFolder, pinstripe: Command) -> None:
    job(shop, "broken", "'61 * * * *'")
    answer = pinstripe("show-schedule", "broken")
    assert (answer.code, answer.out) == (2, "")
    assert "minute is '61'" in answer.err


def test_the_json_is_as_the_reference_describes_it(zones: ProjectFolder, pinstripe: Command) -> None:
    register(zones, "report", None, {"Europe/Paris": SINCE + timedelta(days=2)})
    written = pinstripe("show-schedule", "report", "--tenant", "globex", "--next", "1", "--json").json
    (described,) = re.findall(r"^```json\n(.*?)^```", section("show-schedule"), re.MULTILINE | re.DOTALL)
    assert shape([{**each, "args": [], "kwargs": {}} for each in written]) == shape(json.loads(described))
