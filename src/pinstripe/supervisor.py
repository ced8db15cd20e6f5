"""The supervisor: keeps several processes of a worker alive, and ends them together.

A process that died is replaced, after a wait that grows while the new ones die too; what it had begun is given back at
once. The processes end with the supervisor, whatever ended it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from pinstripe.errors import LedgerError, LedgerLost

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Awaitable, Callable, Sequence

VARIABLE = "_PINSTRIPE_SUPERVISOR"
"""The environment variable that tells a process the id of its supervisor. It is no setting, and not for people."""

FIRST_WAIT = 0.1
"""Seconds before a process that died is replaced for the first time; each further time it is twice as long."""

LONGEST_WAIT = 10.0
"""Seconds that such a wait is at most."""

STEADY = 60.0
"""Seconds that a process must live for its death to count as the first again."""

KILL_MARGIN = 10.0
"""Seconds that processes have for ending, beyond the grace that they give to jobs, before they are killed."""

LEDGER_LIMIT = 5.0
"""Seconds that the ledger may take to note something about a process: no longer does its end wait for that."""

LOOK_EVERY = 1.0
"""Seconds between two looks whether the supervisor lives, where the system doesn't tell of its death."""

_PR_SET_PDEATHSIG = 1  # see prctl(2)

_log = logging.getLogger("pinstripe")


class Mourners(Protocol):
    """What the ledger's queue does for processes that end; see `pinstripe.queue.Queue`."""

    def stopping(self, pid: int | None = None) -> Awaitable[object]:
        """Say that the process ends by intent."""
        ...

    def sweep(self) -> Awaitable[object]:
        """Give back what dead processes had begun."""
        ...


