"""A child of `Processes`: it opens the project once, then executes what it is sent, one attempt at a time."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import pickle
import signal
import socket
import sys
import threading
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from pinstripe.assignment import Assignment
from pinstripe.background_job import Attempt
from pinstripe.capture import Capture
from pinstripe.errors import InvalidJob, LedgerError, UnknownJob
from pinstripe.json_output import install
from pinstripe.outcome import Outcome, failed
from pinstripe.process_messages import message, write_answer
from pinstripe.redirection import redirected
from pinstripe.tracing import FLUSH_LIMIT, flush

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from pinstripe.config import Settings
    from pinstripe.definition import Definition
    from pinstripe.executor import Executor
    from pinstripe.opening import Opening
    from pinstripe.project import Project

_child: _Child | None = None
"""The state of this process. It has no other place: what runs in a pool's process is a function found by its name."""


def perform(address: str, token: str, request: bytes) -> None:
    """Execute one request, and tell the parent over the socket at `address`, as the call `token`."""
    global _child  # noqa: PLW0603 - see above
    with _Line(address, token) as line, _deaf_to_others(line):
        try:
            settings, facts, written = pickle.loads(request)  # noqa: S301 - from our own parent
            if _child is None:
                _child = _Child(settings)
            outcome = _child.execute(facts, written, line)
        except BaseException as exception:  # noqa: BLE001 - whatever it is, the parent waits for an answer
            outcome = failed(exception)
        line.send(b"r", write_answer(outcome))
        if _child is not None and _child.is_at_work:
            line.send(b"e")
            # What has its answer must not go on beside the next request, nor while this process is told to go: the line
            # ends with it, so that nobody hears of its end before.
            os._exit(1)


@contextmanager
def _deaf_to_others(line: _Line) -> Iterator[None]:
    """Let SIGTERM end this process only where the parent means it, and SIGHUP never.

    Service managers, and a terminal that is closed, send it to the parent and all its children at once, and the parent
    may give them time to end.
    """
    end: Any = signal.getsignal(signal.SIGTERM)

    def hear(number: int, frame: FrameType | None) -> None:
        if line.told_to_go():
            end(number, frame)

    signal.signal(signal.SIGTERM, hear)
    # Not ignored where it isn't so far: that would be handed down to the programs that a job starts.
    hung_up: Any = signal.getsignal(signal.SIGHUP)
    if hung_up is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, end)
        signal.signal(signal.SIGHUP, hung_up)


