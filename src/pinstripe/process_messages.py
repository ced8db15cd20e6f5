"""What a process and its children tell one another: messages, and in the last one an attempt's outcome."""

from __future__ import annotations

import pickle
from typing import Any

from pinstripe.errors import PinstripeError
from pinstripe.outcome import Outcome
from pinstripe.run import ExecutionStatus

HEADER = 5
"""Bytes before each message: its kind, and its length as a big-endian integer of four."""

GO = b"g"
"""What the parent says before it ends a child; it says nothing else."""


def write_answer(outcome: Outcome) -> bytes:
    """Write an outcome for the parent; a value or an exception that can't be pickled is left out."""
    return pickle.dumps(
        (
            str(outcome.status),
            outcome.error,
            outcome.traceback,
            outcome.result,
            None if outcome.result is None else _try_pickle(outcome.value),  # what is too big to keep isn't sent
            _try_pickle(outcome.exception),
            outcome.retry_after,
            outcome.unstarted,
        )
    )


def message(kind: bytes, body: bytes) -> bytes:
    """Write a message.

    Its kind is `h` who it is, `s` started, `o` output, `k` output that is to be kept and not shown, `j` a line of JSON
    to be shown, `p` progress, `r` the result, or `e` its end after that.
    """
    return kind + len(body).to_bytes(HEADER - 1) + body


def read_header(data: bytes) -> tuple[bytes, int]:
    """Read a message's kind, and the length of what follows."""
    return data[:1], int.from_bytes(data[1:])


def read_answer(body: bytes) -> Outcome:
    """Read an outcome; where its exception can't be had, one that says the same stands for it."""
    status, error, traceback, result, value, exception, again, unstarted = pickle.loads(body)  # noqa: S301 - from our own child
    outcome = Outcome(ExecutionStatus(status), error, traceback, result, _try_unpickle(value), retry_after=again)
    outcome.unstarted = unstarted
    if outcome.status is ExecutionStatus.FAILED:
        found = _try_unpickle(exception)
        outcome.exception = found if isinstance(found, Exception) else PinstripeError(error or "")
    return outcome


def _try_pickle(part: object) -> bytes | None:
    try:
        return pickle.dumps(part)
    except Exception:  # noqa: BLE001 - an author's own __reduce__ may raise anything
        return None


def _try_unpickle(data: bytes | None) -> Any:
    try:
        return None if data is None else pickle.loads(data)  # noqa: S301 - as above
    except Exception:  # noqa: BLE001 - an exception whose __init__ takes other arguments, for one
        return None
