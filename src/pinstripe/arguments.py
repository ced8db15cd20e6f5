"""The arguments of a run: checked against the signature of `run`, kept as JSON, and given back as they were.

`bind` takes what code gave, `bind_text` what was typed; both give JSON for the ledger, from which `restore` makes what
`run` is called with. Defaults are not stored: they are the job's, at the time when it runs.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pinstripe.coercion import describe, from_code, from_json, from_text, is_anything
from pinstripe.errors import InvalidArguments
from pinstripe.json_values import MAX_BYTES, article, show, size, why_not_json, write_result
from pinstripe.names import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pinstripe.definition import Arguments, Definition

__all__ = ["MAX_BYTES", "bind", "bind_call", "bind_text", "restore", "write_result"]


def bind(definition: Definition, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Arguments:
    """Check arguments given by code and give them as JSON: strict JSON, or what pydantic writes as such and reads back.

    Raises `InvalidArguments`, with the signature and every argument that is wrong, missing or surplus.
    """
    annotations = _annotations(definition, args, kwargs)
    if annotations is not None and all(map(_is_small, annotations, (*args, *kwargs.values()))):
        return tuple(args), dict(kwargs)
    return _convert(definition, args, kwargs, from_code)


def bind_call(definition: Definition, number: int, call: object) -> Arguments:
    """Bind call `number` of many, from 1: a tuple of arguments by position, or a mapping of named ones, as `bind` does.

    Raises `InvalidArguments`, with the number, for anything else, and for what `bind` doesn't take.
    """
    if isinstance(call, tuple):
        args, kwargs = call, _NONE
    elif isinstance(call, Mapping) and all(isinstance(name, str) for name in call):
        args, kwargs = (), call
    else:
        got = article(type(call).__name__) if definition.redact else show(call)
        message = (
            f"call {number}: expected a tuple of arguments by position, such as (1,), or a mapping of named ones, "
            f"got {got}"
        )
        raise InvalidArguments(message)
    try:
        return bind(definition, args, kwargs)
    except InvalidArguments as error:
        message = f"call {number}: {error}"
        raise InvalidArguments(message) from error


def bind_text(definition: Definition, args: Sequence[str], params: Mapping[str, str]) -> Arguments:
    """Read arguments typed on a command line by their annotations (none: `str`; lists and models: JSON), as JSON.

    Raises `InvalidArguments`, with the signature and every argument that is wrong, missing or surplus.
    """
    return _convert(definition, args, params, from_text)


def restore(definition: Definition, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Arguments:
    """Give what `run` is to be called with for the JSON that `bind` gave; new lists and objects at each call.

    Raises `InvalidArguments` where `run` has changed since, so that they no longer fit.
    """
    return _convert(definition, args, kwargs, from_json, limited=False)


_FEW = 10
_NAMES = 1_000
_TEXT = 500
_INTEGER = 2**63
"""So few arguments, with names and texts so short, are no `MAX_BYTES` long: JSON writes a character as six at most."""

_SHAPES = 100
"""How many shapes of calls are remembered of a job: more than its callers have, unless they make names up."""

_NONE: Mapping[str, Any] = {}


def _annotations(definition: Definition, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Sequence[object] | None:
    """Give the annotations of arguments, in their order, where these are few and fit; None for any others.

    They are the same for all calls of one shape: as many arguments by position, and the same names. What has none is
    looked at each time, in vain.
    """
    shape = (len(args), *kwargs)
    known = definition.shapes.get(shape)
    if known is None:
        known = _few(definition, args, kwargs)
        if known is not None and len(definition.shapes) < _SHAPES:
            definition.shapes[shape] = known
    return known


def _few(definition: Definition, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Sequence[object] | None:
    parameters = definition.signature.parameters
    matched = _match(definition, args, kwargs)
    found = [*matched.args, *matched.kwargs.values()]
    if matched.problems or len(found) > _FEW or sum(map(len, kwargs)) > _NAMES or not parameters.keys() >= {*kwargs}:
        return None
    return tuple(each.annotation for each in found if each is not None)


def _is_small(annotation: object, value: Any) -> bool:
    """Tell whether `value` is a short one of JSON's own, as its parameter says: what `bind` would give untouched."""
    kind: type = type(value)
    if kind is not annotation and not is_anything(annotation):
        return False
    if kind is int:
        return bool(-_INTEGER <= value < _INTEGER)
    if kind is str:
        return len(value) <= _TEXT and value.isascii() and "\0" not in value
    if kind is float:
        return math.isfinite(value)
    return kind is bool or value is None


