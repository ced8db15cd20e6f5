"""What is open in a workspace, services and contexts: in the order of its opening, to be closed in reverse."""

from __future__ import annotations

import asyncio
from functools import partial
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import TYPE_CHECKING, Any, Protocol

from pinstripe.errors import PinstripeError
from pinstripe.outcome import error_text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from pinstripe.services import ServiceDefinition

    Close = Callable[[BaseException | None], Awaitable[None]]

CLOSE_LIMIT = 10.0
"""How many seconds the closing of one service may take, so that one that hangs can't hang its run."""


class Context(Protocol):
    """What is entered before everything that is opened after it, and left after it; its text names it in messages."""

    async def enter(self) -> None:
        """Enter it; what this raises names it."""
        ...

    async def leave(self, exception: BaseException | None) -> None:
        """Leave it, and tell it with which exception."""
        ...


class ServiceStack:
    """Open services by name. Opening and closing happen in the calling task, as cancel scopes need it.

    A service is what its function gives: the value that a plain or async function returns, or the one that a generator
    yields; a generator is resumed normally to close it, also when the job failed.
    """

    __slots__ = ("_closing", "values")

    def __init__(self) -> None:
        """Start with nothing open."""
        self.values: dict[str, Any] = {}
        self._closing: list[tuple[str, Close]] = []

    async def open(self, definition: ServiceDefinition, given: Mapping[str, object]) -> Any:
        """Open one service from the open ones and what is `given` by name; raises `PinstripeError` naming it."""
        values = self.values
        parameters = {name: values[name] if name in values else given[name] for name in definition.parameters}
        try:
            made = definition.function(**parameters)
            value = await self._start(definition, made)
        except asyncio.CancelledError:
            raise
        except BaseException as exception:
            message = f"service {definition.name} ({definition.path}) failed to open: {error_text(exception)}"
            raise PinstripeError(message) from exception
        values[definition.name] = value
        return value

    async def enter(self, context: Context) -> None:
        """Enter a context, to be left after all that is opened from now on is closed; raises what entering raises."""
        await context.enter()
        self._closing.append((str(context), context.leave))

    def adopt(self, name: str, value: Any, close: Close) -> None:
        """Offer a service that needs no opening, and close it in its turn."""
        self.values[name] = value
        self._closing.append((f"service {name}", close))

    async def close(self, exception: BaseException | None = None) -> list[PinstripeError]:
        """Close all, last opened first; give what failed, each naming itself. A second call closes nothing.

        Contexts are told the `exception` of what was done in between, or else the first that closing the others raised.
        """
        problems: list[PinstripeError] = []
        while self._closing:
            label, close = self._closing.pop()
            limit = asyncio.timeout(CLOSE_LIMIT)
            try:
                async with limit:
                    await close(problems[0] if exception is None and problems else exception)
            except BaseException as raised:  # noqa: BLE001 - the others must be closed, whatever this one did
                reason = error_text(raised)
                if isinstance(raised, TimeoutError) and limit.expired():
                    reason = f"it took longer than {CLOSE_LIMIT:g}s"
                problem = PinstripeError(f"{label} failed to close: {reason}")
                problem.__cause__ = raised
                problems.append(problem)
        self.values.clear()
        return problems

    @property
    def closes(self) -> int:
        """How many have something to close."""
        return len(self._closing)

    async def _start(self, definition: ServiceDefinition, made: Any) -> Any:
        if isinstance(made, CoroutineType):
            return await made
        if isinstance(made, AsyncGeneratorType):
            try:
                value = await anext(made)
            except StopAsyncIteration:
                raise PinstripeError(_YIELDS_NOTHING) from None
        elif isinstance(made, GeneratorType):
            try:
                value = next(made)
            except StopIteration:
                raise PinstripeError(_YIELDS_NOTHING) from None
        else:
            return made
        self._closing.append((f"service {definition.name}", partial(_resume, made)))
        return value


_YIELDS_NOTHING = "expected its generator to yield the service once, but it ended without a yield"
_YIELDS_TWICE = "expected its generator to yield once, but it yielded again where it should have closed"


async def _resume(
    generator: AsyncGeneratorType[Any, Any] | GeneratorType[Any, Any, Any],
    _: BaseException | None,
) -> None:
    """Run what stands after the `yield`, as it is: a service isn't told how the job ended."""
    if isinstance(generator, AsyncGeneratorType):
        try:
            await anext(generator)
        except StopAsyncIteration:
            return
        await generator.aclose()
    else:
        try:
            next(generator)
        except StopIteration:
            return
        generator.close()
    raise PinstripeError(_YIELDS_TWICE)
