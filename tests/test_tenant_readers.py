from __future__ import annotations

import asyncio
import functools
import logging
import threading
from contextlib import aclosing
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.tenant_readers import NotTenants, check_source, open_reader
from pinstripe.tenant_sources import Tenants

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = pytest.mark.anyio


def numbers() -> Iterator[int]:
    yield from range(10)


async def numbers_asynchronously() -> AsyncIterator[int]:
    for number in range(10):
        yield number


async def coroutine() -> list[int]:
    return []


@pytest.mark.parametrize(
    "make", [numbers, numbers_asynchronously, coroutine, lambda: iter([1]), functools.partial(map, str, [1])]
)
async def test_what_can_be_read_only_once_is_refused_with_the_remedy(make: Any) -> None:
    with pytest.raises(
        NotTenants, match=r"read more than once, got a \w+, which can't; pass the function that makes it"
    ):
        check_source(make())


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (None, "got None"),
        (5, "got int"),
        ("acme", "got str"),
        (b"acme", "got bytes"),
        ({"acme": {}}, r"got dict; give its \.values\(\)"),
        (list, "got the class list"),
        (lambda one: [one], r"called without arguments, got one with the signature \(one\): missing a required"),
    ],
)
async def test_what_is_no_source_is_refused(source: object, words: str) -> None:
    with pytest.raises(NotTenants, match=words):
        check_source(source)


@pytest.mark.parametrize(
    "source",
    [[], (), set(), frozenset(), {}.values(), {}.keys(), range(3), numbers, coroutine, functools.partial(sorted, [1])],
)
async def test_what_can_be_read_again_is_taken(source: object) -> None:
    check_source(source)


async def test_what_is_in_memory_needs_no_thread() -> None:
    before = set(threading.enumerate())
    reader = await open_reader([1, 2, 3])
    assert await reader.read(2) == ([1, 2], None, True)
    assert await reader.read(2) == ([3], None, False)
    assert set(threading.enumerate()) == before
    await reader.close()


async def test_what_may_block_has_one_thread_for_all_of_a_reading() -> None:
    threads = set()
    seen = ContextVar("seen", default="nothing")
    seen.set("the caller's")

    def source() -> Iterator[str]:
        threads.add(threading.current_thread())
        try:
            for _ in range(5):
                threads.add(threading.current_thread())
                yield seen.get()
        finally:
            threads.add(threading.current_thread())

    reader = await open_reader(source)
    assert await reader.read(2) == (["the caller's"] * 2, None, True)
    assert await reader.read(2) == (["the caller's"] * 2, None, True)
    await reader.close()
    (thread,) = threads
    assert thread is not threading.current_thread()
    await asyncio.to_thread(thread.join)


async def test_a_source_that_blocks_leaves_the_loop_free() -> None:
    release = threading.Event()

    def source() -> list[int]:
        release.wait()
        return [1]

    opening = asyncio.create_task(open_reader(source))
    asyncio.get_running_loop().call_soon(release.set)  # never called if the loop were blocked
    reader = await opening
    assert await reader.read(5) == ([1], None, False)
    await reader.close()


@pytest.mark.parametrize("asynchronous", [True, False])
async def test_an_error_comes_after_what_was_read_before_it(asynchronous: bool) -> None:
    error = OSError("gone")

    def source() -> Iterator[int]:
        yield 1
        raise error

    async def source_asynchronously() -> AsyncIterator[int]:
        yield 1
        raise error

    reader = await open_reader(source_asynchronously if asynchronous else source)
    assert await reader.read(5) == ([1], error, False)
    await reader.close()


@pytest.mark.parametrize("asynchronous", [True, False])
async def test_leaving_early_closes_the_source(asynchronous: bool) -> None:
    closed = []

    def source() -> Iterator[int]:
        try:
            yield from range(5_000)
        finally:
            closed.append("closed")

    async def source_asynchronously() -> AsyncIterator[int]:
        try:
            for number in range(5_000):
                yield number
        finally:
            closed.append("closed")

    async with aclosing(Tenants(source_asynchronously if asynchronous else source).pages(10)) as pages:
        async for page in pages:
            assert len(page) == 10
            break
    assert closed == ["closed"]


@pytest.mark.parametrize("asynchronous", [True, False])
async def test_a_source_that_fails_to_close_hides_nothing(asynchronous: bool, caplog: pytest.LogCaptureFixture) -> None:
    def source() -> Iterator[int]:
        try:
            yield from range(10)
        finally:
            raise OSError("can't close")

    async def source_asynchronously() -> AsyncIterator[int]:
        try:
            for number in range(10):
                yield number
        finally:
            raise OSError("can't close")

    reader = await open_reader(source_asynchronously if asynchronous else source)
    assert await reader.read(2) == ([0, 1], None, True)
    with caplog.at_level(logging.WARNING, "pinstripe.tenants"):
        await reader.close()
    assert "a tenant source failed to close" in caplog.text
    assert "can't close" in caplog.text


async def test_a_thread_ends_with_its_reading_also_when_the_source_fails() -> None:
    def source() -> list[int]:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        await open_reader(source)
    for thread in threading.enumerate():
        if thread.name == "pinstripe-tenants":
            await asyncio.to_thread(thread.join)
