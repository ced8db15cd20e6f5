"""How an attempt ended, and its exception told in text that is safe to keep."""

from __future__ import annotations

import traceback
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pinstripe.answers import Cancel, RetryLater
from pinstripe.errors import PinstripeError
from pinstripe.run import ExecutionStatus
from pinstripe.setting_keys import hide_passwords

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

MAX_ERROR = 2_000
"""How many characters of an error are kept."""

MAX_TRACEBACK = 64 * 1024
"""How many characters of a traceback are kept: the first and the last half of them."""

_PACKAGE = str(Path(__file__).parent)


@dataclass(slots=True)
class Outcome:
    """How an attempt ended.

    `error` is the error of a failed one and the reason of a cancelled one; `result` is `value` as JSON text, where it
    can be written so. `exception` is the job's own, wrapped where it isn't an `Exception`; `log` is the captured output
    to keep. `retry_after` is in how many seconds the job asked to run again, None where it didn't; `stopped` says that
    `Execution.cancel` ended the attempt, and not the job itself; `crashed` that its process died, and nobody killed it;
    `unstarted` that its process could not be started, so that nothing of the job has run.
    """

    status: ExecutionStatus
    error: str | None = None
    traceback: str | None = None
    result: str | None = None
    value: Any = None
    exception: Exception | None = None
    log: str | None = None
    retry_after: float | None = None
    stopped: bool = False
    crashed: bool = False
    unstarted: bool = False

    @property
    def succeeded(self) -> bool:
        """Whether the attempt succeeded."""
        return self.status is ExecutionStatus.SUCCEEDED


def failed(exception: BaseException, problems: Sequence[Exception] = ()) -> Outcome:
    """Make the outcome of an attempt that ended with `exception`, with the `problems` of its end noted on it."""
    with suppress(BaseException):  # an author's exception may have an add_note of its own
        for problem in problems:
            exception.add_note(str(problem))
    return Outcome(
        ExecutionStatus.FAILED,
        error=error_text(exception),
        traceback=traceback_text(exception),
        exception=_raisable(exception),
    )


def ended_by(exception: BaseException, problems: Sequence[Exception] = ()) -> Outcome:
    """Make the outcome of an attempt whose job raised: of an answer, which has no traceback, or else a failed one.

    An answer that comes alone out of a task group is one too.
    """
    answer = exception
    while type(answer) is ExceptionGroup and len(answer.exceptions) == 1:
        answer = answer.exceptions[0]
    if isinstance(answer, Cancel):
        reason = _message(answer) or "cancelled by the job"
        return Outcome(ExecutionStatus.CANCELLED, error=_with(problems, reason))
    # A class that an author derives from it may have an __init__ of its own, and doesn't say when.
    delay = getattr(answer, "delay", None) if isinstance(answer, RetryLater) else None
    if not isinstance(delay, timedelta):
        return failed(exception, problems)
    return Outcome(
        ExecutionStatus.FAILED,
        error=_with(problems, error_text(answer)),
        exception=_raisable(answer),
        retry_after=delay.total_seconds(),
    )


def _with(problems: Sequence[Exception], text: str) -> str:
    """Put what went wrong at the end after what an answer says, for an answer has no traceback to note it on."""
    return cut("; ".join([text, *map(str, problems)]), MAX_ERROR)


def _raisable(exception: BaseException) -> Exception:
    """Give what a caller may raise: the exception, unless it would end the caller's process or cancel its task."""
    if isinstance(exception, Exception):
        return exception
    wrapped = PinstripeError(error_text(exception))
    wrapped.__cause__ = exception
    return wrapped


def error_text(exception: BaseException) -> str:
    """Write an exception as `TypeName: message`, in at most `MAX_ERROR` characters; Pinstripe's own as its message."""
    if isinstance(exception, SystemExit):
        return cut(f"the job called sys.exit({_code(exception)})", MAX_ERROR)
    name = type(exception).__qualname__
    message = _message(exception)
    if type(exception) is PinstripeError:
        return cut(message, MAX_ERROR)
    return cut(f"{name}: {message}" if message else name, MAX_ERROR)


def traceback_text(exception: BaseException) -> str:
    """Write an exception with its traceback and causes, without Pinstripe's own frames on top, cut in the middle."""
    try:
        told = traceback.TracebackException(type(exception), exception, _without_own_frames(exception), compact=True)
        _shorten_causes(told)
        text = hide_passwords("".join(told.format()))
    except BaseException as problem:  # noqa: BLE001 - an exception may be written so that it can't be shown
        text = f"{error_text(exception)}\n(its traceback can't be written: {type(problem).__qualname__})\n"
    return cut_middle(text, MAX_TRACEBACK)


def cut(text: str, limit: int) -> str:
    """Shorten `text` to `limit` characters, the last one then being an ellipsis."""
    text = _clean(text[: limit + 1])
    return text if len(text) <= limit else text[: limit - 1] + "…"


def cut_middle(text: str, limit: int) -> str:
    """Shorten `text` to `limit` characters by taking out its middle, with a note of how much was taken."""
    if len(text) <= limit:
        return _clean(text)
    note = f"\n… {len(text) - limit:,} characters cut …\n"
    kept = (limit - len(note)) // 2
    return _clean(text[:kept] + note + text[-kept:])


def _clean(text: str) -> str:
    """Replace what a database or a terminal can't take: NUL, and lone surrogates."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode("utf-8")


def _message(exception: BaseException) -> str:
    try:
        return hide_passwords(str(exception))
    except BaseException:  # noqa: BLE001 - a __str__ of the author's, which may raise anything, even SystemExit
        return "(its message can't be written)"


def _code(exception: SystemExit) -> str:
    try:
        return "" if exception.code is None else repr(exception.code)
    except BaseException:  # noqa: BLE001 - a __repr__ of the author's
        return "…"


def _without_own_frames(exception: BaseException) -> TracebackType | None:
    """Skip the frames on top that are Pinstripe's own, which tell an author nothing.

    Where there are no others, none are left of an error that Pinstripe raises for an author to read, and all of any
    other: that one is a bug of ours.
    """
    rest = exception.__traceback__
    while rest is not None and rest.tb_frame.f_code.co_filename.startswith(_PACKAGE):
        rest = rest.tb_next
    return rest if rest is not None or isinstance(exception, PinstripeError) else exception.__traceback__


def _shorten_causes(told: traceback.TracebackException) -> None:
    """Skip the same frames of whatever an exception came from, or holds, where there are others."""
    left = [told]
    while left:
        one = left.pop()
        own = next((n for n, frame in enumerate(one.stack) if not frame.filename.startswith(_PACKAGE)), 0)
        del one.stack[:own]
        left += [other for other in (one.__cause__, one.__context__, *(one.exceptions or ())) if other is not None]
