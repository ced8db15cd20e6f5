"""What a job leaves behind when its attempt ends: tasks that nobody awaits."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

SWEEP_LIMIT = 1.0
"""How many seconds the tasks that a job left behind get to end, once cancelled."""

_log = logging.getLogger("pinstripe")


async def end_tasks(tasks: Iterable[asyncio.Future[Any]], whose: str) -> None:
    """Cancel those of the `tasks` that still go on, wait for them a little, and warn; `whose` is for the warning."""
    left = [task for task in tasks if not task.done()]
    if not left:
        return
    names = ", ".join(sorted(task.get_name() for task in left[:5] if isinstance(task, asyncio.Task)))
    _log.warning(
        "%s left %d of its tasks running (%s); they are cancelled. Await them, or use asyncio.TaskGroup",
        whose,
        len(left),
        names + (", …" if len(left) > 5 else ""),  # noqa: PLR2004 - as many as are named above
    )
    for task in left:
        task.cancel()
    try:
        _, stuck = await asyncio.wait(left, timeout=SWEEP_LIMIT)
    except asyncio.CancelledError:
        stuck = set()
    if stuck:
        _log.warning("%s: %d of its tasks ignored their cancellation and still run", whose, len(stuck))
