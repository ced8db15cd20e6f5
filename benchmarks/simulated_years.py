"""Simulated years: random schedules, restarts and downtimes by a clock that is told; each fire held to a calendar.

The calendar is this module's own: it lists days and compares numbers, and shares no code with what it judges.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import apsw

from benchmarks.figures import Figure, Size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pinstripe.background_job import BackgroundJob
    from pinstripe.project import Project

TITLE = "simulated years: random schedules, restarts and downtimes by a clock that is told"

SECOND, HOUR, DAY = 1_000_000, 3_600_000_000, 86_400_000_000
"""In microseconds."""

BEGIN = 1_767_225_600_000_000
"""The first of January 2026, in microseconds UTC."""

ZONES = (
    *("UTC", "Europe/Berlin", "America/New_York", "America/St_Johns", "Asia/Kolkata", "Asia/Kathmandu"),
    *("Australia/Lord_Howe", "Pacific/Chatham", "Africa/Casablanca", "Antarctica/Troll", "America/Sao_Paulo"),
)
TENANTS_ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe")

LATE, LONGEST = 5 * SECOND, DAY
"""What is promised: a fire that is less late than the first is made; one that is later than the second never is."""

PROJECT = {
    "pyproject.toml": '[tool.pinstripe]\ntenants.source = "everybody:tenants"\nretention.succeeded = "1000d"\n',
    "everybody.py": f"def tenants():\n    return [{{'id': zone, 'time_zone': zone}} for zone in {TENANTS_ZONES!r}]\n",
}


@dataclass
class ToldClock:
    """A clock that goes on when it is told to."""

    microseconds: int = BEGIN

    def now(self) -> int:
        """Give the wall time."""
        return self.microseconds

    def monotonic(self) -> float:
        """Give the same in seconds."""
        return self.microseconds / SECOND


@dataclass(frozen=True, slots=True)
class Life:
    """The time for which a process lives, in microseconds UTC."""

    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Job:
    """A job with one schedule, and the processes whose code has it: from the number `first` up to before `until`."""

    name: str
    cron: str
    zones: tuple[str, ...]
    by_tenant: bool
    catch_up: str
    overlap: str
    first: int
    until: int

    def make(self) -> type[BackgroundJob]:
        """Make its class."""
        from pinstripe import BackgroundJob, Schedule

        zone = "tenant" if self.by_tenant else self.zones[0]
        given: dict[str, Any] = {"time_zone": zone, "catch_up": self.catch_up}
        schedule = Schedule(self.cron, **given)

        async def run(_job: object) -> None: ...

        attributes = {"schedule": schedule, "multi_tenant": self.by_tenant, "overlap": self.overlap, "run": run}
        return type(self.name.title().replace("_", ""), (BackgroundJob,), attributes)

    def expected(self, lives: Sequence[Life]) -> Iterator[int]:
        """Give the times for which it must have fired, by what is promised; once for each zone."""
        mine = lives[self.first : self.until]
        for zone in self.zones:
            times = [at for at in calendar(self.cron, zone, mine[0].begin, mine[-1].end) if at > mine[0].begin]
            down_since = None
            for life in mine:
                if down_since is not None:
                    yield from self._after_downtime(times, down_since, life.begin)
                yield from (at for at in times if life.begin < at <= life.end)
                down_since = life.end

    def _after_downtime(self, times: Sequence[int], since: int, now: int) -> Iterator[int]:
        due = [at for at in times if since < at <= now]
        recent = [at for at in due if at > now - LATE]
        if recent:
            yield from recent
        elif due and self.catch_up == "latest" and due[-1] >= now - LONGEST:
            yield due[-1]


def calendar(cron: str, zone: str, begin: int, end: int) -> Iterator[int]:
    """Give the times of one of the kinds of lines that are made here, from `begin` to `end`, in their order."""
    minute, hour, day, _, weekday = cron.split()
    there = ZoneInfo(zone)
    if hour == "*":
        wanted = range(0, 60, int(minute[2:])) if minute.startswith("*/") else (int(minute),)
        for at in range(begin - begin % (300 * SECOND), end + 1, 300 * SECOND):
            if begin <= at and datetime.fromtimestamp(at // SECOND, there).minute in wanted:
                yield at
        return
    first, last = (datetime.fromtimestamp(at // SECOND, there).date() for at in (begin, end))
    for number in range((last - first).days + 1):
        on = first + timedelta(days=number)
        if is_day(on, day, weekday):
            at = fixed(on, int(hour), int(minute), there)
            if begin <= at <= end:
                yield at


def is_day(on: date, day: str, weekday: str) -> bool:
    """Tell whether a day is meant."""
    if day == "L":
        return (on + timedelta(days=1)).day == 1
    if day != "*":
        return on.day == int(day)
    if weekday == "*":
        return True
    number, _, which = weekday.partition("#")
    return on.isoweekday() % 7 == int(number) and (not which or (on.day - 1) // 7 + 1 == int(which))


def fixed(on: date, hour: int, minute: int, zone: ZoneInfo) -> int:
    """Give when a wall clock shows a time first, or is past it, where it leaves that out."""
    wanted = on.year, on.month, on.day, hour, minute
    there = int(datetime(*wanted, tzinfo=UTC).timestamp())
    near = {datetime.fromtimestamp(there + side, zone).utcoffset() or timedelta() for side in (-86_400, 86_400)}
    moments = sorted(there - int(ahead.total_seconds()) for ahead in near)
    for at in moments:
        if _shown(at, zone) == wanted:
            return at * SECOND
    at = moments[0]
    while _shown(at, zone) < wanted:
        at += 60
    return at * SECOND


def _shown(at: int, zone: ZoneInfo) -> tuple[int, ...]:
    shown = datetime.fromtimestamp(at, zone)
    return shown.year, shown.month, shown.day, shown.hour, shown.minute


@dataclass
class Simulation:
    """Some jobs, and what happens to the processes that let them fire."""

    seed: int
    jobs: int
    days: int
    lives: list[Life] = field(default_factory=list)
    made: list[Job] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make up the processes' lives and the jobs."""
        chance = random.Random(self.seed)
        at = BEGIN + chance.randrange(HOUR)
        while at < BEGIN + self.days * DAY:
            end = at + round(chance.expovariate(1 / 9) * DAY) + HOUR
            self.lives.append(Life(at, end))
            down = chance.choice([4 * SECOND, 8 * SECOND, 600 * SECOND, 10 * HOUR, 3 * DAY])
            at = end + chance.randrange(down)
            if chance.random() < 1 / 2:  # it is back some seconds around a full quarter of an hour
                at += -at % (900 * SECOND) + chance.randrange(10 * SECOND)
        self.made = [self._job(number, chance) for number in range(self.jobs)]

    def _job(self, number: int, chance: random.Random) -> Job:
        kind = chance.choices(["daily", "weekly", "monthly", "often"], [50, 25, 15, 10])[0]
        first, until = (0, len(self.lives)) if chance.random() < 3 / 4 else self._some_lives(chance)
        # What fires often does so for one life: most of a year would be its fires.
        if kind == "often":
            until = first + 1
        by_tenant = chance.random() < 1 / 10
        return Job(
            f"job_{number}",
            _line(kind, chance),
            TENANTS_ZONES if by_tenant else (chance.choice(ZONES),),
            by_tenant,
            chance.choice(["latest", "latest", "none"]),
            chance.choice(["skip", "queue", "allow"]),
            first,
            until,
        )

    def _some_lives(self, chance: random.Random) -> tuple[int, int]:
        first = chance.randrange(len(self.lives))
        return first, chance.randint(first + 1, len(self.lives))

    def expected(self) -> Counter[tuple[str, int]]:
        """Count the fires that must be made, by job and time."""
        return Counter((job.name, at) for job in self.made for at in job.expected(self.lives))

    async def simulate(self, folder: Path) -> Counter[tuple[str, int]]:
        """Let it happen in a new project in `folder`; count the fires that were made, by job and time."""
        from pinstripe.config import load_settings
        from pinstripe.project import Project

        for name, text in PROJECT.items():
            (folder / name).write_text(text, "utf-8")
        clock = ToldClock()
        classes = {job.name: job.make() for job in self.made}
        for number, life in enumerate(self.lives):
            project = Project(load_settings(folder), clock=clock)
            for job in self.made:
                if job.first <= number < job.until:
                    project.registry.add(job.name, classes[job.name])
            await _live(project, clock, life)
        with closing(apsw.Connection(str(folder / ".pinstripe" / "ledger.db"))) as connection:
            return Counter(connection.execute("select job, scheduled_for from runs"))


