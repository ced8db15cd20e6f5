"""A run by hand: in this process, seen as it goes on, stopped cleanly by Ctrl-C, and told of honestly at its end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

import click

from pinstripe.commands.progress import new_screen
from pinstripe.commands.summary import NOTHING_RAN, exit_code, summary
from pinstripe.errors import PinstripeError
from pinstripe.opening import open_project
from pinstripe.tracing import FLUSH_LIMIT, flush

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import FrameType

    from pinstripe.commands.progress import Progress
    from pinstripe.project import Project
    from pinstripe.queue import Pause
    from pinstripe.run import Run
    from pinstripe.watcher import Watcher

TASKS_END_WITHIN = 1.0
"""How many seconds tasks that a job left behind have for being cancelled, before the process ends without them."""

STOPPING = {
    signal.SIGINT: "Stopping… press Ctrl-C again to stop at once.\n",
    signal.SIGTERM: "Stopping… another SIGTERM, or Ctrl-C, stops at once.\n",
}

AT_ONCE = (
    "Stopped at once. The next command marks as interrupted what the ledger doesn't know the end of; "
    "`pinstripe retry-run last` carries on.\n"
)
"""What is said of a run that a second signal has ended."""

SAME_SIGNAL = 1.0
"""Seconds in which a second SIGTERM counts as the first: timeout(1) sends one to the process and one to its group."""

_MEDDLED = (
    "a job {} that all jobs share, so everything was cancelled; `pinstripe retry-run last` carries on, once it "
    "touches nothing but its own tasks"
)

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


def run_by_hand(
    start: Callable[[Project, Watcher], Awaitable[Run | None]], *, project: str | None, as_json: bool, capture: bool
) -> int:
    """Open the project, `start` a run in it, show it and what became of it; give the exit code.

    `start` gives None where there is nothing to run.
    """
    answer = _divert_stdout() if as_json else None
    try:
        return asyncio.run(_HandRun(project, answer, capture=capture).go(start))
    except asyncio.CancelledError as error:
        raise PinstripeError(_MEDDLED.format("cancelled tasks of the event loop")) from error
    except RuntimeError as error:
        if "stopped before" not in str(error):  # what asyncio says then; it has cancelled everything meanwhile
            raise
        raise PinstripeError(_MEDDLED.format("stopped the event loop")) from error


def _divert_stdout() -> TextIO:
    """Send what the process, its jobs and their children print to standard error; give the real standard output."""
    sys.stdout.flush()
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return answer


class _HandRun:
    def __init__(self, folder: str | None, answer: TextIO | None, *, capture: bool) -> None:
        self._folder = folder
        self._answer = answer
        self._capture = capture
        self._signal: int | None = None
        self._signalled = 0.0
        self._project: Project | None = None
        self._screen: Progress | None = None

    async def go(self, start: Callable[[Project, Watcher], Awaitable[Run | None]]) -> int:
        """Run, show, and end: also when a job left threads or tasks behind that don't end."""
        self._loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker: this is a coroutine
        self._task = task
        threads = frozenset(threading.enumerate())
        handlers = {number: signal.signal(number, self._interrupt) for number in CODES}
        try:
            code = await self._run(start)
        except asyncio.CancelledError:
            if self._signal is None:
                raise
            click.echo("Interrupted before anything ran.", err=True)
            code = 0
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        if self._signal is not None:
            code = CODES[signal.Signals(self._signal)]
        await leave(code, threads)
        return code

    async def _run(self, start: Callable[[Project, Watcher], Awaitable[Run | None]]) -> int:
        async with open_project(self._folder) as project:
            screen = self._screen = new_screen(project.clock, captures=self._capture)
            self._project = project
            streams = sys.stdout, sys.stderr
            try:
                run = await start(project, screen)
            finally:
                sys.stdout, sys.stderr = streams  # whatever jobs have put in their place
                screen.close()
            if run is None:
                return NOTHING_RAN
            pauses = await project.ledger.queue.pauses() if run.executions.skipped else []
            reason = await self._reason(project, run)
            # Whoever no longer reads (`| head`), or has no room for it, still gets the true exit code.
            try:
                self._tell(run, pauses, reason)
            except OSError as error:
                with suppress(OSError):  # what stands in the buffer fails no second time, at the process's end
                    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                with suppress(OSError):
                    if not isinstance(error, BrokenPipeError):
                        click.echo(f"Warning: what became of the run can't be written: {error.strerror}", err=True)
            return exit_code(run)

    async def _reason(self, project: Project, run: Run) -> str | None:
        """Find why the only execution of a run was cancelled, unless it was by a signal, whose sender knows."""
        if run.executions.cancelled != run.executions.total or self._signal is not None:
            return None
        execution = await project.ledger.find_execution(run.id, None)
        return None if execution is None else execution.error

    def _tell(self, run: Run, pauses: list[Pause], reason: str | None) -> None:
        if self._answer is None:
            for line in summary(run, self._folder, pauses, reason):
                click.echo(line)
            return
        import json

        self._answer.write(json.dumps(run.to_json(), indent=2) + "\n")
        self._answer.flush()

    def _interrupt(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a signal handler's signature
        """Stop cleanly at the first signal; at a second one end at once: the next command mends the ledger."""
        now = time.monotonic()
        if self._signal is not None:
            if number == signal.SIGINT or now - self._signalled >= SAME_SIGNAL:
                if self._screen is not None and self._screen.begun:
                    _write(AT_ONCE)
                os._exit(CODES[signal.Signals(number)])
            return
        self._signal, self._signalled = number, now
        _write(STOPPING[signal.Signals(number)])
        self._loop.call_soon_threadsafe(self._begin_stopping)

    def _begin_stopping(self) -> None:
        if self._project is not None and self._screen is not None and self._screen.begun:
            # The run is in the ledger, so what becomes of it is to be recorded: it is stopped, not this task.
            self._project.stop()
        else:
            self._task.cancel()


def _write(text: str) -> None:
    """Say something in a signal's handler, and so also while a job blocks the event loop.

    The line may have a ^C or the bar on it.
    """
    with suppress(OSError):
        os.write(2, ("\n" if os.isatty(2) else "").encode() + text.encode())


async def leave(code: int, former: frozenset[threading.Thread], *, by: str = "a job") -> None:
    """Wait shortly for what was left behind; end the process with `code` where that doesn't end by itself."""
    from pinstripe.executing import leaked_threads

    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    stuck = [task.get_name() for task in (await asyncio.wait(tasks, timeout=TASKS_END_WITHIN))[1]] if tasks else []
    threads = [thread.name for thread in leaked_threads() if thread not in former]
    if not stuck and not threads:
        return
    for kind, names in (("tasks", stuck), ("threads", threads)):
        if names:
            click.echo(
                f"Warning: left behind by {by} and still running, abandoned: {kind} {', '.join(names)}", err=True
            )
    flush(FLUSH_LIMIT)
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # whatever a job has made of it
            stream.flush()
    os._exit(code)
