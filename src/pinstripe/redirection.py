"""Standard output, standard error and `logging`, led to the capture of whichever execution writes to them."""

from __future__ import annotations

import io
import logging
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from pinstripe.executing import CURRENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pinstripe.capture import Capture

JOBS_LOGGER = "pinstripe.jobs"
"""The parent of every job's logger; its lines are kept from INFO on, where the application set no level."""

_FORMAT = "%(levelname)s %(name)s: %(message)s"

_SWITCHING = threading.RLock()
"""Held while streams are put in place or taken away: projects may do that in several threads."""


@contextmanager
def redirected() -> Iterator[None]:
    """While this goes on, what an execution prints and logs goes to its capture, where it has one.

    It may be nested and overlap: the first one in puts the streams in place, the last one out restores them. What
    belongs to no execution, or to one without a capture, goes where it always went. A handler of the application's that
    writes to the terminal writes to the capture meanwhile.
    """
    with _SWITCHING:
        streams = [_redirect(name) for name in ("stdout", "stderr")]
        logs = _redirect_logging()
    try:
        yield
    finally:
        with _SWITCHING:
            logs.leave()
            for stream in streams:
                stream.leave()


@contextmanager
def shown() -> Iterator[None]:
    """While this goes on, what jobs log goes to standard error, unless the application set up logging of its own.

    It is for executions without a capture: their lines from INFO on are to be seen, as those of the others are kept.
    """
    ours, jobs = logging.getLogger("pinstripe"), logging.getLogger(JOBS_LOGGER)
    if any(_handlers(JOBS_LOGGER)):
        yield
        return
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(_FORMAT))
    sets_level = jobs.level == logging.NOTSET
    if sets_level:
        jobs.setLevel(logging.INFO)
    ours.addHandler(handler)
    try:
        yield
    finally:
        ours.removeHandler(handler)
        if sets_level:
            jobs.setLevel(logging.NOTSET)


def _redirect(name: str) -> _Stream:
    stream = getattr(sys, name)
    if not isinstance(stream, _Stream):
        stream = _Stream(name, stream)
        setattr(sys, name, stream)
        swap_handlers(stream.of_handlers.real, stream.of_handlers)
    stream.users += 1
    return stream


def _redirect_logging() -> _Handler:
    root = logging.getLogger()
    handler = next((each for each in root.handlers if isinstance(each, _Handler)), None)
    if handler is None:
        handler = _Handler()
        root.addHandler(handler)
    handler.users += 1
    return handler


class _Stream(io.TextIOBase):
    """A stand-in for one of the standard streams."""

    def __init__(self, name: str, real: TextIO) -> None:
        self._name = name
        self.real = real
        self.users = 0
        self.buffer = _Bytes(self)
        terminal = getattr(real, "terminal", None)
        self.of_handlers = self if terminal is None else _Stream(name, terminal)
        """What handlers of the application's write to: not what makes JSON of all that is written to the real one."""

    def leave(self) -> None:
        self.users -= 1
        if self.users:
            return
        swap_handlers(self.of_handlers, self.of_handlers.real)
        if getattr(sys, self._name) is self:
            setattr(sys, self._name, self.real)

    def write(self, text: str) -> int:
        capture = _capture()
        if capture is None:
            return self.real.write(text)
        if not isinstance(text, str):
            message = f"write() argument must be str, not {type(text).__name__}"
            raise TypeError(message)
        capture.write(text)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:  # type: ignore[override]
        self.write("".join(lines))

    def flush(self) -> None:
        if _capture() is None:
            self.real.flush()

    def isatty(self) -> bool:
        return _capture() is None and self.real.isatty()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        """Give the real one's: what a subprocess writes to it is shown, not kept."""
        return self.real.fileno()

    def close(self) -> None:
        """Leave it open: it isn't the writer's."""

    def reconfigure(self, **options: Any) -> None:
        """Do as the real one does; a capture takes any text."""
        if _capture() is None and isinstance(self.real, io.TextIOWrapper):
            self.real.reconfigure(**options)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8" if _capture() is not None else self.real.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return "replace" if _capture() is not None else self.real.errors

    @property
    def name(self) -> str:
        return f"<{self._name}>"

    @property
    def mode(self) -> str:
        return "w"


class _Bytes(io.BufferedIOBase):
    """The `buffer` of a stand-in."""

    def __init__(self, stream: _Stream) -> None:
        self._stream = stream

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        capture = _capture()
        if capture is None:
            buffer = getattr(self._stream.real, "buffer", None)
            if buffer is None:
                self._stream.real.write(bytes(view).decode("utf-8", "replace"))
            else:
                self._stream.real.flush()  # the text before the bytes
                buffer.write(view)
        else:
            capture.write_bytes(view)
        return view.nbytes

    def flush(self) -> None:
        buffer = getattr(self._stream.real, "buffer", None)
        if buffer is not None and _capture() is None:
            buffer.flush()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._stream.fileno()

    def close(self) -> None:
        """Leave it open: it isn't the writer's."""


class _Handler(logging.Handler):
    """Writes an execution's log records to its capture, unless a handler of the application's does so."""

    def __init__(self) -> None:
        super().__init__()
        self.users = 0
        self.setFormatter(logging.Formatter(_FORMAT))
        jobs = logging.getLogger(JOBS_LOGGER)
        self._sets_level = jobs.level == logging.NOTSET
        if self._sets_level:
            jobs.setLevel(logging.INFO)

    def leave(self) -> None:
        self.users -= 1
        if self.users:
            return
        logging.getLogger().removeHandler(self)
        self.close()
        if self._sets_level:
            logging.getLogger(JOBS_LOGGER).setLevel(logging.NOTSET)

    def emit(self, record: logging.LogRecord) -> None:
        others = [each for each in _handlers(record.name) if each is not self and record.levelno >= each.level]
        capture = _capture()
        if capture is None:
            # With this handler in place, logging no longer sees that nobody else listens, and stays silent.
            last = logging.lastResort
            if last is not None and record.levelno >= last.level and not any(_handlers(record.name, but=self)):
                last.handle(record)
        elif not any(isinstance(getattr(each, "stream", None), _Stream) for each in others):
            is_shown = any(getattr(each, "shows_jobs", False) for each in others)  # as JSON, by one of ours
            try:
                (capture.keep if is_shown else capture.write)(self.format(record) + "\n")
            except Exception:  # noqa: BLE001 - as every handler does: a bad log call ends nothing
                self.handleError(record)


def _capture() -> Capture | None:
    executing = CURRENT.get()
    return None if executing is None else executing.capture


def _handlers(name: str, but: logging.Handler | None = None) -> Iterator[logging.Handler]:
    """Give the handlers that a record of the logger `name` reaches."""
    logger: logging.Logger | None = logging.getLogger(name)
    while logger is not None:
        yield from (handler for handler in logger.handlers if handler is not but)
        logger = logger.parent if logger.propagate else None


def swap_handlers(old: Any, new: Any) -> None:
    """Let every handler of the application's that writes to `old` write to `new`."""
    loggers = [logging.getLogger(), *logging.getLogger().manager.loggerDict.values()]
    for logger in loggers:
        for handler in getattr(logger, "handlers", ()):
            if isinstance(handler, logging.StreamHandler) and handler.stream is old:
                handler.setStream(new)
