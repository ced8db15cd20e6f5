"""What a program of each queue does with its arguments: `one 1000`, `many 1000`, `paced 100` or `fan_out 1000`.

`one` enqueues one by one, `many` by the queue's own call for many, and `paced` one every 50 ms; `fan_out` has the same
job executed for so many tenants, as it is done with the queue. It prints, as JSON, how many that were a second, without
the first one, or when each of the paced ones and the fan-out was begun, in nanoseconds.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from contextlib import AbstractAsyncContextManager

PACE = 0.05
PAGE = 1_000
"""How many are given to one call for many."""


class Client(NamedTuple):
    """How a queue is given the job of a number, and those of many; None where it has no such call.

    `fan_out` is how it is given one for all tenants; None where that is many jobs, one for each.
    """

    one: Callable[[int], Awaitable[object]]
    many: Callable[[Sequence[int]], Awaitable[object]] | None = None
    fan_out: Callable[[], Awaitable[object]] | None = None


def main(connect: Callable[[], AbstractAsyncContextManager[Client]]) -> None:
    """Connect, do what the arguments say, and print what it took."""
    what, number = sys.argv[1:]
    print(json.dumps(asyncio.run(_measure(connect, what, int(number)))))


async def _measure(
    connect: Callable[[], AbstractAsyncContextManager[Client]], what: str, number: int
) -> float | list[int]:
    async with connect() as client:
        if what == "paced":
            return await paced(client, number)
        await client.one(0)  # some connect only now
        begun, began = time.monotonic_ns(), time.perf_counter()
        if what == "fan_out":
            await _fan_out(client, number)
            return [begun]
        if what == "many":
            if client.many is None:
                raise RuntimeError("it has no call for many")
            await _many(client.many, number)
        else:
            number -= 1
            for each in range(1, number + 1):
                await client.one(each)
        return number / (time.perf_counter() - began)


async def _fan_out(client: Client, number: int) -> None:
    if client.fan_out is not None:
        await client.fan_out()
    elif client.many is not None:
        await _many(client.many, number)
    else:
        for each in range(number):
            await client.one(each)


async def _many(call: Callable[[Sequence[int]], Awaitable[object]], number: int) -> None:
    for first in range(0, number, PAGE):
        await call(range(first, min(first + PAGE, number)))


async def paced(client: Client, number: int) -> list[int]:
    """Enqueue one, again and again, after a pause each time; give when each was begun."""
    begun = []
    for each in range(number):
        await asyncio.sleep(PACE)
        begun.append(time.monotonic_ns())
        await client.one(each)
    return begun
