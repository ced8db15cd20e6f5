"""The days on which a zone's clock is put forward or back, and what a cron line does then. Pure; it reads no clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise, takewhile
from typing import TYPE_CHECKING, NamedTuple

from pinstripe.cron import fires, is_fixed, read_fields

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

AHEAD = timedelta(days=400)
"""How far a change is looked for: 13 months, so that there is one wherever the clock is put each year."""

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_AROUND = timedelta(hours=2)
"""How far from a change it is seen whether fires go on evenly: a line that fires each hour shows it in less."""

_SHOWN = 3
"""How many times are named one by one."""


class ClockChange(NamedTuple):
    """A moment at which a zone's clock is put from one time to another. `at` is aware, in UTC.

    `before` and `behind` are how far the clock is ahead of UTC until then, and from then on.
    """

    at: datetime
    before: timedelta
    behind: timedelta

    @property
    def is_forward(self) -> bool:
        """Whether the clock leaves times out; else it shows some a second time."""
        return self.behind > self.before

    @property
    def shown(self) -> datetime:
        """What the clock was about to show, without a zone."""
        return (self.at + self.before).replace(tzinfo=None)

    @property
    def put_to(self) -> datetime:
        """What it shows instead, without a zone."""
        return (self.at + self.behind).replace(tzinfo=None)

    def in_words(self) -> str:
        """Say it in English: `the clock goes forward on 2027-03-28 at 02:00 (to 03:00)`."""
        same_day = self.put_to.date() == self.shown.date()
        to = _time(self.put_to) if same_day else f"{self.put_to:%Y-%m-%d} {_time(self.put_to)}"
        way = "forward" if self.is_forward else "back"
        return f"the clock goes {way} on {self.shown:%Y-%m-%d} at {_time(self.shown)} (to {to})"


def next_change(zone: tzinfo, after: datetime, within: timedelta = AHEAD) -> ClockChange | None:
    """Find the first change of a zone's clock later than the aware `after`, of whatever size; None for none `within`.

    A change that is taken back in less than a day isn't found; no zone has such a one.
    """
    before = after.astimezone(UTC).replace(microsecond=0)
    end = before + within
    while before < end:
        behind = min(before + _DAY, end)
        if _offset(before, zone) != _offset(behind, zone):
            return _change_between(before, behind, zone)
        before = behind
    return None


def _change_between(before: datetime, behind: datetime, zone: tzinfo) -> ClockChange:
    old = _offset(before, zone)
    while behind - before > _SECOND:
        middle = before + (behind - before) // _SECOND // 2 * _SECOND
        if _offset(middle, zone) == old:
            before = middle
        else:
            behind = middle
    return ClockChange(behind, old, _offset(behind, zone))


def _offset(moment: datetime, zone: tzinfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta(0)


def effect_in_words(cron: str, zone: tzinfo, change: ClockChange) -> str:
    """Say what a checked line does where the clock is put: `02:30 isn't there; it fires at 03:00`, or `no effect`."""
    first, last = sorted((change.shown, change.put_to))
    times = _walls(cron, first, last)
    if not times:
        return "no effect"
    rhythm = _rhythm(cron, zone, change)
    if rhythm is not None:
        return f"it fires {rhythm}, as ever"
    plural = len(times) > 1
    if not change.is_forward:
        there = f"{_named(times)} {'are' if plural else 'is'} there twice"
        if is_fixed(cron):
            return f"{there}: it fires once{' for each' if plural else ''}, at the first"
        return f"{there}: it fires both times"
    missing = f"{_named(times)} aren't there" if plural else f"{_named(times)} isn't there"
    if not is_fixed(cron):
        return f"{missing}: it doesn't fire for {'them' if plural else 'it'}"
    # What is made up for is what fires once the gap is over: as many moments as the times have different seconds.
    moments = takewhile(
        lambda moment: moment < change.at + timedelta(minutes=1), fires(cron, change.at - _SECOND, zone)
    )
    made_up = [moment.astimezone(zone) for moment in moments]
    return f"{missing}; it fires {'once, ' if plural and len(made_up) == 1 else ''}at {_named(made_up)}"


def _walls(cron: str, first: datetime, last: datetime) -> list[datetime]:
    """Give the times of a wall clock from `first` until just before `last` that a line names."""
    begin, end = first.replace(tzinfo=UTC), last.replace(tzinfo=UTC)
    return list(takewhile(lambda wall: wall < end, fires(cron, begin - _SECOND, UTC)))


def _rhythm(cron: str, zone: tzinfo, change: ClockChange) -> str | None:
    """Say how long it is from each fire to the next in real time, where that is the same before, over and behind it."""
    line = read_fields(cron)
    if is_fixed(cron) or len(line.hours) < 24:  # noqa: PLR2004 - not in each hour of the day
        return None
    if len(line.minutes) == len(line.seconds) == 60:  # noqa: PLR2004 - a walk of thousands of seconds would be long
        return "each real second"
    until = change.at + _AROUND
    near = takewhile(lambda moment: moment <= until, fires(cron, change.at - _AROUND - _SECOND, zone))
    steps = {later - earlier for earlier, later in pairwise(near)}
    if len(steps) != 1:
        return None
    (step,) = steps
    units = ((timedelta(hours=1), "hour"), (timedelta(minutes=1), "minute"), (_SECOND, "second"))
    unit, name = next((unit, name) for unit, name in units if not step % unit)
    return f"each real {name}" if step == unit else f"every {step // unit} real {name}s"


def _named(times: Sequence[datetime]) -> str:
    if len(times) > _SHOWN:
        return f"{len(times):,} times from {_time(times[0])} to {_time(times[-1])}"
    *others, last = map(_time, times)
    return f"{', '.join(others)} and {last}" if others else last


def _time(wall: datetime) -> str:
    return f"{wall:%H:%M:%S}" if wall.second else f"{wall:%H:%M}"
