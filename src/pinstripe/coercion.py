"""One argument, by its annotation: from code or from text to JSON, and from JSON back to the same value.

What JSON itself has (`str`, `int`, `float`, `bool`, and no annotation at all) is read without pydantic, which takes
50 ms to import; everything else is pydantic's.
"""

from __future__ import annotations

import inspect
import json
import math
import re
from datetime import date
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

from pinstripe.json_values import copy_of, show, why_not_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import TypeAdapter, ValidationError


def from_code(annotation: object, value: object) -> Any:
    """Give the JSON of `value`, which must be what `annotation` says, or already the JSON of such a value.

    Raises `ValueError` that tells what was expected and what was found.
    """
    if is_anything(annotation):
        return _json(value, annotation)
    if _is_plain(annotation):
        return _json(_plain_value(annotation, value), annotation)
    adapter = _adapter(_Identity(annotation))
    try:
        read = adapter.validate_python(value, strict=True)
    except _pydantic_error() as error:
        if why_not_json(value) is not None:
            raise ValueError(_unexpected(annotation, value, error)) from error
        try:
            read = adapter.validate_json(json.dumps(value), strict=True, by_alias=True, by_name=True)
        except _pydantic_error() as second:
            raise ValueError(_unexpected(annotation, value, second)) from second
    return _written(annotation, adapter, read)


def from_text(annotation: object, text: str) -> Any:
    """Give the JSON of the value that `text`, from a command line, means by `annotation`: lists and models are JSON.

    Raises `ValueError` that tells what was expected and what was found.
    """
    if is_anything(annotation) or annotation is str:
        return _json(text, annotation)
    if _is_plain(annotation):
        return _json(_PLAIN[annotation](text), annotation)
    _json(text, annotation)
    adapter = _adapter(_Identity(annotation))
    try:
        read = adapter.validate_strings(text, by_alias=True, by_name=True)
    except _pydantic_error() as error:
        if inspect.isclass(annotation) and issubclass(annotation, Enum) and text in annotation.__members__:
            return _written(annotation, adapter, annotation[text])
        document = "null" if text.lower() == "none" else text
        try:
            read = adapter.validate_json(document, by_alias=True, by_name=True)
        except _pydantic_error() as second:
            # The first word on a scalar is that of its own reader; on what must be JSON, that of the JSON reader.
            told = second if error.errors()[0]["type"].endswith("_type") else error
            raise ValueError(_unexpected(annotation, text, told)) from told
    if isinstance(read, date) and _NUMBER.fullmatch(text):
        message = f"expected {describe(annotation)} such as '2026-11-21', found {show(text)}"
        raise ValueError(message)
    return _written(annotation, adapter, read)


def from_json(annotation: object, value: object) -> Any:
    """Give the value that `value`, JSON from the ledger, was written for; lists and objects are new ones each time.

    Raises `ValueError` where `annotation` is another one than it was written by, and doesn't fit.
    """
    if is_anything(annotation):
        return copy_of(value)
    if _is_plain(annotation):
        return _plain_value(annotation, value)
    adapter = _adapter(_Identity(annotation))
    try:
        return adapter.validate_json(json.dumps(value), strict=True, by_alias=True, by_name=True)
    except _pydantic_error() as error:
        raise ValueError(_unexpected(annotation, value, error)) from error


def is_anything(annotation: object) -> bool:
    """Tell whether an annotation, or none, lets any JSON value be."""
    return annotation is inspect.Parameter.empty or annotation is Any or annotation is object


def describe(annotation: object) -> str:
    """Write an annotation as an author would."""
    if is_anything(annotation):
        return "JSON"
    if get_origin(annotation) is Annotated:
        return inspect.formatannotation(get_args(annotation)[0])  # what is wrong with the value says the rest
    return inspect.formatannotation(annotation)


def _is_plain(annotation: object) -> bool:
    return isinstance(annotation, type) and annotation in _PLAIN


def _plain_value(annotation: object, value: object) -> object:
    if type(value) is annotation:
        return value
    if annotation is float and type(value) is int and abs(value) <= _EXACT:
        return float(value)
    message = f"expected {describe(annotation)}, found {_found(value)}"
    raise ValueError(message)


