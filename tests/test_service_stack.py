from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.errors import PinstripeError
from pinstripe.service_stack import ServiceStack
from tests.attempts import service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

pytestmark = pytest.mark.anyio


def plain(tenant: str) -> str:
    return f"for {tenant}"


async def asynchronous(tenant: str) -> str:
    await asyncio.sleep(0)
    return f"for {tenant}"


def generator(tenant: str) -> Iterator[str]:
    yield f"for {tenant}"


async def asynchronous_generator(tenant: str) -> AsyncIterator[str]:
    yield f"for {tenant}"


@pytest.mark.parametrize("function", [plain, asynchronous, generator, asynchronous_generator])
async def test_every_form_of_a_service_opens_and_closes(function: Callable[..., Any]) -> None:
    stack = ServiceStack()
    assert await stack.open(service(function), {"tenant": "acme"}) == "for acme"
    assert stack.values == {function.__name__: "for acme"}
    assert await stack.close() == []
    assert stack.values == {}
    assert await stack.close() == []


async def test_a_service_that_can_be_awaited_is_given_as_it_is() -> None:
    future = asyncio.get_running_loop().create_future()

    def pool() -> asyncio.Future[None]:
        return future  # as asyncpg's create_pool gives something to await or to enter later

    assert await ServiceStack().open(service(pool), {}) is future


def yields_nothing() -> Iterator[str]:
    yield from ()


async def yields_nothing_either() -> AsyncIterator[str]:
    none: list[str] = []
    for each in none:
        yield each


@pytest.mark.parametrize("function", [yields_nothing, yields_nothing_either])
async def test_a_generator_that_yields_nothing_fails_to_open(function: Callable[..., Any]) -> None:
    with pytest.raises(PinstripeError, match="failed to open: expected its generator to yield"):
        await ServiceStack().open(service(function), {})


def yields_twice() -> Iterator[int]:
    yield 1
    yield 2


async def yields_twice_too() -> AsyncIterator[int]:
    yield 1
    yield 2


@pytest.mark.parametrize("function", [yields_twice, yields_twice_too])
async def test_a_generator_that_yields_twice_fails_to_close(function: Callable[..., Any]) -> None:
    stack = ServiceStack()
    await stack.open(service(function), {})
    (problem,) = await stack.close()
    assert "failed to close: expected its generator to yield once, but it yielded again" in str(problem)


async def test_all_are_closed_in_reverse_whatever_one_does() -> None:
    closed: list[str] = []
    stack = ServiceStack()

    async def first() -> AsyncIterator[int]:
        yield 1
        closed.append("first")

    def second() -> Iterator[int]:
        yield 2
        closed.append("second")
        raise SystemExit(1)

    async def third() -> AsyncIterator[int]:
        yield 3
        closed.append("third")
        raise asyncio.CancelledError

    for function in (first, second, third):
        await stack.open(service(function), {})
    assert stack.closes == 3
    problems = await stack.close()
    assert closed == ["third", "second", "first"]
    assert [str(problem) for problem in problems] == [
        "service third failed to close: CancelledError",
        "service second failed to close: the job called sys.exit(1)",
    ]


async def test_a_cancelled_opening_is_a_cancellation() -> None:
    async def slow() -> None:
        await asyncio.Event().wait()

    task = asyncio.create_task(ServiceStack().open(service(slow), {}))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


class Recording:
    """A context that records what it is told."""

    def __init__(self, told: list[BaseException | None]) -> None:
        self._told = told

    def __str__(self) -> str:
        return "the context"

    async def enter(self) -> None: ...

    async def leave(self, exception: BaseException | None) -> None:
        self._told.append(exception)


async def test_a_context_is_told_what_happened_or_what_failed_to_close_after_it() -> None:
    told: list[BaseException | None] = []

    def failing() -> Iterator[None]:
        yield
        raise OSError

    for functions, exception in (([], None), ([failing], None), ([failing], KeyError("job"))):
        stack = ServiceStack()
        await stack.enter(Recording(told))
        for function in functions:
            await stack.open(service(function), {})
        assert stack.closes == 1 + len(functions)
        await stack.close(exception)
    assert [type(each) for each in told] == [type(None), PinstripeError, KeyError]
    assert str(told[1]) == "service failing failed to close: OSError"
