"""Services that are open: in the order of their opening, to be closed in reverse, whatever happens."""

from __future__ import annotations

import asyncio
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import TYPE_CHECKING, Any

from pinstripe.errors import PinstripeError
from pinstripe.outcome import error_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pinstripe.services import ServiceDefinition

CLOSE_LIMIT = 10.0
"""How many seconds the closing of one service may take, so that one that hangs can't hang its run."""


class ServiceStack:
    """Open services by name. Opening and closing happen in the calling task, as cancel scopes need it.

    A service is what its function gives: the value that a plain or async function returns, or the one that a generator
    yields; a generator is resumed normally to close it, also when the job failed.
    """

    __slots__ = ("_closing", "values")

    def __init__(self) -> None:
        """Start with nothing open."""
        self.values: dict[str, Any] = {}
        self._closing: list[tuple[ServiceDefinition, AsyncGeneratorType[Any, Any] | GeneratorType[Any, Any, Any]]] = []

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

    async def close(self) -> list[PinstripeError]:
        """Close all, last opened first; give what failed, each naming its service. A second call closes nothing."""
        problems: list[PinstripeError] = []
        while self._closing:
            definition, generator = self._closing.pop()
            limit = asyncio.timeout(CLOSE_LIMIT)
            try:
                async with limit:
                    await _resume(generator)
            except BaseException as exception:  # noqa: BLE001 - the others must be closed, whatever this one did
                reason = error_text(exception)
                if isinstance(exception, TimeoutError) and limit.expired():
                    reason = f"it took longer than {CLOSE_LIMIT:g}s"
                problem = PinstripeError(f"service {definition.name} failed to close: {reason}")
                problem.__cause__ = exception
                problems.append(problem)
        self.values.clear()
        return problems

    @property
    def closes(self) -> int:
        """How many services have something to close."""
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
        self._closing.append((definition, made))
        return value


_YIELDS_NOTHING = "expected its generator to yield the service once, but it ended without a yield"
_YIELDS_TWICE = "expected its generator to yield once, but it yielded again where it should have closed"


async def _resume(generator: AsyncGeneratorType[Any, Any] | GeneratorType[Any, Any, Any]) -> None:
    """Run what stands after the `yield`."""
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
