from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar

import pytest

from pinstripe.threads import start_thread

pytestmark = pytest.mark.anyio

VARIABLE: ContextVar[str] = ContextVar("variable", default="default")


async def test_it_gives_the_value_of_a_call_in_a_daemon_with_the_context() -> None:
    token = VARIABLE.set("acme")
    try:
        ended = start_thread(
            asyncio.get_running_loop(),
            "a name",
            lambda: (VARIABLE.get(), threading.current_thread().name, threading.current_thread().daemon),
        )
    finally:
        VARIABLE.reset(token)
    assert await ended == (("acme", "a name", True), None)


async def test_it_gives_whatever_was_raised() -> None:
    error = SystemExit(1)

    def call() -> None:
        raise error

    assert await start_thread(asyncio.get_running_loop(), "a name", call) == (None, error)


async def test_a_thread_that_ends_after_nobody_waits_any_more_ends_in_peace() -> None:
    ended = start_thread(asyncio.get_running_loop(), "a name", lambda: None)
    ended.cancel()
    for thread in threading.enumerate():
        if thread.name == "a name":
            await asyncio.to_thread(thread.join)


def test_a_thread_may_outlive_its_loop() -> None:
    may_end = threading.Event()
    problems: list[object] = []

    async def start() -> threading.Thread:
        start_thread(asyncio.get_running_loop(), "late", may_end.wait)
        (thread,) = [each for each in threading.enumerate() if each.name == "late"]
        return thread

    former = threading.excepthook
    threading.excepthook = problems.append
    try:
        thread = asyncio.run(start())
        may_end.set()
        thread.join()
    finally:
        threading.excepthook = former
    assert not problems
