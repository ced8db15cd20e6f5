"""Charts: drawn on the server as SVG with classes, each with the same in words or as a table beside it.

What an SVG holds is stretched to the width there is, so all text stands outside of it. Nothing is told by colour
alone: failures hang below the line, what runs is striped, and every part has a title.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from markupsafe import Markup

from pinstripe.run import ExecutionStatus
from pinstripe.server.dashboard.links import url
from pinstripe.server.dashboard.texts import counted, moment, span
from pinstripe.views.text import tally, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from pinstripe.history import RunPoint, Tally
    from pinstripe.run import Counts

ORDER = ("succeeded", "failed", "cancelled", "skipped", "running", "queued")
"""How states follow one another in a stack."""

MINUTE = 60_000_000
"""Microseconds of a minute."""

LANES = 10
"""How many jobs have a lane of their own among the next fires."""

MOST_TICKS = 300
"""From how many fires on a job's lane is drawn as one."""

_LEAST = 8
"""How wide a part of a bar is at least, of a thousand: one failed tenant of a million is seen."""

_SPACE = Markup("")

_KEY = Markup(
    '<svg class="key" viewBox="0 0 10 10" aria-hidden="true">'
    '<rect class="{}" x="0" y="0" width="10" height="10" rx="2"/></svg>'
)
_DURATIONS_KEY = Markup(
    '<p class="durations-key">Above, how the executions of each run ended; below, how long they took: '
    "<span>{} half of them at most</span> <span>{} 95 % of them</span></p>"
).format(_KEY.format("p50"), _KEY.format("p95"))


class Due(Protocol):
    """A fire to come: of which `job`, and when."""

    @property
    def job(self) -> str:
        """The job's name."""
        ...

    @property
    def at(self) -> datetime:
        """When it is due, aware."""
        ...


class Part(NamedTuple):
    """A part of a bar or a column: how many are in a `state`."""

    state: str
    number: int


def progress(counts: Counts, *, label: str = "Executions") -> Markup:
    """Draw how many executions of a run are in which state, as one bar."""
    parts = [Part(name, getattr(counts, name)) for name in ORDER]
    return _bar(parts, counts.total, f"{label}: {tally(counts)}")


def share(parts: Sequence[tuple[str, int]], *, label: str) -> Markup:
    """Draw numbers by state as one bar; `label` says what they are."""
    found = [Part(*part) for part in parts]
    words = ", ".join(f"{part.number:,} {part.state}" for part in found if part.number)
    return _bar(found, sum(part.number for part in found), f"{label}: {words or 'nothing'}")


def throughput(tallies: Iterable[Tally], now: int, minutes: int = 60) -> Markup:
    """Draw how many executions came to their end in each of the last `minutes`: failures hang below the line.

    `now` is in microseconds UTC. Gives a figure with its labels, and the same as a table.
    """
    last = now // MINUTE
    first = last - minutes + 1
    by_minute = _by_minute(tallies, first, last)
    up = max((sum(found.values()) - found.get("failed", 0) for found in by_minute.values()), default=0)
    down = max((found.get("failed", 0) for found in by_minute.values()), default=0)
    height, depth = 70, 26
    # One scale for both, on which the most of either has room.
    scale = max(up, down * height / depth, 1)
    columns = [_minute(by_minute[m], m - first, m * MINUTE, height, depth, scale) for m in sorted(by_minute)]
    done = sum(sum(found.values()) for found in by_minute.values())
    failed = sum(found.get("failed", 0) for found in by_minute.values())
    words = f"{counted(done, 'execution')} finished in the last {minutes} minutes, {failed:,} of them failed"
    drawn = _svg(f"0 0 {minutes} 100", words, [*columns, _line(0, height + 1, minutes, height + 1)], kind="throughput")
    legend = Markup("<span>{} min ago</span><span>peak {} a minute</span><span>now</span>").format(
        minutes, f"{max((sum(found.values()) for found in by_minute.values()), default=0):,}"
    )
    return _figure(drawn, legend, _minutes_table(by_minute))


def outcomes(points: Sequence[RunPoint]) -> Markup:
    """Draw a job's last runs, oldest first: a column each, in which each outcome has its share; a table says the same.

    Below them hangs how long executions took: a dark bar to the median, a light one to the 95th percentile, as a line
    below says.
    """
    width = max(len(points), 20)
    start = width - len(points)
    longest = max((point.durations.p95 for point in points if point.durations), default=0)
    columns = [_outcome(point, start + place) for place, point in enumerate(points)]
    times = [_duration(point, start + place, longest) for place, point in enumerate(points)]
    failed = sum(point.run.executions.failed > 0 for point in points)
    words = f"The last {counted(len(points), 'run')}, of which {failed:,} had failures"
    drawn = _svg(f"0 0 {width} 64", words, columns, kind="outcomes")
    lasted = _svg(f"0 0 {width} 36", f"How long executions took, at most {span(longest / 1e6)}", times, kind="lasted")
    legend = Markup("<span>oldest</span><span>longest bar {}</span><span>newest</span>").format(span(longest / 1e6))
    return _figure(drawn + lasted, legend, _points_table(points), key=_DURATIONS_KEY)


