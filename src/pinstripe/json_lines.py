"""Log records as JSON: one object a line, whatever is in them, with what is known of the execution they come from."""

from __future__ import annotations

import json
import logging
import math
import os
import time
from typing import TYPE_CHECKING, Any

from pinstripe.clock import to_datetime, to_iso
from pinstripe.executing import CURRENT
from pinstripe.names import full_name
from pinstripe.outcome import cut_middle, traceback_text
from pinstripe.setting_keys import hide_passwords
from pinstripe.tracing import current_ids

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pinstripe.redaction import Mask

MAX_MESSAGE = 16 * 1024
"""How many characters of a message are kept: the first and the last half of them."""

MAX_STACK = 32 * 1024
"""How many characters of an exception's traceback are kept, likewise."""

MAX_EXTRA = 50
"""How many values of a record's `extra` are kept, each of at most `MAX_VALUE` characters."""

MAX_VALUE = 2_000

FACTS = ("job", "run", "tenant", "attempt", "trace_id", "span_id")
"""What may be known of where a line comes from, in the order in which it is told."""

_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "pinstripe", "color_message"}


def json_line(
    level: str,
    logger: str,
    message: str,
    *,
    at: float | None = None,
    facts: Mapping[str, object] | None = None,
    more: Mapping[str, object] | None = None,
) -> str:
    """Write a line, without its end. `at` is in seconds since 1970, now where it isn't given.

    `facts` are of where it comes from, by the names of `FACTS`; without them they are those of the running code. `more`
    goes behind them. Passwords in URLs are hidden in the message.
    """
    known = facts_here() if facts is None else facts
    line: dict[str, Any] = {
        "time": to_iso(to_datetime(round((time.time() if at is None else at) * 1_000_000))),
        "level": level,
        "logger": logger,
        "message": clean(message, MAX_MESSAGE),
    }
    line |= {name: known[name] for name in FACTS if known.get(name) is not None}
    line |= more or {}
    return json.dumps(line | {"host": _HOST, "pid": os.getpid()})


def facts_here() -> dict[str, object]:
    """Give what is known of the running code: its execution, and the span that it is in."""
    executing = CURRENT.get()
    facts: dict[str, object] = {} if executing is None else executing.facts()
    ids = current_ids()
    if ids is not None:
        facts["trace_id"], facts["span_id"] = ids
    return facts


def mask_line(line: str, mask: Mask) -> str:
    """Hide in a line what nobody is shown: in its texts, and not in what they are called."""
    return json.dumps(_masked(json.loads(line), mask.hide))


class JSONFormatter(logging.Formatter):
    """Writes records as JSON. What a record has as `extra={"pinstripe": …}` tells where it comes from."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record; one whose arguments don't fit is told as it is."""
        try:
            message = record.getMessage()
        except Exception as error:  # noqa: BLE001 - also an author's own __str__
            message = f"{_text(record.msg)} (its arguments don't fit: {type(error).__name__})"
        facts = facts_here() | (getattr(record, "pinstripe", None) or {})
        more: dict[str, object] = {}
        exception = facts.pop("exception", None) or _exception(record)
        if exception is not None:
            more["exception"] = exception
        extra = {name: value for name, value in vars(record).items() if name not in _USUAL}
        if extra:
            more["extra"] = {name: _simple(extra[name]) for name in list(extra)[:MAX_EXTRA]}
        line = json_line(record.levelname, record.name, message, at=record.created, facts=facts, more=more)
        executing = CURRENT.get()
        mask = None if executing is None else executing.mask
        return line if mask is None else mask_line(line, mask)


def _exception(record: logging.LogRecord) -> dict[str, str] | None:
    info: Any = record.exc_info
    written = clean(record.exc_text, MAX_STACK) if record.exc_text else None  # by somebody, with care for what is in it
    if not isinstance(info, tuple) or not isinstance(info[1], BaseException):
        return None if written is None else {"stack": written}
    exception = info[1]
    return {
        "type": full_name(type(exception)),
        "message": clean(_text(exception), MAX_VALUE),
        "stack": written or clean(traceback_text(exception), MAX_STACK),
    }


def clean(text: str, limit: int) -> str:
    """Give a text without passwords, NULs and lone surrogates, and with its middle cut out where it is too long."""
    return hide_passwords(cut_middle(text, limit))


def _masked(value: Any, hide: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return hide(value)
    return {name: _masked(each, hide) for name, each in value.items()} if isinstance(value, dict) else value


def _simple(value: object) -> object:
    """Give a value as it can stand in JSON: what is no number, truth or None is told as text, and cut."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) < _LARGEST:
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    return clean(str(value) if type(value) is str else _text(value), MAX_VALUE)


def _text(value: object) -> str:
    try:
        return str(value)
    except BaseException:  # noqa: BLE001 - a __str__ of the author's, which may raise anything
        return f"({type(value).__name__} can't be written)"


_LARGEST = 1 << 63
_HOST = os.uname().nodename if hasattr(os, "uname") else ""