class Supervisor:
    """Keeps `count` processes of one command alive until it is told to stop, or with `drains` until each has ended."""

    def __init__(
        self,
        command: Sequence[str],
        count: int,
        *,
        queue: Mourners,
        grace: float,
        tell: Callable[[str], None],
        drains: bool = False,
    ) -> None:
        """Take the `command` with its arguments, and the `queue` that what they leave behind is given back to.

        `grace` is how many seconds after a stop those that still live are killed. `tell` gets a sentence for whoever
        looks, about each process that died. With `drains`, one that ended with exit code 0 is done.
        """
        self._command = tuple(command)
        self._count = count
        self._queue = queue
        self._grace = grace
        self._tell = tell
        self._drains = drains
        self._processes: set[Process] = set()
        self._stops = 0
        self._stopped = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._killing: asyncio.Task[None] | None = None
        self._noting: set[asyncio.Future[object]] = set()
        self._lost: LedgerLost | None = None

    @property
    def living(self) -> frozenset[int]:
        """The ids of the processes that live now."""
        return frozenset(process.pid for process in self._processes)

    async def supervise(self) -> None:
        """Start the processes and keep them alive; return when all have ended, as `stop` or `drains` has them do.

        Raises `LedgerLost` once all have ended, where the ledger that they worked on is gone: new ones would work on
        another one, of which this process knows nothing.
        """
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._count):
                    group.create_task(self._keep())
        finally:
            if self._timer is not None:
                self._timer.cancel()
            for process in self._processes:  # something went wrong here: nobody would look after them
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
            if self._killing is not None:
                await self._killing
        if self._lost is not None:
            raise self._lost

    def stop(self) -> None:
        """Have the processes end: gracefully by the first call, at once by the second."""
        self._stops += 1
        self._stopped.set()
        for process in self._processes:
            self._pass_on(process)
        if self._stops <= 2:  # noqa: PLR2004 - later calls change nothing
            if self._timer is not None:
                self._timer.cancel()
            limit = self._grace if self._stops == 1 else min(self._grace, KILL_MARGIN)
            self._timer = asyncio.get_running_loop().call_later(limit, self._begin_killing)

    async def _keep(self) -> None:
        """Keep one process alive."""
        wait = 0.0
        while not self._stopped.is_set():
            begun = time.monotonic()
            try:
                process = await self._start()
            except OSError as error:
                reason = f"a worker's process can't be started ({error.strerror})"
            else:
                code = await process.wait()
                self._processes.discard(process)
                await self._note(self._queue.sweep())
                if self._stopped.is_set() or (self._drains and code == 0):
                    return
                reason = f"the worker's process {process.pid} ended: {how_ended(code)}"
            wait = next_wait(wait, time.monotonic() - begun)
            self._say(f"{reason}; another one starts in {wait:g}s.")
            try:
                async with asyncio.timeout(wait):
                    await self._stopped.wait()
            except TimeoutError:
                continue

    async def _start(self) -> Process:
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.DEVNULL,
            env={**os.environ, VARIABLE: str(os.getpid())},
            process_group=0,  # a terminal sends Ctrl-C to the supervisor's group, and they get it from the supervisor
        )
        self._processes.add(process)
        if self._stops:
            self._pass_on(process)
        return process

    def _pass_on(self, process: Process) -> None:
        """Send SIGTERM at first, which ends also a process that has only begun to start, then SIGINT.

        A second SIGTERM would be taken for the first where the whole group, or systemd's, has got that too.
        """
        if process.returncode is None:
            process.send_signal(signal.SIGTERM if self._stops == 1 else signal.SIGINT)

    def _begin_killing(self) -> None:
        self._killing = asyncio.get_running_loop().create_task(self._kill())

    async def _kill(self) -> None:
        """Kill those who are left, after noting that what they run is not to blame."""
        await asyncio.gather(*(self._note(self._queue.stopping(process.pid)) for process in self._processes))
        for process in self._processes:
            if process.returncode is None:
                process.kill()
                self._say(f"the worker's process {process.pid} did not end, and was killed.")

    def _say(self, sentence: str) -> None:
        with suppress(OSError):  # nobody listens any more: the processes go on all the same
            self._tell(sentence)

    async def _note(self, noting: Awaitable[object]) -> None:
        """Have the ledger note something. Where it can't, other processes find that out by themselves.

        What takes too long goes on, and isn't waited for: to cancel it would be to wait for it.
        """
        task = asyncio.ensure_future(noting)
        self._noting.add(task)
        task.add_done_callback(self._noted)
        await asyncio.wait([task], timeout=LEDGER_LIMIT)
        if not task.done():
            _log.warning("the end of a worker's process can't be noted now: the ledger takes too long")

    def _noted(self, task: asyncio.Future[object]) -> None:
        self._noting.discard(task)
        failure = None if task.cancelled() else task.exception()
        if isinstance(failure, LedgerLost):
            if not self._stops:
                self._lost = failure
                self.stop()
        elif isinstance(failure, LedgerError):
            _log.warning("the end of a worker's process can't be noted now: %s", failure)
        elif failure is not None:  # the other processes must not end for it
            _log.error("the end of a worker's process can't be noted now", exc_info=failure)


def next_wait(wait: float, lived: float) -> float:
    """Give the seconds before a process is replaced that `lived` for so long, when the `wait` before it was so long."""
    return FIRST_WAIT if lived >= STEADY else min(max(2 * wait, FIRST_WAIT), LONGEST_WAIT)


def find_supervisor() -> int | None:
    """Give the id of the supervisor that started this process; None where it was started by itself.

    It is forgotten thereby, so that no process which a job starts takes the supervisor for its own.
    """
    written = os.environ.pop(VARIABLE, None)
    return int(written) if written else None


async def end_with(supervisor: int, stop: Callable[[], None]) -> None:
    """Call `stop` when the process `supervisor` is gone; on Linux have the system send SIGTERM then instead.

    Returns after the first, or at once where the system does it. It must be awaited in the main thread.
    """
    asked = _ask_for_signal()
    while os.getppid() == supervisor:
        if asked:
            return
        await asyncio.sleep(LOOK_EVERY)
    stop()


def _ask_for_signal() -> bool:
    """Ask for SIGTERM at the parent's death, see prctl(2); tell whether that is possible."""
    if sys.platform != "linux":
        return False
    import ctypes

    try:
        return ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0) == 0  # type: ignore[no-any-return]
    except (OSError, AttributeError):
        return False


def how_ended(code: int) -> str:
    """Write how a process ended, by its exit code or, negative, its signal."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
