"""The form of a job: a field for each parameter of its `run`, and what was typed, as the command line reads it.

What a form accepts, refuses and says is what `run-background-job` does: both give text to `arguments.bind_text`.
"""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args, get_origin

from pinstripe.coercion import is_anything
from pinstripe.errors import InvalidArguments
from pinstripe.json_values import show
from pinstripe.redaction import MASK
from pinstripe.views.argument_texts import as_text, choices, default_text, means, without_none

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pinstripe.definition import Definition

Kind = Literal["text", "bool", "int", "float", "choice", "date", "datetime", "time", "json", "list", "object"]
"""What a field takes: a `list` is the further arguments by position (`*args`), an `object` those by name."""


class Option(NamedTuple):
    """One of the values to choose from: the `text` that means it, and its name for people."""

    text: str
    name: str


class Parameter(NamedTuple):
    """A field of a job's form. `annotation` is the author's, empty where there is none, which means text.

    `options` are what there is to choose from in a `choice` or a `bool`. `default` is what it would be typed as, None
    for a required one; leaving an optional field empty takes the default. `help` says in a few words what to type.
    """

    name: str
    kind: Kind
    annotation: str
    required: bool
    default: str | None
    options: tuple[Option, ...]
    is_redacted: bool
    help: str


def parameters_of(definition: Definition) -> list[Parameter]:
    """Give the fields of a job's form, in the order of its parameters."""
    return [
        _parameter(parameter, is_redacted=parameter.name in definition.redact)
        for parameter in definition.signature.parameters.values()
    ]


def redacted_of(definition: Definition) -> frozenset[str]:
    """Give the names of the arguments that nobody is shown."""
    return definition.redact


