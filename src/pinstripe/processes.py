"""Processes for jobs with `runs_in = "process"`, and for attempts that are to be alone in theirs.

Each serves one execution at a time, is used again for the next one, and killed when one won't stop.

The child opens the project by itself, and with it the workspace and its services. It tells what happens over a socket:
its end is seen at once, whatever ended it, and what it printed until then is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pickle
import signal
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from pinstripe.errors import PinstripeError
from pinstripe.executing import CURRENT
from pinstripe.outcome import error_text, failed
from pinstripe.process_messages import GO, HEADER, read_answer, read_header
from pinstripe.threads import start_thread

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from pinstripe.assignment import Assignment
    from pinstripe.config import Settings
    from pinstripe.outcome import Outcome

MAX_TASKS = 100
"""How many executions a process serves before it makes room for a new one, so that what leaks has an end."""

START_LIMIT = 60.0
"""How many seconds a new process may take to say that it is there."""

EXIT_LIMIT = 5.0
"""How many seconds to wait until a process that was told to go is gone."""

NEWS_LIMIT = 1.0
"""How many seconds to wait until the pool, which looks ten times a second, tells how a process ended."""


class Processes:
    """The processes of one executor; none is there before the first job needs one."""

    def __init__(self, settings: Settings) -> None:
        """Take the project's `settings`, for the children to open it by the same ones.

        There are at most as many processes as executions at once, and as processors (or two); the rest waits its turn.
        """
        self._settings = settings
        self._size = min(settings.worker.concurrency, max(2, os.cpu_count() or 1))
        self._room = asyncio.Semaphore(self._size)
        self._calls: dict[str, _Call] = {}
        self._pool: Any = None
        self._pools: list[Any] = []  # with those that broke, whose other processes go on until the close
        self._opening = asyncio.Lock()
        self._server: asyncio.Server | None = None
        self._listening: set[asyncio.Task[Any]] = set()
        self._address = ""

    async def call(self, assignment: Assignment, started: Callable[[], None]) -> Outcome:
        """Execute an assignment in a process; `started` is called when the job is about to start there.

        Where the process dies by itself, the outcome says so. Cancelling this kills it, and waits until it is gone.
        Raises `PinstripeError` where the arguments can't be sent.
        """
        request = self._pack(assignment)
        async with self._room:
            await self._open()
            token = os.urandom(16).hex()
            call = self._calls[token] = _Call(assignment, started, asyncio.get_running_loop())
            pool, future = self._pool, self._schedule(token, request)
            ended = asyncio.wrap_future(future)
            ended.add_done_callback(call.hear_of_end)
            try:
                return await call.wait(ended, pool)
            except asyncio.CancelledError:
                call.tell_to_go()
                future.cancel()
                await call.end()
                raise
            finally:
                del self._calls[token]

    async def close(self) -> None:
        """End all processes, and what goes on in them."""
        server, self._server = self._server, None
        self._pool = None
        while self._pools:
            pool = self._pools.pop()
            pool.stop()
            await _in_thread(pool.join)
        if server is not None:
            server.close()
            if self._listening:  # the children are gone, so each of these is about to see the end of its line
                await asyncio.wait(self._listening, timeout=EXIT_LIMIT)
            with contextlib.suppress(OSError):
                os.unlink(self._address)  # noqa: PTH108 - a path as text, for a socket
                os.rmdir(os.path.dirname(self._address))  # noqa: PTH106, PTH120

    def _pack(self, assignment: Assignment) -> bytes:
        """Write what the child needs to know; what may be the author's is written apart, to be read after `setup`."""
        definition, attempt = assignment.definition, assignment.attempt
        parts: dict[str, object] = {"tenant": assignment.tenant, "arguments": (assignment.args, assignment.kwargs)}
        if definition.path is None:
            parts["class"] = definition.job_class
        written = {name: _pickle(definition.name, name, part) for name, part in parts.items()}
        facts = {
            "job": definition.name,
            "run_id": assignment.run_id,
            "attempt": (attempt.number, attempt.key, attempt.fence, attempt.scheduled_for),
            "timeout": assignment.timeout,
            "captures": assignment.capture is not None,
        }
        return pickle.dumps((self._settings, facts, written))

    def _schedule(self, token: str, request: bytes) -> Future[None]:
        from importlib import import_module

        # It stands above this module, with the project that it opens, and is found by its name here as in the child.
        perform = import_module("pinstripe.process_entry").perform
        future: Future[None] = self._pool.schedule(perform, args=(self._address, token, request))
        return future

    async def _open(self) -> None:
        async with self._opening:
            if self._pool is None or not self._pool.active:
                self._pool = _new_pool(self._size)
                self._pools.append(self._pool)
                # To ask is to start: it takes a moment for each process, and the event loop has other things to do.
                await _in_thread(lambda: self._pool.active)
            if self._server is None:
                context = copy_context()
                context.run(CURRENT.set, None)  # the server's tasks are no job's
                await asyncio.Task(self._serve(), loop=asyncio.get_running_loop(), context=context)

    async def _serve(self) -> None:
        import tempfile

        folder = tempfile.mkdtemp(prefix="pinstripe-")  # only its owner may enter it
        self._address = os.path.join(folder, "socket")  # noqa: PTH118 - as above
        self._server = await asyncio.start_unix_server(self._listen, self._address)

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hear one child through one call, until it has ended or is gone."""
        call: _Call | None = None
        listening = asyncio.current_task()
        if listening is not None:
            self._listening.add(listening)
            listening.add_done_callback(self._listening.discard)
        try:
            while True:
                kind, size = read_header(await reader.readexactly(HEADER))
                body = await reader.readexactly(size)
                if call is None:
                    token, _, pid = body.decode().partition(" ")
                    call = self._calls[token]
                    call.pid, call.writer = int(pid), writer
                    call.connected.set()
                else:
                    call.hear(kind, body)
        except (asyncio.IncompleteReadError, ConnectionError, KeyError):
            pass
        finally:
            if call is not None:
                call.gone.set()
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


class _Call:
    """One execution in a child, as its parent hears of it."""

    def __init__(self, assignment: Assignment, started: Callable[[], None], loop: asyncio.AbstractEventLoop) -> None:
        self._assignment = assignment
        self._started = started
        self._loop = loop
        self._answer: Outcome | None = None
        self.pid = 0
        self.writer: asyncio.StreamWriter | None = None
        self.connected = asyncio.Event()
        self.gone = asyncio.Event()

    def hear(self, kind: bytes, body: bytes) -> None:
        """Take one message."""
        capture, progress = self._assignment.capture, self._assignment.progress
        match kind:
            case b"s":
                self._started()
            case b"o" if capture is not None:
                capture.write(body.decode("utf-8", "replace"))
            case b"p" if progress is not None:
                progress(*json.loads(body))
            case b"r":
                self._answer = read_answer(body)

    def hear_of_end(self, ended: asyncio.Future[None]) -> None:
        """Take what the pool says; after the answer, as at the pool's stop, it is no news.

        Where the process has died, its line ends too, unless one that the job has forked there holds it open.
        """
        if _is_failed(ended) and not ended.cancelled():
            self._loop.call_later(NEWS_LIMIT, self.gone.set)

    async def wait(self, ended: asyncio.Future[None], pool: Any) -> Outcome:
        """Wait for the outcome, or find out why there is none."""
        deadline = self._loop.time() + START_LIMIT
        while not self.connected.is_set() and self._loop.time() < deadline:
            # The pool may tell of an end before the socket tells of the beginning; and one that broke tells nothing.
            over = _is_failed(ended) or not pool.active
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.connected.wait(), NEWS_LIMIT)
            if over:
                break
        if self.connected.is_set():
            await self.gone.wait()
        if self._answer is not None:
            return self._answer
        await asyncio.wait([ended], timeout=NEWS_LIMIT)
        outcome = failed(PinstripeError(self._death(ended)))
        outcome.crashed = self.connected.is_set() or _exit_code(ended) is not None
        return outcome

    def tell_to_go(self) -> None:
        """Tell the process that the signal that it is about to get is meant."""
        if self.writer is not None:
            self.writer.write(GO)

    async def end(self) -> None:
        """Wait until the process that was told to go is gone; one that is not gone soon is killed."""
        if not self.connected.is_set():
            return
        try:
            await asyncio.wait_for(self.gone.wait(), NEWS_LIMIT)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError, TimeoutError):
                os.kill(self.pid, signal.SIGKILL)
                await asyncio.wait_for(self.gone.wait(), EXIT_LIMIT)

    def _death(self, ended: asyncio.Future[None]) -> str:
        """Tell how the process died."""
        if not ended.done():
            if self.connected.is_set():
                return "the process died: exit code 0"  # the only one that the pool doesn't tell
            return f"the process did not start within {START_LIMIT:g}s, or died before it could tell"
        exception = None if ended.cancelled() else ended.exception()
        code = _exit_code(ended)
        if code is not None:
            how = f"signal {_signal(-code)}" if code < 0 else f"exit code {code}"
            return f"the process died: {how}"
        return f"the process died before it could tell{'' if exception is None else f': {error_text(exception)}'}"


async def _in_thread(call: Callable[[], object]) -> None:
    """Call something in a thread of its own: jobs may have filled the event loop's executor with what never ends."""
    _, raised = await start_thread(asyncio.get_running_loop(), "pinstripe processes", call)
    if raised is not None:
        raise raised


def _exit_code(ended: asyncio.Future[None]) -> int | None:
    """Give what the pool has told of how the process ended: its exit code, or less than 0 for a signal."""
    if not ended.done() or ended.cancelled():
        return None
    code = getattr(ended.exception(), "exitcode", None)
    return code if isinstance(code, int) else None


def _is_failed(ended: asyncio.Future[None]) -> bool:
    """Tell whether the pool has told of a failure, which is thereby taken notice of."""
    return ended.done() and (ended.cancelled() or ended.exception() is not None)


def _pickle(job: str, what: str, part: object) -> bytes:
    try:
        return pickle.dumps(part)
    except Exception as exception:
        if what == "tenant":
            remedy = "let the tenant source give mappings or plain objects"
        else:
            remedy = f"its {what} must be importable by name, or plain data"
        message = f"the {what} of {job} can't be sent to its process ({error_text(exception)}); {remedy}"
        raise PinstripeError(message) from exception


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _new_pool(size: int) -> Any:
    import multiprocessing

    from pebble import ProcessPool

    return ProcessPool(max_workers=size, max_tasks=MAX_TASKS, context=multiprocessing.get_context("spawn"))
