"""A process whose standard error is JSON, one object a line: what it logs, and what anything in it prints.

A logging that the application has set up is left as it is.
"""

from __future__ import annotations

import atexit
import io
import json
import logging
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

from pinstripe.json_lines import JSONFormatter, json_line, mask_line
from pinstripe.redirection import swap_handlers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pinstripe.redaction import Mask

LEVELS = {"Warning: ": "WARNING", "Error: ": "ERROR"}
"""How a line begins that says itself how bad it is; without that, what is on standard error is a warning."""

MAX_UNFINISHED = 64 * 1024
"""How many characters a line may have before it is told as one, though its end has not come."""

_installed: list[JSONOutput] = []


class JSONOutput:
    """Writes lines to standard error, for as long as it is installed."""

    def __init__(self) -> None:
        """Take the standard streams as they are."""
        self._streams = {"stdout": sys.stdout, "stderr": sys.stderr}
        self._stream = sys.stderr
        self._lock = threading.Lock()
        self._handler: JSONHandler | None = None
        self.send: Callable[[str], object] | None = None
        """What takes the lines instead, where another process shows them."""

    def settle(self) -> None:
        """Show log records too, unless the application's `setup`, which was called just now, has seen to that.

        Handlers of its own go on writing to the terminal, in their own format.
        """
        for name, real in self._streams.items():
            ours = getattr(sys, name)
            if isinstance(ours, Lines):
                swap_handlers(ours, real)
        if self._handler is None and not logging.getLogger().handlers and not logging.getLogger("pinstripe").handlers:
            self._handler = JSONHandler(self)
            logging.getLogger().addHandler(self._handler)

    def write(self, line: str) -> None:
        """Write a whole line; what nobody reads any more is lost."""
        if self.send is not None:
            self.send(line)
            return
        with self._lock, suppress(OSError, ValueError):
            self._stream.write(line + "\n")
            self._stream.flush()

    def tell(self, text: str, level: str, logger: str, *, facts: Mapping[str, object] | None = None) -> None:
        """Write some lines of text, each as a line."""
        for line in text.splitlines():
            if line.strip():
                self.write(json_line(level, logger, line, facts=facts))

    def remove(self) -> None:
        """Put everything back as it was."""
        for name, real in self._streams.items():
            ours = getattr(sys, name)
            if isinstance(ours, Lines):
                ours.end()
                setattr(sys, name, real)
        if self._handler is not None:
            logging.getLogger().removeHandler(self._handler)
        _installed.clear()


class JSONHandler(logging.Handler):
    """Shows log records as JSON."""

    shows_jobs = True
    """Whether those of executions are shown by it, so that they are only to be kept elsewhere."""

    def __init__(self, output: JSONOutput) -> None:
        """Take where to."""
        super().__init__()
        self._output = output
        self.setFormatter(JSONFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        try:
            self._output.write(self.format(record))
        except Exception:  # noqa: BLE001 - as every handler does: a bad log call ends nothing
            self.handleError(record)


class Lines(io.TextIOBase):
    """A stand-in for a standard stream: each line of what is written to it becomes a line of JSON.

    One that is a JSON object already is passed on as it is.
    """

    def __init__(self, name: str, output: JSONOutput, real: TextIO) -> None:
        """Take the stream's `name`, and the `real` one, its `terminal`."""
        self._name = name
        self._output = output
        self.terminal = real
        self.buffer = _Bytes(self)
        self._lock = threading.Lock()
        self._unfinished = ""

    def write(self, text: str) -> int:
        """Take some text."""
        if not isinstance(text, str):
            message = f"write() argument must be str, not {type(text).__name__}"
            raise TypeError(message)
        with self._lock:
            whole, end, rest = (self._unfinished + text).rpartition("\n")
            if len(rest) > MAX_UNFINISHED:
                whole, end, rest = whole + end + rest, "\n", ""
            self._unfinished = rest
        if end:
            self._tell(whole)
        return len(text)

    def end(self) -> None:
        """Write what has no line end."""
        with self._lock:
            rest, self._unfinished = self._unfinished, ""
        self._tell(rest)

    def writelines(self, lines: Iterable[str]) -> None:  # type: ignore[override]
        """Take some texts."""
        self.write("".join(lines))

    def flush(self) -> None:
        """Do nothing: whole lines are written at once."""

    def isatty(self) -> bool:
        """Tell that nobody looks who wants colours."""
        return False

    def writable(self) -> bool:
        """Tell that it can be written."""
        return True

    def fileno(self) -> int:
        """Give the real one's."""
        return self.terminal.fileno()

    def close(self) -> None:
        """Leave it open: it isn't the writer's."""

    def reconfigure(self, **options: Any) -> None:
        """Do nothing: it takes any text."""

    @property
    def name(self) -> str:
        """Give the stream's name."""
        return f"<{self._name}>"

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Tell that it takes any text."""
        return "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        """Tell that it takes any text."""
        return "replace"

    def _tell(self, text: str) -> None:
        for line in text.splitlines():
            if not line.strip():
                continue
            if line.startswith("{") and _is_object(line):
                self._output.write(line)
                continue
            level = "INFO" if self._name == "stdout" else "WARNING"
            for begin, said in LEVELS.items():
                if line.startswith(begin):
                    line, level = line.removeprefix(begin), said  # noqa: PLW2901 - what is left of it
            self._output.write(json_line(level, self._name, line))


class _Bytes(io.BufferedIOBase):
    """The `buffer` of a stand-in."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self._lines.write(bytes(view).decode("utf-8", "replace"))
        return view.nbytes

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._lines.fileno()

    def close(self) -> None:
        """Leave it open: it isn't the writer's."""


def install() -> JSONOutput:
    """Have this process write JSON from here on, for as long as it lives; again is the same."""
    if not _installed:
        output = JSONOutput()
        for name in ("stdout", "stderr"):
            setattr(sys, name, Lines(name, output, getattr(sys, name)))
        _installed.append(output)
        atexit.register(_end)
    return _installed[0]


def installed() -> JSONOutput | None:
    """Give what writes JSON in this process; None where nothing does."""
    return _installed[0] if _installed else None


def as_said(text: str) -> bytes:
    """Give a sentence as it is to be written to standard error at once, as in a signal's handler."""
    if not _installed:
        return text.encode()
    return (json_line("INFO", "stderr", text.strip()) + "\n").encode()


def show_line(line: bytes, mask: Mask | None) -> None:
    """Show a line of another process, without what nobody is shown."""
    output = installed()
    if output is not None:
        with suppress(ValueError):  # it is none
            output.write(mask_line(line.decode(), mask) if mask is not None else line.decode())


def _end() -> None:
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, Lines):
            with suppress(Exception):
                stream.end()


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
