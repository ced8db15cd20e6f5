"""What becomes of a tenant source that fails, is cancelled or hangs: an error, and never nobody."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from pinstripe.errors import TenantSourceFailed
from pinstripe.tenant_sources import Tenants
from tests.tenant_manners import ids, manners

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from pinstripe.tenants import TenantSource

pytestmark = pytest.mark.anyio


async def add_ids(source: TenantSource, found: list[str]) -> None:
    """Add what is read until an error, so that a test sees what came before it."""
    async for tenant in source:
        found.append(tenant.id)  # noqa: PERF401 - a comprehension would lose it


@pytest.mark.parametrize("manner", ["list", "function", "generator", "coroutine", "async generator", "iterable"])
async def test_what_came_before_a_bad_item_is_given_first(manner: str) -> None:
    source = Tenants(manners([{"id": "a"}, {"id": None}, {"id": "c"}])[manner], name="accounts")
    found: list[str] = []
    with pytest.raises(TenantSourceFailed, match="tenant source accounts failed: item 2 has a 'id' of type None"):
        await add_ids(source, found)
    assert found == ["a"]


def fails_at_once() -> list[str]:
    raise OSError("no route to host")


def fails_with_a_password() -> list[str]:
    raise ConnectionError("no answer from postgresql://app:pa55@db/shop?password=w0rd")


async def test_the_password_of_a_url_that_a_source_failed_by_is_shown_nowhere() -> None:
    words = r"ConnectionError: no answer from postgresql://app:\*\*\*@db/shop\?password=\*\*\*$"
    with pytest.raises(TenantSourceFailed, match=words):
        await ids(Tenants(fails_with_a_password))


def fails_half_way() -> Iterator[str]:
    yield "a"
    yield "b"
    fails_at_once()


async def fails_at_once_asynchronously() -> list[str]:
    return fails_at_once()


async def fails_half_way_asynchronously() -> AsyncIterator[str]:
    yield "a"
    yield "b"
    fails_at_once()


@pytest.mark.parametrize("source", [fails_at_once, fails_at_once_asynchronously])
async def test_a_source_that_fails_is_never_empty(source: object) -> None:
    words = "tenant source fails_at_once.* failed: OSError: no route to host"
    with pytest.raises(TenantSourceFailed, match=words) as caught:
        await ids(Tenants(source))
    assert isinstance(caught.value.__cause__, OSError)
    with pytest.raises(TenantSourceFailed, match=words):
        await Tenants(source).by_ids(["a"])


@pytest.mark.parametrize("source", [fails_half_way, fails_half_way_asynchronously])
async def test_a_source_that_fails_half_way_fails(source: object) -> None:
    found: list[str] = []
    with pytest.raises(TenantSourceFailed, match="failed after 2 items: OSError: no route to host") as caught:
        await add_ids(Tenants(source), found)
    assert found == ["a", "b"]
    assert isinstance(caught.value.__cause__, OSError)


async def test_an_attribute_that_raises_fails_the_source() -> None:
    class Account:
        id = "a"

        @property
        def active(self) -> bool:
            raise OSError("the session is closed")

    with pytest.raises(TenantSourceFailed, match="after 1 items: OSError: the session is closed"):
        await ids(Tenants([Account()]).where(active=True))


@pytest.mark.parametrize("leaves", [SystemExit, KeyboardInterrupt, asyncio.CancelledError, StopIteration])
async def test_a_source_in_a_thread_can_neither_end_nor_cancel_the_process(leaves: type[BaseException]) -> None:
    def source() -> list[str]:
        raise leaves

    def generator() -> Iterator[str]:
        yield "a"
        raise leaves

    for one in (source, generator):
        with pytest.raises(TenantSourceFailed, match=leaves.__name__):
            await ids(Tenants(one))


async def test_cancelling_passes_through() -> None:
    waiting = asyncio.Event()

    async def source() -> AsyncIterator[str]:
        yield "a"
        waiting.set()
        await asyncio.Event().wait()

    reading = asyncio.create_task(ids(Tenants(source)))
    await waiting.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


async def test_a_source_stuck_in_its_thread_does_not_hold_up_a_cancellation() -> None:
    stuck, release, closed = threading.Event(), threading.Event(), threading.Event()

    def source() -> Iterator[str]:
        try:
            stuck.set()
            release.wait()
            yield "a"
        finally:
            closed.set()

    reading = asyncio.create_task(ids(Tenants(source)))
    await asyncio.to_thread(stuck.wait)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert not closed.is_set()
    release.set()
    await asyncio.to_thread(closed.wait)


@pytest.mark.parametrize("given", [None, 5, {"acme": 1}, "acme"])
async def test_a_function_must_give_tenants(given: object) -> None:
    with pytest.raises(TenantSourceFailed, match="tenant source accounts failed: expected tenants: a list or another"):
        await ids(Tenants(lambda: given, name="accounts"))