def _read_int(text: str) -> int:
    if re.fullmatch(r"[+-]?[0-9]{1,4000}", text.strip()):
        return int(text)
    message = f"expected int, found {show(text)}"
    raise ValueError(message)


def _read_float(text: str) -> float:
    value = float(text) if _NUMBER.fullmatch(text.strip()) else math.nan
    if not math.isfinite(value):
        message = f"expected float, found {show(text)}"
        raise ValueError(message)
    return value


def _read_bool(text: str) -> bool:
    word = text.strip().lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    message = f"expected bool (true or false, yes or no, on or off, 1 or 0), found {show(text)}"
    raise ValueError(message)


_EXACT = 2**53
"""The largest integer up to which a float has them all (IEEE 754, binary64)."""
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_TRUE = frozenset({"true", "t", "yes", "y", "on", "1"})
_FALSE = frozenset({"false", "f", "no", "n", "off", "0"})
_PLAIN: dict[object, Callable[[str], object]] = {str: str, int: _read_int, float: _read_float, bool: _read_bool}


def _json(value: object, annotation: object) -> Any:
    reason = why_not_json(value)
    if reason is not None:
        hint = "; annotate the parameter with its type, if pydantic can write that as JSON" * ("not JSON but" in reason)
        message = f"expected {describe(annotation)}, found {reason}{hint}"
        raise ValueError(message)
    return value


def _written(annotation: object, adapter: TypeAdapter[Any], value: object) -> Any:
    """Write `value` as JSON, and make sure that reading gives it back: a secret, for one, is written as asterisks."""
    from pydantic import PydanticUserError
    from pydantic_core import PydanticSerializationError

    expected = f"expected {describe(annotation)} that survives as JSON, found"
    try:
        written = json.loads(adapter.dump_json(value, warnings="error"))
        reason = why_not_json(written)
        if reason is None and not _equal(adapter, from_json(annotation, written), value):
            reason = (
                "a value that reading its JSON doesn't give back, as a secret or what a validator changes each time"
            )
    except (PydanticSerializationError, PydanticUserError) as error:
        message = f"{expected} {show(value)}, which can't be written as JSON ({_line(str(error))})"
        raise ValueError(message) from error
    except ValueError as error:
        message = f"{expected} {show(value)}, whose JSON can't be read back"
        raise ValueError(message) from error
    if reason is not None:
        message = f"{expected} {reason}"
        raise ValueError(message)
    return written


def _equal(adapter: TypeAdapter[Any], one: object, other: object) -> bool:
    """Compare by value; objects of a class that has no `==` of its own are compared by what is in them."""
    if one == other:
        return True
    return type(one) is type(other) and bool(adapter.dump_python(one) == adapter.dump_python(other))


class _Identity:
    """An annotation as a key, by identity: `int | str` and `str | int` are equal, yet read text differently."""

    __slots__ = ("annotation",)

    def __init__(self, annotation: Any) -> None:
        self.annotation = annotation

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and other.annotation is self.annotation

    def __hash__(self) -> int:
        return id(self.annotation)


@lru_cache(maxsize=1024)
def _adapter(key: _Identity) -> TypeAdapter[Any]:
    from pydantic import PydanticUserError, TypeAdapter

    try:
        return TypeAdapter(key.annotation)
    except (PydanticUserError, TypeError, NameError) as error:
        message = (
            f"its annotation {describe(key.annotation)} is nothing that pydantic can write as JSON and read back "
            f"({_line(str(error))}); take its id instead"
        )
        raise ValueError(message) from error


def _pydantic_error() -> type[ValidationError]:
    from pydantic import ValidationError

    return ValidationError


def _unexpected(annotation: object, value: object, error: ValidationError) -> str:
    """Write pydantic's account in one line: what was expected, what was found, and the first thing that is wrong."""
    first = error.errors(include_url=False, include_context=False)[0]
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(".")
    why = _line(first["msg"])
    return f"expected {describe(annotation)}, found {_found(value)} ({place + ': ' if place else ''}{why})"


def _found(value: object) -> str:
    kind = type(value).__name__
    shown = show(value)
    return shown if value is None or isinstance(value, str) or kind in shown else f"{shown} ({kind})"


def _line(text: str) -> str:
    line = " ".join(text.partition("For further information visit")[0].split())
    return line if len(line) <= _LINE else line[: _LINE - 1] + "…"


_LINE = 160