def lanes(fires: Sequence[Due], now: datetime, hours: float = 24, *, each: int = MOST_TICKS) -> Markup:
    """Draw when jobs fire in the coming `hours`: a lane for each of the first jobs, with its first fire and how many.

    Of what has so many fires as `each`, there may be more: it fires on and on.
    """
    by_job: dict[str, list[Due]] = {}
    for fire in fires:
        if 0 <= (fire.at - now).total_seconds() <= hours * 3600:
            by_job.setdefault(fire.job, []).append(fire)
    drawn = [_lane(job, coming, now, hours, each) for job, coming in list(by_job.items())[:LANES]]
    more = len(by_job) - len(drawn)
    beyond = Markup('<p class="dim small">and {} more</p>').format(counted(more, "job")) if more > 0 else _SPACE
    scale = Markup("").join(
        Markup("<span>{}</span>").format("now" if not part else f"+{hours * part / 4:g} h") for part in range(5)
    )
    return Markup('<div class="lanes"><ul>{}</ul><p class="lanes-scale" aria-hidden="true">{}</p></div>{}').format(
        Markup("").join(drawn), scale, beyond
    )


def _lane(job: str, coming: Sequence[Due], now: datetime, hours: float, each: int) -> Markup:
    places = [(fire.at - now).total_seconds() / 3600 / hours * 1000 for fire in coming]
    if len(coming) >= each:
        often = f"{each:,} fires or more"
        ticks = Markup('<rect class="tick" x="{0:.0f}" y="2" width="{1:.0f}" height="12" rx="1"/>').format(
            places[0], 1000 - places[0]
        )
    else:
        often = counted(len(coming), "fire")
        ticks = Markup("").join(
            Markup('<rect class="tick" x="{}" y="2" width="3" height="12" rx="1"/>').format(place)
            for place in sorted({round(place, 1) for place in places})
        )
    words = f"{often}, the first at {coming[0].at:%Y-%m-%d %H:%M:%S}Z"
    drawn = _svg("0 0 1003 16", words, [Markup('<rect class="track" x="0" y="7" width="1003" height="2"/>'), ticks])
    return Markup('<li><a href="{}">{}</a>{}</li>').format(url(f"/jobs/{job}"), visible(job), drawn)


def _bar(parts: Sequence[Part], total: int, words: str) -> Markup:
    shown = [part for part in parts if part.number]
    widths = _widths([part.number for part in shown], total)
    drawn, x = [], 0.0
    for part, width in zip(shown, widths, strict=True):
        drawn.append(_part(part.state, x, 0, width, 10, f"{part.number:,} {part.state}"))
        x += width
    return _svg("0 0 1000 10", words, [Markup('<rect class="track" width="1000" height="10"/>'), *drawn], kind="bar")


def _widths(numbers: Sequence[int], total: int, *, least: int = _LEAST) -> list[float]:
    """Share a thousand between numbers, each getting at least so much that it is seen."""
    if not numbers:
        return []
    wanted = [max(number / max(total, 1) * 1000, least) for number in numbers]
    return [width * min(1000 / sum(wanted), 1) for width in wanted]


def _by_minute(tallies: Iterable[Tally], first: int, last: int) -> Mapping[int, dict[str, int]]:
    found: dict[int, dict[str, int]] = {}
    for one in tallies:
        if first <= one.minute <= last:
            states = found.setdefault(one.minute, {})
            states[str(one.status)] = states.get(str(one.status), 0) + one.executions
    return found


def _minute(found: Mapping[str, int], place: int, at: int, height: int, depth: int, scale: float) -> Markup:
    words = ", ".join(f"{found[name]:,} {name}" for name in ORDER if found.get(name))
    parts, y = [], float(height)
    for name in ("succeeded", "skipped", "cancelled"):
        number = found.get(name, 0)
        if number:
            tall = max(number / scale * height, 1.5)
            y -= tall
            parts.append(_part(name, place + 0.12, y, 0.76, tall))
    if number := found.get("failed", 0):
        parts.append(_part("failed", place + 0.12, height + 2, 0.76, min(max(number / scale * height, 3), depth)))
    return Markup("<g><title>{}: {}</title>{}</g>").format(_time(at), words, Markup("").join(parts))


