"""When cron lines are due next: found once for each line and zone, and known until that has passed. Reads no clock."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from pinstripe.clock import to_datetime, to_microseconds

if TYPE_CHECKING:
    from datetime import tzinfo

_KEPT = 3
"""How many spans are known of a line: the one that goes on, and those that began when its schedules last fired."""

_MOST = 100_000
"""How many lines are known at most; then all are found anew, so that a server that runs for years stays small."""


class _Span(NamedTuple):
    """From `begin` until just before `end` (microseconds UTC), `end` is the next time; None where there is no next."""

    begin: int
    end: int | None


def _begin(span: _Span) -> int:
    return span.begin


class DueTimes:
    """The times at which cron lines are due, with the zones they have in common."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._zones: dict[str, tzinfo | None] = {}
        self._spans: dict[tuple[str, str], list[_Span]] = {}

    def first_after(self, after: int, cron: str, zone: str) -> int | None:
        """Give when a line is due first after then (microseconds UTC), read in the zone of that name.

        None where it never is, or where this process can't tell: its zone is unknown to this machine, or its line was
        written by a Pinstripe that knows more of cron. `check` tells of that, and who only looks must not fail for it.
        """
        spans = self._spans.get((cron, zone))
        if spans is not None:
            for begin, end in spans:
                if begin <= after and (end is None or after < end):
                    return end
        found = next(iter(self.walk(after, cron, zone, 1)), None)
        self._keep(cron, zone, _Span(after, found))
        return found

    def _keep(self, cron: str, zone: str, new: _Span) -> None:
        if len(self._spans) >= _MOST:
            self._spans.clear()
        spans = self._spans.setdefault((cron, zone), [])
        for place, span in enumerate(spans):
            if span.end == new.end:  # nothing is due between their begins
                spans[place] = _Span(min(span.begin, new.begin), new.end)
                return
        spans.append(new)
        if len(spans) > _KEPT:
            spans.remove(min(spans, key=_begin))

    def walk(self, after: int, cron: str, zone: str, steps: int) -> list[int]:
        """Give the next `steps` times after then (microseconds UTC); fewer where there are no more, or as above."""
        from cronsim import CronSimError

        from pinstripe.cron import fires

        clock = self._zone(zone)
        if clock is None:
            return []
        try:
            return [to_microseconds(at) for at in islice(fires(cron, to_datetime(after), clock), steps)]
        except CronSimError:
            return []

    def _zone(self, name: str) -> tzinfo | None:
        from pinstripe.time_zones import find_zone

        if name not in self._zones:
            try:
                self._zones[name] = find_zone(name)
            except ValueError:
                self._zones[name] = None
        return self._zones[name]
