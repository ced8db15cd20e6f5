"""How far a run is, as events that a server sends: one line of JSON for each look, for as long as the run goes on.

See "Server-sent events" in the HTML standard.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from starlette.responses import Response, StreamingResponse

from pinstripe.views.text import span

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pinstripe.server.application import Receive, Scope, Send
    from pinstripe.server.dashboard.live import Look, Viewer

HEARTBEAT = 15.0
"""After how many seconds without an event a comment is sent, so that a dead connection is noticed."""

LONGEST = 120.0
"""After how many seconds a stream ends, so that the browser comes again and its access is checked again."""

RETRY = 2_000
"""After how many milliseconds a browser comes again."""

_HEADERS = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would keep events until it has many
}


class EventStream(StreamingResponse):
    """The events of a viewer. It ends with the run, with the server, and after `LONGEST` seconds."""

    def __init__(self, viewer: Viewer, *, longest: float = LONGEST, heartbeat: float = HEARTBEAT) -> None:
        """Take the viewer; the times are in seconds."""
        super().__init__(_events(viewer, longest, heartbeat), media_type="text/event-stream", headers=_HEADERS)
        self._viewer = viewer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Watch for as long as it is sent; who asks for the head alone watches nothing."""
        if scope["method"] == "HEAD":
            await Response(headers=_HEADERS, media_type=self.media_type)(scope, receive, send)
            return
        async with self._viewer:
            await super().__call__(scope, receive, send)


async def _events(viewer: Viewer, longest: float, heartbeat: float) -> AsyncIterator[str]:
    ends = time.monotonic() + longest
    number = 0
    yield f"retry: {RETRY}\n\n"
    while not viewer.is_closed:
        left = ends - time.monotonic()
        if left <= 0:
            return
        look = await viewer.next(min(left, heartbeat))
        if look is None:
            if not viewer.is_closed:
                yield ": still there\n\n"
            continue
        number += 1
        yield event(look, number)
        if look.is_last:
            return


def event(look: Look, number: int) -> str:
    """Write a look as an event: `progress`, or `finished` for the last one."""
    name = "finished" if look.is_last else "progress"
    # JSON as written here has no line break in it, which would end the data.
    return f"id: {number}\nevent: {name}\ndata: {json.dumps(told(look))}\n\n"


def told(look: Look) -> dict[str, Any]:
    """Give what an event tells, as JSON values: the counts, the rate per second, the seconds left, and words."""
    run, counts = look.run, look.run.executions
    return {
        "status": str(run.status),
        "selecting": run.selecting,
        "finished": look.is_last,
        "gone": look.gone,
        "executions": counts._asdict(),
        "done": counts.done,
        "rate": look.rate,
        "left": look.left,
        "pace": pace(look),
        "waiting": look.waiting,
        "trouble": look.trouble,
    }


def pace(look: Look) -> str:
    """Tell how far a run is: `1,200 of 10,000, 800/s, 11 s left`."""
    counts = look.run.executions
    if look.run.selecting:
        return f"selecting tenants, {counts.total:,} so far"
    parts = [f"{counts.done:,} of {counts.total:,}"]
    if look.rate is not None:
        parts.append(f"{look.rate:,.0f}/s" if look.rate >= 10 else f"{look.rate:.1f}/s")  # noqa: PLR2004 - as a command
    if look.left is not None and counts.done < counts.total:
        parts.append(f"{span(look.left)} left")
    return ", ".join(parts)