def _outcome(point: RunPoint, place: int) -> Markup:
    counts = point.run.executions
    numbers = [Part(name, getattr(counts, name)) for name in ORDER if getattr(counts, name)]
    tall = [width * 0.06 for width in _widths([part.number for part in numbers], counts.total, least=50)]
    drawn, y = [], 62.0
    for part, height in zip(numbers, tall, strict=True):
        y -= height
        drawn.append(_part(part.state, place + 0.1, y, 0.8, height))
    if not drawn:
        drawn.append(_part("failed" if point.run.error else "none", place + 0.1, 59, 0.8, 3))
    words = f"{point.run.created_at:%Y-%m-%d %H:%M:%S}Z {point.run.status}: {tally(counts)}"
    return Markup("<g><title>{}</title>{}</g>").format(words, Markup("").join(drawn))


def _duration(point: RunPoint, place: int, longest: int) -> Markup:
    if point.durations is None or not longest:
        return _SPACE
    p50, p95 = (max(value / longest * 34, 0.8) for value in (point.durations.p50, point.durations.p95))
    words = f"half took at most {span(point.durations.p50 / 1e6)}, 95 % at most {span(point.durations.p95 / 1e6)}"
    return Markup(
        '<g><title>{}</title><rect class="p95" x="{}" y="1" width="0.8" height="{}"/>'
        '<rect class="p50" x="{}" y="1" width="0.8" height="{}"/></g>'
    ).format(words, f"{place + 0.1:.2f}", f"{p95:.2f}", f"{place + 0.1:.2f}", f"{p50:.2f}")


def _part(state: str, x: float, y: float, width: float, height: float, title: str | None = None) -> Markup:
    place = Markup('x="{}" y="{}" width="{}" height="{}"').format(
        f"{x:.2f}", f"{y:.2f}", f"{max(width, 0):.2f}", f"{height:.2f}"
    )
    named = _SPACE if title is None else Markup("<title>{}</title>").format(title)
    return Markup('<rect class="part part-{}" {}>{}</rect>').format(state, place, named)


def _line(x1: float, y1: float, x2: float, y2: float) -> Markup:
    return Markup('<line class="axis" x1="{}" y1="{}" x2="{}" y2="{}" vector-effect="non-scaling-stroke"/>').format(
        x1, y1, x2, y2
    )


def _svg(box: str, words: str, parts: Iterable[Markup], *, kind: str = "lane") -> Markup:
    return Markup(
        '<svg class="chart chart-{}" viewBox="{}" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
    ).format(kind, box, words, Markup("").join(parts))


def _figure(drawn: Markup, legend: Markup, table: Markup, *, key: Markup = _SPACE) -> Markup:
    return Markup(
        '<figure class="figure">{}<p class="figure-scale" aria-hidden="true">{}</p>{}'
        '<figcaption><details data-key="table"><summary class="small">As a table</summary>{}</details></figcaption>'
        "</figure>"
    ).format(drawn, legend, key, table)


def _minutes_table(by_minute: Mapping[int, Mapping[str, int]]) -> Markup:
    names = [str(status) for status in (ExecutionStatus.SUCCEEDED, ExecutionStatus.FAILED)]
    rows = Markup("").join(
        Markup('<tr><th scope="row">{}</th>{}<td class="num">{}</td></tr>').format(
            moment(minute * MINUTE),
            Markup("").join(Markup('<td class="num">{}</td>').format(f"{found.get(name, 0):,}") for name in names),
            f"{sum(number for name, number in found.items() if name not in names):,}",
        )
        for minute, found in sorted(by_minute.items(), reverse=True)
    )
    heads = Markup("").join(
        Markup('<th scope="col"{}>{}</th>').format(Markup(' class="num"') if place else "", name)
        for place, name in enumerate(("Minute", "Succeeded", "Failed", "Others"))
    )
    return Markup(
        "<table><caption>Finished executions by minute; a minute without any is left out</caption>"
        "<thead><tr>{}</tr></thead><tbody>{}</tbody></table>"
    ).format(heads, rows)


def _points_table(points: Sequence[RunPoint]) -> Markup:
    rows = Markup("").join(
        Markup(
            '<tr><th scope="row"><a class="id" href="{}">{}</a></th><td>{}</td><td>{}</td>'
            '<td class="num">{}</td><td class="num">{}</td></tr>'
        ).format(
            url(f"/runs/{point.run.id}"),
            point.run.id[-8:],
            moment(point.run.created_at),
            tally(point.run.executions),
            span(None if point.durations is None else point.durations.p50 / 1e6),
            span(None if point.durations is None else point.durations.p95 / 1e6),
        )
        for point in reversed(points)
    )
    return Markup(
        "<table><caption>Runs, newest first, and how long their executions took</caption><thead><tr>"
        '<th scope="col">Run</th><th scope="col">Created</th><th scope="col">Outcome</th>'
        '<th scope="col" class="num">Median</th><th scope="col" class="num">95 %</th>'
        "</tr></thead><tbody>{}</tbody></table>"
    ).format(rows)


def _time(microseconds: int) -> str:
    return f"{microseconds // (60 * MINUTE) % 24:02d}:{microseconds // MINUTE % 60:02d} UTC"
