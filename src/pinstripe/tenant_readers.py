"""Reading what an application gives as its tenants, in pages, whatever manner of Python it is.

What is in memory is read where it is. What is asynchronous is awaited. Everything else (plain functions and generators,
lazy iterables such as a database driver's rows) may block, and may be bound to the thread that made it, so each reading
of it has one thread of its own, in which it is called, read in pages, and closed.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterable, Awaitable, Iterable, KeysView, Mapping, ValuesView
from contextvars import copy_context
from functools import partial
from itertools import islice
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

logger = logging.getLogger("pinstripe.tenants")

_IN_MEMORY = (list, tuple, set, frozenset, KeysView, ValuesView)

Page = tuple[list[Any], BaseException | None, bool]
"""Items, the error that came after them if one did, and whether there may be more."""


class NotTenants(TypeError):
    """What was given can't be read as tenants; the message says what was expected, and what to do."""


class Reader(Protocol):
    """One reading of a source, from its start. `read` never raises but for cancellation; `close` never raises."""

    async def read(self, size: int) -> Page:
        """Read up to `size` items."""
        ...

    async def close(self, *, wait: bool = True) -> None:
        """Close what is read; with `wait` false (a cancellation) don't wait for a thread that may be stuck."""
        ...


def check_source(source: object) -> None:
    """Raise `NotTenants` for what can be seen, without reading it, to be no source that can be read again and again."""
    name = type(source).__name__
    if isinstance(source, type):
        message = f"expected a function or a collection, got the class {source.__name__}; give a function that uses it"
        raise NotTenants(message)
    if hasattr(source, "__next__") or hasattr(source, "__anext__") or inspect.iscoroutine(source):
        if inspect.iscoroutine(source):
            source.close()
        message = (
            f"expected what can be read more than once, got a {name}, which can't; pass the function that makes it"
        )
        raise NotTenants(message)
    if callable(source) and not isinstance(source, AsyncIterable | Iterable):
        _check_call(source)
    else:
        _check_items(source)


def _check_call(function: Callable[..., object]) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # something built in; calling it will tell
    try:
        signature.bind()
    except TypeError as error:
        message = (
            f"expected a function that is called without arguments, got one with the signature {signature}: {error}"
        )
        raise NotTenants(message) from None


def _check_items(given: object) -> None:
    if isinstance(given, str | bytes | bytearray | Mapping) or not isinstance(given, AsyncIterable | Iterable):
        hint = "; give its .values()" if isinstance(given, Mapping) else ""
        message = (
            f"expected tenants: a list or another iterable, synchronous or not, of mappings, objects or plain ids; "
            f"got {'None' if given is None else type(given).__name__}{hint}"
        )
        raise NotTenants(message)


async def open_reader(source: object) -> Reader:
    """Begin to read `source`, calling it if it is a function. Raises what it raises, and `NotTenants`."""
    if isinstance(source, AsyncIterable | Iterable):
        return await _reader_of(source, None)
    function: Callable[[], object] = source  # type: ignore[assignment]
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return await _reader_of(await _awaited(function()), None)
    thread = _OneThread()
    try:
        return await _reader_of(await _awaited(await thread.call(function)), thread)
    except BaseException:
        thread.stop()
        raise


async def _awaited(given: object) -> object:
    return await given if isinstance(given, Awaitable) and not isinstance(given, AsyncIterable) else given


async def _reader_of(given: object, thread: _OneThread | None) -> Reader:
    _check_items(given)
    if isinstance(given, AsyncIterable):
        if thread is not None:
            thread.stop()
        return _AwaitedReader(aiter(given))
    assert isinstance(given, Iterable)  # noqa: S101 - _check_items saw to it
    if thread is None and isinstance(given, _IN_MEMORY):
        return _MemoryReader(iter(given))
    own = thread or _OneThread()
    try:
        return _ThreadReader(own, await own.call(partial(iter, given)))
    except BaseException:
        own.stop()
        raise


def _read(items: Iterator[Any], size: int) -> Page:
    page: list[Any] = []
    try:
        page.extend(islice(items, size))  # what came before an error is kept: extend adds one after another
    except BaseException as error:  # noqa: BLE001 - a source that exits or interrupts fails as any other
        return page, error, False
    return page, None, len(page) == size


class _MemoryReader:
    def __init__(self, items: Iterator[Any]) -> None:
        self._items = items

    async def read(self, size: int) -> Page:
        await asyncio.sleep(0)  # a page takes about a millisecond: let others have the loop in between
        return _read(self._items, size)

    async def close(self, *, wait: bool = True) -> None:
        """Do nothing: there is nothing open."""


class _AwaitedReader:
    def __init__(self, items: AsyncIterator[Any]) -> None:
        self._items = items

    async def read(self, size: int) -> Page:
        page: list[Any] = []
        following = self._items.__anext__
        try:
            for _ in range(size):
                page.append(await following())  # noqa: PERF401 - a comprehension would lose what came before an error
        except StopAsyncIteration:
            return page, None, False
        except (Exception, SystemExit) as error:  # noqa: BLE001 - it is handed on
            return page, error, False
        await asyncio.sleep(0)  # a generator that never waits would else keep the loop to itself
        return page, None, True

    async def close(self, *, wait: bool = True) -> None:  # noqa: ARG002 - closing it is the only way to let it clean up
        close = getattr(self._items, "aclose", None)
        if close is not None:
            try:
                await close()
            except Exception:
                logger.warning("a tenant source failed to close", exc_info=True)


class _ThreadReader:
    def __init__(self, thread: _OneThread, items: Iterator[Any]) -> None:
        self._thread = thread
        self._items = items

    async def read(self, size: int) -> Page:
        page: Page = await self._thread.call(partial(_read, self._items, size))
        return page

    async def close(self, *, wait: bool = True) -> None:
        closing = self._thread.call(self._close)
        self._thread.stop()
        if wait:
            await closing

    def _close(self) -> None:
        close = getattr(self._items, "close", None)
        if close is not None:
            try:
                close()
            except BaseException:  # it is in a thread of its own, and must hide nothing
                logger.warning("a tenant source failed to close", exc_info=True)


class _OneThread:
    """One thread for one reading: an executor's threads change, and hold up the end of the process if one is stuck."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = Thread(target=self._work, name="pinstripe-tenants", daemon=True)
        self._thread.start()

    def call(self, function: Callable[[], Any]) -> asyncio.Future[Any]:
        """Call `function` in the thread, after the calls before it."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        context = copy_context()

        def work() -> None:
            value, failure = None, None
            try:
                value = context.run(function)
            except BaseException as error:  # noqa: BLE001 - it is handed on
                failure = error
            try:
                loop.call_soon_threadsafe(_settle, answer, value, failure)
            except RuntimeError:
                logger.debug("the event loop ended before a tenant source answered")

        self._calls.put(work)
        return answer

    def stop(self) -> None:
        """End the thread after the calls that it has."""
        self._calls.put(None)

    def _work(self) -> None:
        for call in iter(self._calls.get, None):
            call()


def _settle(answer: asyncio.Future[Any], value: object, failure: BaseException | None) -> None:
    if answer.done():
        return  # whoever waited was cancelled
    if failure is None:
        answer.set_result(value)
    elif isinstance(failure, Exception) and not isinstance(failure, StopIteration):
        answer.set_exception(failure)
    else:  # a future can't carry a StopIteration, and an exit or a cancellation there must not become one here
        error = RuntimeError(f"{type(failure).__name__}: {failure}")
        error.__cause__ = failure
        answer.set_exception(error)
