"""Arguments as text: which text, typed into a form or on a command line, means a value by its annotation.

Every answer is tried: it is given only where reading the text gives the value back.
"""

from __future__ import annotations

import json
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

from pinstripe.coercion import from_code, from_json, from_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MOST = 200
"""How many values there may be to choose one of; of more, one is typed."""


def as_text(annotation: object, value: Any) -> str | None:
    """Give a text that means `value`, which is JSON as the ledger keeps it; None where no text does."""
    return next((text for text in _texts(value) if means(annotation, text, value)), None)


def means(annotation: object, text: str, value: Any) -> bool:
    """Tell whether `text` is read, by its annotation, as `value`, which is JSON."""
    try:
        read = from_text(annotation, text)
        return _same(read, value) or _equal(from_json(annotation, read), from_json(annotation, value))
    except ValueError:
        return False


def default_text(annotation: object, value: object) -> str:
    """Write a parameter's default as it would be typed; what can't be typed, as its author has written it."""
    try:
        found = from_code(annotation, value)
    except ValueError:
        from pinstripe.json_values import show

        return show(value)
    text = as_text(annotation, found)
    return json.dumps(found, ensure_ascii=False) if text is None else text


def choices(annotation: object, *, empty: bool = True) -> list[tuple[str, str]] | None:
    """Give what there is to choose from, each a text and its name for people; None where it isn't a choice.

    A choice is a `Literal` or an `Enum`, also where None is possible, and all of its values have texts. Without `empty`
    no text is blank, as in a form that leaves out what is.
    """
    inner, is_optional = without_none(annotation)
    values: Sequence[object]
    if get_origin(inner) is Literal:
        values = list(dict.fromkeys(_literals(inner)))
    elif isinstance(inner, type) and issubclass(inner, Enum):
        values = list(inner)
    else:
        return None
    if len(values) > MOST:
        return None
    found = []
    for value in [*values, None] if is_optional and None not in values else values:
        text = _text_of_choice(annotation, value, empty=empty)
        if text is None:
            return None
        found.append((text, _name(value)))
    return found


def without_none(annotation: object) -> tuple[object, bool]:
    """Give what an annotation says beside None and what is only noted (`Annotated`), and whether None is possible."""
    from types import NoneType, UnionType
    from typing import Union

    if get_origin(annotation) is Annotated:
        return without_none(get_args(annotation)[0])
    if get_origin(annotation) not in {Union, UnionType}:
        return annotation, annotation in {None, NoneType}
    arms = [arm for arm in get_args(annotation) if arm is not NoneType]
    is_optional = len(arms) < len(get_args(annotation))
    if len(arms) != 1:
        return annotation, is_optional
    inner, is_inner_optional = without_none(arms[0])
    return inner, is_optional or is_inner_optional


def _literals(annotation: object) -> Iterator[object]:
    for value in get_args(annotation):
        if get_origin(value) is Literal:
            yield from _literals(value)
        else:
            yield value


def _text_of_choice(annotation: object, value: object, *, empty: bool) -> str | None:
    try:
        written = from_code(annotation, value)
    except ValueError:
        return None
    names = [value.name] if isinstance(value, Enum) else []
    texts = (text for text in [*_texts(written), *names] if empty or text.strip())
    return next((text for text in texts if means(annotation, text, written)), None)


def _name(value: object) -> str:
    if isinstance(value, Enum):
        return value.name
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _texts(value: Any) -> Iterator[str]:
    """Give texts that may mean a JSON value, the plainest first."""
    if isinstance(value, str):
        yield value
    if value is None:
        yield "none"
    yield json.dumps(value, ensure_ascii=False)


def _same(one: Any, other: Any) -> bool:
    """Compare JSON values strictly: 1 is neither 1.0 nor true."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _equal(one: object, other: object) -> bool:
    """Compare what JSON is restored to: a set has no order, though its JSON has one."""
    return type(one) is type(other) and not isinstance(one, str | int | float) and one == other
