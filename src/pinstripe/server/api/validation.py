"""What FastAPI finds wrong with a request, in words of our own; what was given for a job's arguments isn't repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pinstripe.json_values import show
from pinstripe.names import nearest

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

EXPECTED: Mapping[str, str] = {
    "job": "a job's name",
    "args": "a list of a job's arguments",
    "kwargs": "an object of a job's arguments by their names",
    "tenants": "a list of tenants' ids, or null",
    "exclude": "a list of tenants' ids",
    "where": "an object of attributes, each with a text, a number, true, false, null, or a list of those",
    "at": "a time such as 2026-11-21T20:00:00Z, as a text",
    "delay": "a duration such as 5m, as a text",
    "priority": "interactive, default or bulk",
    "skipped": "true or false",
    "tenant": "a tenant's id",
    "everything": "true or false",
    "limit": "a whole number from 1 to 200",
    "since": "a duration such as 2d",
    "cursor": "what a page gave as its `next`",
    "search": "a part of tenants' ids",
    "name": "a name",
    "run": "a run's id, the unique end of one, or `last`",
}
"""What the fields of requests are to be, by their names."""

_SECRET = frozenset({"args", "kwargs"})
_MOST = 20


class FieldProblem(dict[str, str]):
    """What is wrong with a `field` of a request, in a `message`."""

    def __init__(self, field: str, message: str) -> None:
        """Take both."""
        super().__init__(field=field, message=message)


def problems_of(errors: Sequence[Mapping[str, Any]], known: Collection[str]) -> list[FieldProblem]:
    """Tell of each field what is wrong with it, once, at most of 20; `known` are the keys that the body may have."""
    found: dict[str, FieldProblem] = {}
    for error in errors:
        field, message = _problem(error, known)
        found.setdefault(field, FieldProblem(field, message))
        if len(found) == _MOST:
            break
    return [*found.values()]


def unknown_name(what: str, name: str, known: Collection[str]) -> FieldProblem:
    """Say that there is no such key or parameter, and which one may have been meant."""
    near = nearest(name, known)
    if near:
        return FieldProblem(show(name).strip("'"), f"there is no {what} {show(name)}; did you mean {near[0]!r}?")
    hint = f"expected {', '.join(known)}" if known else "expected none"
    return FieldProblem(show(name).strip("'"), f"there is no {what} {show(name)}; {hint}")


def in_words(problems: Sequence[FieldProblem]) -> str:
    """Write what is wrong with a request in one paragraph."""
    return "; ".join(f"{problem['field']}: {problem['message']}" for problem in problems)


def _problem(error: Mapping[str, Any], known: Collection[str]) -> tuple[str, str]:
    source, *path = error["loc"]
    if not path:
        keys = ", ".join(known)
        return str(source), f"expected an object with keys of {keys}, got {_kind(error.get('input'))}"
    name = str(path[0])
    if error["type"] == "extra_forbidden":
        told = unknown_name("key", name, known)
        return told["field"], told["message"]
    expected = _expected(name, error)
    if error["type"] == "missing":
        return name, f"expected {expected}, and it is missing"
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{show(part)}" for part in path[1:2])
    given = error.get("input")
    secret = name in _SECRET or not isinstance(given, str | int | float)
    return name + place, f"expected {expected}, got {_kind(given) if secret else show(given)}{_near(given, error)}"


def _expected(name: str, error: Mapping[str, Any]) -> str:
    options = _options(error)
    return " or ".join(options) if options else EXPECTED.get(name, "another value")


def _near(given: object, error: Mapping[str, Any]) -> str:
    near = nearest(given, _options(error)) if isinstance(given, str) else []
    return f"; did you mean {near[0]!r}?" if near else ""


def _options(error: Mapping[str, Any]) -> list[str]:
    """Give what an enumeration has, which pydantic tells as `'queued', 'running' or 'failed'`."""
    if error["type"] != "enum":
        return []
    told = str(error["ctx"]["expected"])
    return [part.strip("' ") for part in told.replace(" or ", ", ").split(", ")]


def _kind(value: object) -> str:
    """Tell of which kind of JSON a value is."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return "a number"
        case str():
            return "a text" if value else "an empty text"
        case list():
            return "a list"
        case _:
            return "an object"
