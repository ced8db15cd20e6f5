"""What tests of tenant sources share: the manners that a source may have, with the same items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from pinstripe.tenants import TenantSource

ITEMS: list[dict[str, Any]] = [
    {"id": "acme", "active": True, "seats": 5},
    {"id": "bolt", "active": False, "seats": None},
    {"id": "cane", "active": True, "seats": 9},
]


async def ids(source: TenantSource) -> list[str]:
    """Read a source to its end; give the tenants' ids."""
    return [tenant.id async for tenant in source]


def manners(items: Sequence[Any]) -> dict[str, object]:
    """Give the same items in every manner that a source may have."""

    def function() -> Sequence[Any]:
        return list(items)

    def generator() -> Iterator[Any]:
        yield from items

    async def coroutine() -> Sequence[Any]:
        return list(items)

    async def generator_asynchronously() -> AsyncIterator[Any]:
        for item in items:
            yield item

    class Iterable:
        def __iter__(self) -> Iterator[Any]:
            return iter(items)

    class AsyncIterable:
        async def __aiter__(self) -> AsyncIterator[Any]:
            for item in items:
                yield item

    class CallableObject:
        async def __call__(self) -> Sequence[Any]:
            return tuple(items)

    return {
        "list": list(items),
        "tuple": tuple(items),
        "function": function,
        "generator": generator,
        "coroutine": coroutine,
        "async generator": generator_asynchronously,
        "iterable": Iterable(),
        "async iterable": AsyncIterable(),
        "callable object": CallableObject(),
        "function that gives an iterator": lambda: iter(items),
        "function that gives an async generator": _called(generator_asynchronously),
        "function that gives a coroutine": _called(coroutine),
        "coroutine that gives a generator": _awaited(generator),
    }


def _called(function: Callable[[], object]) -> Callable[[], object]:
    return lambda: function()  # noqa: PLW0108 - a plain function around what isn't one


def _awaited(function: Callable[[], object]) -> Callable[[], Any]:
    async def call() -> object:
        return function()

    return call