def read_form(definition: Definition, fields: Mapping[str, str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Give the arguments that were typed into a job's form as text, by position and by name, for `Request(text=True)`.

    `fields` has texts by the names of parameters. Raises `InvalidArguments` for what can't be passed on as arguments;
    whether they fit the parameters is found out by who reads them, as on a command line.
    """
    parameters = definition.signature.parameters
    texts = {name: text for name, text in fields.items() if not _is_left_out(parameters.get(name), text)}
    args, named, rest = list[str](), dict[str, str](), list[str]()
    for name, text in texts.items():
        kind = parameters[name].kind if name in parameters else inspect.Parameter.KEYWORD_ONLY
        if kind is inspect.Parameter.VAR_POSITIONAL:
            rest = [_as_argument(one) for one in _read_json(definition, name, text, list, "list")]
        elif kind is inspect.Parameter.VAR_KEYWORD:
            others = _read_json(definition, name, text, dict, "object")
            twice = next((other for other in others if other in parameters), None)
            if twice is not None:
                raise _refusal(definition, f"{name}: {twice!r} has a field of its own")
            named |= {other: _as_argument(one) for other, one in others.items()}
    positional = [name for name, each in parameters.items() if each.kind in _POSITIONAL]
    last = len(positional) if rest else _last_by_position(parameters, texts)
    for place, name in enumerate(positional[:last]):
        if name not in texts:
            if parameters[name].default is inspect.Parameter.empty:
                last, rest = place, []  # that it is missing is told by who reads the rest
                break
            because = "further ones by position are" if rest else "one behind it, which has no name, is"
            raise _refusal(definition, f"{name}: missing; it must be given where {because}")
        args.append(texts[name])
    passed = {*positional[:last], *(name for name, each in parameters.items() if each.kind in _VARIABLE)}
    return (*args, *rest), {name: text for name, text in texts.items() if name not in passed} | named


def write_form(
    definition: Definition, args: Sequence[Any], kwargs: Mapping[str, Any], redacted: Collection[int | str] = ()
) -> dict[str, str]:
    """Give the texts to begin a form with, that mean the arguments of a run, which are JSON as the ledger keeps them.

    What is redacted, by the job now or by the run (`redacted` are its positions and names), what no text means, and
    what the job has no parameter for is left out.
    """
    parameters = definition.signature.parameters
    positional = [name for name, each in parameters.items() if each.kind in _POSITIONAL]
    rest = next((name for name, each in parameters.items() if each.kind is inspect.Parameter.VAR_POSITIONAL), "")
    named = [one if isinstance(one, str) else positional[one] if one < len(positional) else rest for one in redacted]
    hidden = {*definition.redact, *named}
    given = dict(zip(positional, args, strict=False)) | {
        name: value for name, value in kwargs.items() if name in parameters
    }
    for name, each in parameters.items():
        if each.kind is inspect.Parameter.VAR_POSITIONAL and len(args) > len(positional):
            given[name] = list(args[len(positional) :])
        elif each.kind is inspect.Parameter.VAR_KEYWORD:
            others = {other: value for other, value in kwargs.items() if other not in {*parameters, *hidden}}
            given |= {name: others} if others else {}
    fields = {}
    for name, value in given.items():
        text = None if name in hidden else _field_text(parameters[name], value)
        if text is not None:
            fields[name] = text
    return fields


_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _parameter(parameter: inspect.Parameter, *, is_redacted: bool) -> Parameter:
    required = parameter.default is inspect.Parameter.empty and parameter.kind not in _VARIABLE
    options: list[tuple[str, str]] | None = None
    kind = _kind_of_variable(parameter)
    if kind is None:
        options = choices(parameter.annotation, empty=required)
        kind = "choice" if options is not None else _kind(parameter.annotation)
        if kind == "bool":
            is_optional = without_none(parameter.annotation)[1]
            options = [("true", "yes"), ("false", "no"), *([("none", "none")] if is_optional else [])]
    default = None
    if not required and parameter.kind not in _VARIABLE:
        default = default_text(parameter.annotation, parameter.default)
        if is_redacted and parameter.default not in (None, ""):
            default = MASK
    return Parameter(
        name=parameter.name,
        kind=kind,
        annotation="" if parameter.annotation is parameter.empty else inspect.formatannotation(parameter.annotation),
        required=required,
        default=default,
        options=tuple(Option(*option) for option in options or ()),
        is_redacted=is_redacted,
        help=_HELP.get(kind, ""),
    )


def _kind_of_variable(parameter: inspect.Parameter) -> Kind | None:
    if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
        return "list"
    return "object" if parameter.kind is inspect.Parameter.VAR_KEYWORD else None


def _kind(annotation: object) -> Kind:
    """Tell what is typed for an annotation."""
    from datetime import date, datetime, time, timedelta
    from decimal import Decimal
    from pathlib import PurePath
    from types import UnionType
    from typing import Union
    from uuid import UUID

    inner, _ = without_none(annotation)
    plain: dict[object, Kind] = {
        bool: "bool",
        int: "int",
        float: "float",
        datetime: "datetime",
        date: "date",
        time: "time",
    }
    if is_anything(inner) or inner is str:
        return "text"
    if get_origin(inner) in {Union, UnionType}:
        kinds = {_kind(arm) for arm in get_args(inner)}
        return "json" if "json" in kinds else "text"
    if isinstance(inner, type) and inner in plain:
        return plain[inner]
    if isinstance(inner, type) and issubclass(inner, str | bytes | int | float | timedelta | Decimal | PurePath | UUID):
        return "text"
    return "text" if get_origin(inner) is Literal else "json"


_HELP: Mapping[Kind, str] = {
    "int": "a whole number",
    "float": "a number",
    "date": "a day, such as 2026-11-21",
    "datetime": "a time, such as 2026-11-21T20:00:00Z",
    "time": "a time of day, such as 20:00",
    "json": "JSON",
    "list": "further arguments by position: a JSON list",
    "object": "further arguments by name: a JSON object",
}


def _is_left_out(parameter: inspect.Parameter | None, text: str) -> bool:
    """Tell whether a field is as if it weren't there: it is empty, and needn't be filled in."""
    if parameter is None or text.strip(" \t\r\n"):
        return False
    if parameter.kind in _VARIABLE:
        return True
    return parameter.default is not parameter.empty and (not text or _kind(parameter.annotation) != "text")


def _last_by_position(parameters: Mapping[str, inspect.Parameter], texts: Mapping[str, str]) -> int:
    """Tell how many arguments are given by position: up to the last that was filled in and has no name for callers."""
    only = [name for name, each in parameters.items() if each.kind is inspect.Parameter.POSITIONAL_ONLY]
    return max((place + 1 for place, name in enumerate(only) if name in texts), default=0)


def _read_json(definition: Definition, name: str, text: str, kind: type, called: str) -> Any:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, kind):
        typed = MASK if definition.redact else show(text)
        raise _refusal(definition, f"{name}: expected a JSON {called}, found {typed}")
    return found


def _as_argument(value: Any) -> str:
    """Write a value of a JSON list or object as it would be typed alone."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _refusal(definition: Definition, problem: str) -> InvalidArguments:
    return InvalidArguments(f"an argument doesn't fit {definition.usage}: {problem}")


def _field_text(parameter: inspect.Parameter, value: Any) -> str | None:
    """Give the text of one field that means a JSON value; None where none does."""
    if parameter.kind not in _VARIABLE:
        text = as_text(parameter.annotation, value)
        return None if text is not None and _is_left_out(parameter, text) else text
    each = value if isinstance(value, list) else value.values()
    if not all(means(parameter.annotation, _as_argument(one), one) for one in each):
        return None
    return json.dumps(value, ensure_ascii=False)
