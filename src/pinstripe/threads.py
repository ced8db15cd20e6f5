"""A thread for one plain `def run`: a new one each time, so that nothing of a tenant stays in it for the next."""

from __future__ import annotations

import threading
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    Ended = asyncio.Future[tuple[Any, BaseException | None]]


def start_thread(loop: asyncio.AbstractEventLoop, name: str, call: Callable[[], Any]) -> Ended:
    """Call something in a new thread, in a copy of the current context; give the future of its value or exception.

    The thread is a daemon: one that never ends doesn't keep the process from ending. It is not from a pool, since what
    an author keeps in thread-locals (Django's connections, a locale, a session) would be there for the next tenant.
    """
    ended: Ended = loop.create_future()
    context = copy_context()

    def target() -> None:
        value: Any = None
        raised: BaseException | None = None
        try:
            value = context.run(call)
        except BaseException as exception:  # noqa: BLE001 - also sys.exit, which would end only the thread, in silence
            raised = exception
        try:
            loop.call_soon_threadsafe(_deliver, ended, (value, raised))
        except RuntimeError:
            return  # the event loop is closed: nobody waits any more

    threading.Thread(target=target, name=name, daemon=True).start()
    return ended


def _deliver(ended: Ended, result: tuple[Any, BaseException | None]) -> None:
    if not ended.done():
        ended.set_result(result)
