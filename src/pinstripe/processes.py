"""Processes for jobs with `runs_in = "process"`, and for attempts that are to be alone in theirs.

Each serves one execution at a time, is used again for the next one, and killed when one won't stop.

The child opens the project by itself, and with it the workspace and its services. It tells what happens over a socket:
its end is seen at once, whatever ended it, and what it printed until then is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pickle
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

from pinstripe.child_process import EXIT_LIMIT, ChildProcess, told
from pinstripe.errors import PinstripeError
from pinstripe.executing import CURRENT
from pinstripe.json_output import installed
from pinstripe.outcome import error_text
from pinstripe.process_call import Call, unstarted
from pinstripe.process_messages import HEADER, read_header
from pinstripe.socket_folders import SOCKET, make_folder, remove_dead
from pinstripe.threads import start_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from pinstripe.assignment import Assignment
    from pinstripe.config import Settings
    from pinstripe.outcome import Outcome

IDLE_LIMIT = 10.0
"""After how many seconds without a call a process is ended, where there are more than are kept."""

_log = logging.getLogger("pinstripe")


class Processes:
    """The processes of one executor; none is there before the first job needs one."""

    def __init__(self, settings: Settings) -> None:
        """Take the project's `settings`, for the children to open it by the same ones.

        There are as many processes as a worker has calls at once: what it says that it runs does run. Calls of runs by
        hand share as many as there are processors (or two), and of those that have nothing to do as many are kept.
        """
        self._settings = settings
        self._kept = max(2, os.cpu_count() or 1)
        self._room = asyncio.Semaphore(self._kept)
        self._calls: dict[str, Call] = {}
        self._children: set[ChildProcess] = set()
        self._idle: list[ChildProcess] = []  # the one that was used last is the last, and used next
        self._ending: set[asyncio.Future[Any]] = set()
        self._alarm: asyncio.TimerHandle | None = None
        self._opening = asyncio.Lock()
        self._server: asyncio.Server | None = None
        self._listening: set[asyncio.Task[Any]] = set()
        self._address = ""
        self._context = copy_context()
        self._context.run(CURRENT.set, None)  # what serves all is no job's

    async def call(self, assignment: Assignment, started: Callable[[], None]) -> Outcome:
        """Execute an assignment in a process; `started` is called when the job is about to start there.

        Where the process dies by itself, or can't be started, the outcome says so. Cancelling this kills it, and waits
        until it is gone. Raises `PinstripeError` where the arguments can't be sent.
        """
        request = self._pack(assignment)
        async with contextlib.nullcontext() if assignment.claimed else self._room:
            while True:
                try:
                    child = self._take()
                except Exception as problem:  # noqa: BLE001 - such as too many open files
                    return unstarted(told(problem))
                outcome = await self._call(child, assignment, started, request)
                if outcome is not None:
                    return outcome

    async def close(self) -> None:
        """End all processes, and what goes on in them."""
        server, self._server = self._server, None
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._idle.clear()
        for child in tuple(self._children):
            self._end(child, at_once=True)
        if self._ending:
            await asyncio.wait(tuple(self._ending))
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
            "trace": assignment.trace,
            "json": installed() is not None,
        }
        return pickle.dumps((self._settings, facts, written))

    async def _call(
        self, child: ChildProcess, assignment: Assignment, started: Callable[[], None], request: bytes
    ) -> Outcome | None:
        """Execute it in this child; None where that one was used before, and died before this could begin."""
        token = os.urandom(16).hex()
        call = Call(assignment, started, child, asyncio.get_running_loop())
        used, keep = child.calls > 0, False
        try:
            try:
                obstacle = None if used else await self._start(child)
                if obstacle is not None:
                    return unstarted(obstacle)
                future = child.schedule(self._address, token, request)
            except Exception as problem:  # noqa: BLE001 - such as no more threads
                return None if used else unstarted(told(problem))
            self._calls[token] = call
            ended = asyncio.wrap_future(future)
            ended.add_done_callback(call.hear_of_end)
            try:
                outcome = await call.wait(ended, self._shares)
                keep = call.answer is not None and not call.is_last and not child.is_worn
            except asyncio.CancelledError:
                call.tell_to_go()
                future.cancel()
                await call.end()
                raise
            return None if used and call.missed else outcome
        finally:
            self._calls.pop(token, None)
            if keep:
                self._keep(child)
            else:
                self._end(child)

    def _take(self) -> ChildProcess:
        """Give a process that has nothing to do, or one that is still to be started."""
        while self._idle:
            child = self._idle.pop()
            if child.is_there:
                return child
            self._end(child)
        child = ChildProcess()
        self._children.add(child)
        return child

    def _keep(self, child: ChildProcess) -> None:
        """Keep a process for the next call, for some time at least."""
        if not child.ending:
            child.idle_since = asyncio.get_running_loop().time()
            self._idle.append(child)
            if len(self._idle) > self._kept and self._alarm is None:
                self._tidy()

    def _tidy(self) -> None:
        """End what has had nothing to do for a while and is more than is kept; look again later for the rest."""
        loop = asyncio.get_running_loop()
        self._alarm = None
        while len(self._idle) > self._kept:
            left = self._idle[0].idle_since + IDLE_LIMIT - loop.time()
            if left > 0:
                self._alarm = loop.call_later(left, self._tidy, context=self._context)
                return
            self._end(self._idle.pop(0))

    def _end(self, child: ChildProcess, *, at_once: bool = False) -> None:
        """End a process in a thread of its own, once; where there is no thread to be had, later, or else here."""
        if child.ending:
            return
        loop = asyncio.get_running_loop()
        child.ending = True
        try:
            ending = start_thread(loop, "pinstripe processes", child.end)
        except RuntimeError:
            if at_once:
                child.end()
                self._children.discard(child)
            else:
                child.ending = False
                loop.call_later(IDLE_LIMIT, self._end, child, context=self._context)
            return
        self._ending.add(ending)
        ending.add_done_callback(partial(self._ended, child), context=self._context)

    def _ended(self, child: ChildProcess, ending: asyncio.Future[Any]) -> None:
        self._ending.discard(ending)
        self._children.discard(child)
        raised = ending.result()[1]
        if raised is not None:
            _log.warning("a process could not be ended: %s", error_text(raised))

    def _shares(self) -> int:
        """Tell how many processes there are to start on each processor."""
        starting = sum(not call.connected.is_set() for call in self._calls.values())
        return -(-starting // (os.cpu_count() or 1))

    async def _start(self, child: ChildProcess) -> str | None:
        """Start a process, and the server that it calls; give what kept it from starting, or None."""
        async with self._opening:
            if self._server is None:
                await asyncio.Task(self._serve(), loop=asyncio.get_running_loop(), context=self._context.copy())
        # In a thread of its own: it takes a moment, and jobs may have filled the executor with what never ends.
        obstacle, raised = await start_thread(asyncio.get_running_loop(), "pinstripe processes", child.start)
        return obstacle if raised is None else told(raised)

    async def _serve(self) -> None:
        with contextlib.suppress(RuntimeError):  # there is no thread to be had: another process removes them
            await start_thread(asyncio.get_running_loop(), "pinstripe processes", remove_dead)
        folder = make_folder()
        self._address = os.path.join(folder, SOCKET)  # noqa: PTH118 - as above
        try:
            self._server = await asyncio.start_unix_server(self._listen, self._address)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(self._address)  # noqa: PTH108 - as above
            os.rmdir(folder)  # noqa: PTH106 - as above
            raise

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hear one child through one call, until it has ended or is gone."""
        call: Call | None = None
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
                    call.begin(int(pid), writer)
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
