"""Services with `scope = "project"`: one for the process, opened when first needed, closed with the project."""

from __future__ import annotations

import asyncio
import logging
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from pinstripe.errors import PinstripeError
from pinstripe.executing import CURRENT
from pinstripe.service_stack import ServiceStack

if TYPE_CHECKING:
    from pinstripe.services import ServiceDefinition

    Asked = tuple[ServiceDefinition, asyncio.Future[Any]]

_log = logging.getLogger("pinstripe")


class ProjectServices:
    """Opens each service once, one after another, in a task of its own, and closes them in that same task.

    So a service may hold cancel scopes open, and belongs to no job: a cancelled job doesn't take it along.
    """

    def __init__(self) -> None:
        """Start with nothing open, and without a task."""
        self._opening: dict[str, asyncio.Future[Any]] = {}
        self._asked: asyncio.Queue[Asked | None] = asyncio.Queue()
        self._keeper: asyncio.Task[list[PinstripeError]] | None = None
        self._closed = False

    async def open(self, definition: ServiceDefinition) -> Any:
        """Give the service, opened now if it isn't open; what it needs must have been opened before.

        Those who ask at the same time share one opening; one that failed is tried again by the next who asks. Raises
        `PinstripeError` naming the service and its file.
        """
        if self._closed:
            message = f"service {definition.name} was asked for after the project had been closed"
            raise PinstripeError(message)
        opening = self._opening.get(definition.name)
        if opening is None:
            loop = asyncio.get_running_loop()
            opening = self._opening[definition.name] = loop.create_future()
            self._asked.put_nowait((definition, opening))
            if self._keeper is None:
                context = copy_context()
                context.run(CURRENT.set, None)
                self._keeper = asyncio.Task(self._keep(), loop=loop, name="project services", context=context)
        # The opening belongs to all who wait for it: one that is cancelled leaves it to the others.
        return await asyncio.shield(opening)

    async def close(self) -> list[PinstripeError]:
        """Close all, last opened first, each with a time limit; log and give what failed to close."""
        self._closed = True
        if self._keeper is None:
            return []
        self._asked.put_nowait(None)
        keeper, self._keeper = self._keeper, None
        return await asyncio.shield(keeper)

    async def _keep(self) -> list[PinstripeError]:
        stack = ServiceStack()
        while (asked := await self._asked.get()) is not None:
            definition, opening = asked
            try:
                value = await stack.open(definition, {})  # what belongs to one workspace is not for it
            except BaseException as exception:  # noqa: BLE001 - it is raised where the service was asked for
                del self._opening[definition.name]
                _answer(opening, exception=exception)
            else:
                _answer(opening, value=value)
        self._opening.clear()
        problems = await stack.close()
        for problem in problems:
            _log.error("%s", problem, exc_info=problem)
        return problems


def _answer(opening: asyncio.Future[Any], *, value: Any = None, exception: BaseException | None = None) -> None:
    if opening.done():
        return
    if exception is None:
        opening.set_result(value)
    else:
        opening.set_exception(exception)
        opening.exception()  # whoever asked may have been cancelled since; that is no reason for a warning