class _Line:
    """The line to the parent. Any thread may speak; once the parent is gone, nobody listens."""

    def __init__(self, address: str, token: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(address)
        self._lock = threading.Lock()
        self.send(b"h", f"{token} {os.getpid()}".encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        with suppress(OSError):  # the parent is gone
            self._socket.shutdown(socket.SHUT_RDWR)  # also where a process that the job has forked still holds it
        self._socket.close()

    def told_to_go(self) -> bool:
        """Tell whether the parent has said that it ends this process, or doesn't listen any more."""
        try:
            self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True

    def send(self, kind: bytes, body: bytes = b"") -> None:
        """Send one message."""
        with self._lock, suppress(OSError):
            self._socket.sendall(message(kind, body))


class _Told(Capture):
    """A capture that keeps nothing here: the parent gets each write as it comes, so that a kill loses nothing."""

    __slots__ = ("_line",)

    def __init__(self, line: _Line) -> None:
        super().__init__()
        self._line = line

    def write(self, text: str) -> None:
        """Send it on."""
        self._line.send(b"o", text.encode("utf-8", "replace"))

    def keep(self, text: str) -> None:
        """Send it on."""
        self._line.send(b"k", text.encode("utf-8", "replace"))


class _Child:
    """The project in this process, open from the first request to the last, and the event loop that it lives on."""

    def __init__(self, settings: Settings) -> None:
        _end_with_parent()
        self._settings = settings
        self._runner = asyncio.Runner()
        self._opening: Opening | None = None
        self._project: Project | None = None
        self._executor: Executor | None = None

    @property
    def is_at_work(self) -> bool:
        """Whether something is still executed: after an answer only where a job has ended the event loop under it."""
        return self._executor is not None and bool(self._executor.executions)

    def execute(self, facts: dict[str, Any], written: dict[str, bytes], line: _Line) -> Outcome:
        """Execute one attempt in a workspace of this process, as anywhere: on the event loop, or in a thread."""
        return self._runner.run(self._execute(facts, written, line))

    async def _execute(self, facts: dict[str, Any], written: dict[str, bytes], line: _Line) -> Outcome:
        output = install() if facts["json"] else None
        try:
            project = await self._open()
            executor = self._executor = (await project._started()).executor  # noqa: SLF001 - the project in this process is ours
            definition = _find(project, facts["job"], written.get("class"))
        except (LedgerError, InvalidJob, UnknownJob) as error:
            # Of which the job knows nothing yet. The ledger can be used again before long; and that the files have
            # changed since the parent loaded the job, as in a deployment, is for a later process to mend.
            outcome = failed(error)
            outcome.unstarted = True
            return outcome
        if output is not None:
            output.settle()  # after the `setup`, which whoever finds a job has called
            output.send = lambda text: line.send(b"j", text.encode())
        args, kwargs = pickle.loads(written["arguments"])  # noqa: S301 - as above
        number, key, fence, scheduled_for = facts["attempt"]
        assignment = Assignment(
            replace(definition, runs_in="thread") if definition.runs_in == "process" else definition,
            args,
            kwargs,
            facts["run_id"],
            pickle.loads(written["tenant"]),  # noqa: S301 - as above
            Attempt(number=number, key=key, fence=fence, scheduled_for=scheduled_for),
            facts["timeout"],
            _Told(line) if facts["captures"] else None,
            lambda done, total: line.send(b"p", json.dumps([done, total]).encode()),
            trace=facts["trace"],
            has_span=True,
        )
        line.send(b"s")
        with redirected() if facts["captures"] else nullcontext():
            return await executor.execute(assignment)

    async def _open(self) -> Project:
        from pinstripe.opening import Opening

        if self._project is None:
            self._opening = Opening(self._settings)
            self._project = await self._opening.__aenter__()
            multiprocessing.util.Finalize(self, self._close, exitpriority=10)
        return self._project

    def _close(self) -> None:
        """Close the project when this process is told to go, unless a job is still at work in it."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the pool sends a second one, which would cut this off
        if self._opening is not None and not self._runner.get_loop().is_running():
            self._runner.run(self._opening.__aexit__(None, None, None))
            self._runner.close()
            flush(FLUSH_LIMIT)


def _find(project: Project, name: str, job_class: bytes | None) -> Definition:
    """Find the job by its name; one that the parent's code had added is added here too."""
    try:
        return project.registry.find(name)
    except UnknownJob:
        if job_class is None:
            raise
        project.registry.add(name, pickle.loads(job_class))  # noqa: S301 - as above
        return project.registry.find(name)


def _end_with_parent() -> None:
    """End this process when its parent is gone: nobody would take its result, and another may do the work again."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    # The sentinel is a pipe whose other end goes with the parent. Where the kernel can, it kills this process by that,
    # for code that is not Python's may keep a thread from running. (PR_SET_PDEATHSIG would kill it too early: when the
    # parent's thread ends that has started it.)
    if sys.platform == "linux":
        import fcntl

        with suppress(OSError):
            fcntl.fcntl(parent.sentinel, fcntl.F_SETOWN, os.getpid())
            fcntl.fcntl(parent.sentinel, fcntl.F_SETSIG, signal.SIGKILL)
            flags = fcntl.fcntl(parent.sentinel, fcntl.F_GETFL)
            fcntl.fcntl(parent.sentinel, fcntl.F_SETFL, flags | os.O_ASYNC)

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, name="pinstripe lifeline", daemon=True).start()