async def _live(project: Project, clock: ToldClock, life: Life) -> None:
    """Let a process live: whenever something is due, it is that time, and the bot ticks."""
    clock.microseconds = life.begin
    await project.open()
    try:
        bot = project.bot()
        await bot.open()
        await bot.look_at_zones()
        while True:
            while await bot.tick(clock.now()):
                pass
            due = bot.next_due
            if due is None or due > life.end:
                break
            clock.microseconds = due
    finally:
        clock.microseconds = life.end
        await project.close()


def _line(kind: str, chance: random.Random) -> str:
    if kind == "often":
        return chance.choice([f"{chance.randrange(0, 60, 5)} * * * *", "*/15 * * * *", "*/30 * * * *"])
    minute, hour = chance.randrange(60), chance.choice([chance.randrange(24), chance.randrange(4)])
    days = {
        "daily": ["* * *"],
        "weekly": [f"* * {chance.randrange(7)}"],
        "monthly": [f"{chance.randint(1, 31)} * *", "L * *", f"* * {chance.randrange(7)}#{chance.randint(1, 5)}"],
    }
    return f"{minute} {hour} {chance.choice(days[kind])}"


def measure(size: Size) -> Sequence[Figure]:
    """Simulate a year; raises RuntimeError where a fire is missing, or was made that was none."""
    simulation = Simulation(seed=2026, jobs=size.simulated, days=size.simulated_days)
    expected = simulation.expected()
    with TemporaryDirectory(prefix="pinstripe-benchmark-") as folder:
        began = time.perf_counter()
        made = asyncio.run(simulation.simulate(Path(folder)))
        seconds = time.perf_counter() - began
    if made != expected:
        message = f"missing: {sorted(expected - made)[:9]}; too many: {sorted(made - expected)[:9]}"
        raise RuntimeError(message)
    fires = made.total()
    what = f"{size.simulated_days:,} days of {size.simulated:,} jobs: fires, each as a calendar has it"
    note = f"{len(simulation.lives):,} processes one after the other"
    return [Figure(what, fires, "fires", note=note), Figure("… made in a second", fires / seconds, "fires/s")]
