"""JSON, strictly: what can be written so that every ledger keeps it and gives exactly it back."""

from __future__ import annotations

import json
import logging
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_BYTES = 64 * 1024
"""How long the JSON of a run's arguments, or of a result, may be, in bytes of UTF-8."""

MAX_DEPTH = 100
"""How deep lists and objects may be nested: far from Python's recursion limit, and from what a value needs."""

MAX_BITS = 13_000
"""How long an integer may be: 3,914 digits. Python refuses to read more than 4,300 (`sys.set_int_max_str_digits`)."""


def why_not_json(value: object, place: str = "", depth: int = 0) -> str | None:
    """Tell what in `value` isn't strictly JSON, and where (`[2].name`), or None where all of it is.

    Strictly means that reading gives back what was written: no tuples, no subclasses, no keys but text, no NaN; and
    that PostgreSQL keeps it too: no NUL characters and no lone surrogates in text.
    """
    if type(value) is list:
        parts: Iterable[tuple[str, object]] = ((f"{place}[{index}]", item) for index, item in enumerate(value))
    elif type(value) is dict:
        for key in value:
            reason = _why_not_text(key) if type(key) is str else f"the key {show(key)}, which is not text"
            if reason:
                return _at(place, reason)
        parts = ((f"{place}.{key}" if place else key, item) for key, item in value.items())
    else:
        reason = _why_not_scalar(value)
        return reason and _at(place, reason)
    if depth >= MAX_DEPTH:
        return f"something nested deeper than {MAX_DEPTH} levels, or in itself"
    return next((reason for where, item in parts if (reason := why_not_json(item, where, depth + 1))), None)


def copy_of(value: Any) -> Any:
    """Copy a JSON value, so that what one attempt does to a list or an object no other sees."""
    if type(value) is list:
        return [copy_of(item) for item in value]
    if type(value) is dict:
        return {key: copy_of(item) for key, item in value.items()}
    return value


def size(value: object) -> int:
    """Tell how many bytes the JSON of a JSON value has."""
    return len(_dump(value).encode())


def write_result(value: object, logger: logging.Logger | None = None) -> str | None:
    """Write what `run` returned as JSON text of at most 64 KiB; None where there is nothing to keep.

    What pydantic can't write, or is too long, is dropped with a warning to `logger` (that of `pinstripe`, where None is
    given), since a result must never fail the run that made it.
    """
    if value is None:
        return None
    logger = logger or logging.getLogger("pinstripe")
    try:
        text = _result_text(value)
        length = len(text.encode())
    except Exception as error:  # noqa: BLE001 - an author's own serializer may raise anything
        first = str(error).partition("\n")[0][:200]
        logger.warning("the result was dropped: %s can't be written as JSON (%s)", article(type(value).__name__), first)
        return None
    if length > MAX_BYTES:
        logger.warning("the result was dropped: it has %s bytes of JSON, and at most %s are kept", length, MAX_BYTES)
        return None
    return text


def show(value: object) -> str:
    """Show a value in a message, in one line of at most 80 characters."""
    if isinstance(value, str | bytes | list | tuple | dict | set | frozenset) and len(value) > _SHOWN:
        # What is long is not written out whole only to be cut.
        return f"{article(type(value).__name__)} of {len(value):,} {_UNITS.get(type(value), 'items')}"
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - an author's own `__repr__` may do anything, and integers may be too long
        return article(type(value).__name__)
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def article(noun: str) -> str:
    """Put "a" or "an" before a type's name."""
    return f"an {noun}" if noun[:1].lower() in "aeiou" else f"a {noun}"


_SHOWN = 80
_UNITS = {str: "characters", bytes: "bytes"}


def _why_not_scalar(value: object) -> str | None:
    if value is None or type(value) is bool:
        return None
    if type(value) is str:
        return _why_not_text(value)
    if type(value) is int:
        return "an integer of too many digits" if value.bit_length() > MAX_BITS else None
    if type(value) is float:
        return None if math.isfinite(value) else f"{value}, which JSON doesn't have"
    return f"{show(value)}, which is not JSON but {article(type(value).__name__)}"


def _why_not_text(text: str) -> str | None:
    if "\0" in text:
        return "a text with a NUL character, which PostgreSQL can't keep"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "a text that is not valid Unicode (it has a lone surrogate, as from bytes that aren't UTF-8)"
    return None


def _at(place: str, reason: str) -> str:
    return f"{reason} (at {place})" if place else reason


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _result_text(value: object) -> str:
    try:
        text = _dump(value)
    except TypeError:
        from pydantic_core import to_json

        # "constants" writes NaN as Python's own reader knows it, which is told to refuse it.
        text = to_json(value, inf_nan_mode="constants").decode()
        json.loads(text, parse_constant=_refuse_constant)
    if "\\u0000" in text:
        reason = why_not_json(json.loads(text))
        if reason:
            raise ValueError(reason)
    return text


def _refuse_constant(constant: str) -> None:
    message = f"{constant} is not JSON"
    raise ValueError(message)