@dataclass(slots=True)
class _Matched:
    """Which parameter takes which argument. A parameter is None where there is none for it, and `problems` say why."""

    args: list[inspect.Parameter | None] = field(default_factory=list)
    kwargs: dict[str, inspect.Parameter | None] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def _convert(
    definition: Definition,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    convert: Callable[[object, Any], Any],
    *,
    limited: bool = True,
) -> Arguments:
    parameters = definition.signature.parameters
    if not parameters and not args and not kwargs:
        return (), {}
    matched = _match(definition, args, kwargs)
    problems = matched.problems
    redacted = frozenset(definition.redacted(args, kwargs))

    def converted(parameter: inspect.Parameter | None, label: str, value: Any, place: int | str) -> Any:
        if parameter is None:
            return None
        try:
            return convert(parameter.annotation, value)
        except ValueError as error:
            problems.append(f"{label}: {_unfit(parameter, value) if place in redacted else error}")
            return None

    new_args = tuple(
        converted(parameter, _label(parameter, index), value, index)
        for index, (parameter, value) in enumerate(zip(matched.args, args, strict=True))
    )
    new_kwargs = {name: converted(parameter, name, kwargs[name], name) for name, parameter in matched.kwargs.items()}
    if not problems and limited:
        problems += _too_long(new_args, new_kwargs)
    if problems:
        raise InvalidArguments(_message(definition, problems))
    return new_args, new_kwargs


def _match(definition: Definition, args: Sequence[Any], kwargs: Mapping[str, Any]) -> _Matched:
    """Match as Python's own call does, but tell everything that doesn't fit, and not only the first of it.

    Where a job hides some of its arguments, none of those is shown that belong to no parameter: it may be a hidden one
    that was misplaced or misspelt.
    """
    parameters = list(definition.signature.parameters.values())
    show_ = _hide if definition.redact else show
    matched = _Matched()
    positional = [each for each in parameters if each.kind in _POSITIONAL]
    rest = next((each for each in parameters if each.kind is inspect.Parameter.VAR_POSITIONAL), None)
    others = next((each for each in parameters if each.kind is inspect.Parameter.VAR_KEYWORD), None)
    by_name = {each.name: each for each in parameters if each.kind in _NAMED}
    for index, value in enumerate(args):
        parameter = positional[index] if index < len(positional) else rest
        if parameter is None:
            most = f"at most {len(positional)}" if positional else "none"
            matched.problems.append(
                f"argument {index + 1} is surplus: expected {most} by position, found {show_(value)}"
            )
        matched.args.append(parameter)
    filled = {each.name for each in positional[: len(args)]}
    only_positional = {each.name for each in positional if each.name not in by_name}
    for name, value in kwargs.items():
        parameter = by_name.get(name, others)
        if name in by_name and name in filled:
            matched.problems.append(f"{name}: given twice, by position and by name (the latter: {show_(value)})")
            parameter = None
        elif parameter is None and name in only_positional:
            matched.problems.append(f"{name}: can only be given by position, not by name")
        elif parameter is None:
            matched.problems.append(_unknown(name, show_(value), by_name))
        matched.kwargs[name] = parameter
    matched.problems += [
        f"{each.name}: missing"
        + (f"; expected {describe(each.annotation)}" if each.annotation is not each.empty else "")
        for each in parameters
        if each.default is each.empty
        and each.kind in {*_POSITIONAL, *_NAMED}
        and each.name not in filled
        and (each.name not in kwargs or each.name in only_positional)
    ]
    return matched


_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def _hide(value: object) -> str:
    return f"{article(type(value).__name__)}, which is not shown"


def _unfit(parameter: inspect.Parameter, value: object) -> str:
    """Tell what was expected, without what was found, and so without what exactly is wrong with it."""
    return f"expected {describe(parameter.annotation)}, found {_hide(value)}"


def _unknown(name: str, found: str, known: Iterable[str]) -> str:
    known = list(known)
    near = nearest(name, known)
    if near:
        hint = f"did you mean {' or '.join(near)}?"
    else:
        hint = f"run takes {', '.join(known)}" if known else "run takes none by name"
    return f"{name}: there is no such argument (found {found}); {hint}"


def _label(parameter: inspect.Parameter | None, index: int) -> str:
    if parameter is not None and parameter.kind is inspect.Parameter.VAR_POSITIONAL:
        return f"argument {index + 1} (*{parameter.name})"
    return parameter.name if parameter is not None else f"argument {index + 1}"


def _too_long(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[str]:
    reason = why_not_json(dict.fromkeys(kwargs))
    if reason is not None:
        return [f"a name is {reason}"]
    length = size([list(args), kwargs])
    if length <= MAX_BYTES:
        return []
    return [
        f"{length:,} bytes of JSON are too long: at most {MAX_BYTES:,} are kept; store what is big, and pass its id"
    ]


def _message(definition: Definition, problems: list[str]) -> str:
    if len(problems) == 1:
        return f"an argument doesn't fit {definition.usage}: {problems[0]}"
    return "\n".join([f"{len(problems)} arguments don't fit {definition.usage}:", *(f"  {each}" for each in problems)])
