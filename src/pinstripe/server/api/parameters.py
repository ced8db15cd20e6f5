"""The arguments of a job's `run` as a JSON Schema, for those who write forms or clients."""

from __future__ import annotations

import inspect
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pinstripe.coercion import is_anything
from pinstripe.json_values import why_not_json

if TYPE_CHECKING:
    from pinstripe.definition import Definition

_POSITIONAL = inspect.Parameter.POSITIONAL_ONLY
_MORE_POSITIONS = inspect.Parameter.VAR_POSITIONAL
_MORE_NAMES = inspect.Parameter.VAR_KEYWORD


class _Identity:
    """A definition as a key: a job that was loaded anew has another one."""

    __slots__ = ("definition",)

    def __init__(self, definition: Definition) -> None:
        self.definition = definition

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and other.definition is self.definition

    def __hash__(self) -> int:
        return id(self.definition)


def schema_of(definition: Definition) -> dict[str, Any] | None:
    """Give a JSON Schema of the arguments by name; None where pydantic has none for an annotation.

    A redacted one is `writeOnly`, and its default isn't told.
    """
    return _schema_of(_Identity(definition))


@lru_cache(maxsize=1024)
def _schema_of(key: _Identity) -> dict[str, Any] | None:
    definition = key.definition
    properties: dict[str, Any] = {}
    definitions: dict[str, Any] = {}
    more: dict[str, Any] | bool = False
    required = []
    for name, parameter in definition.signature.parameters.items():
        schema = _of_annotation(parameter.annotation)
        if schema is None:
            return None
        definitions.update(schema.pop("$defs", {}))
        if parameter.kind is _MORE_NAMES:
            more = schema
            continue
        properties[name] = _of_parameter(parameter, schema, is_redacted=name in definition.redact)
        if parameter.default is parameter.empty and parameter.kind is not _MORE_POSITIONS:
            required.append(name)
    written = {"type": "object", "properties": properties, "required": required, "additionalProperties": more}
    return {**written, "$defs": definitions} if definitions else written


def _of_parameter(parameter: inspect.Parameter, schema: dict[str, Any], *, is_redacted: bool) -> dict[str, Any]:
    if parameter.kind is _MORE_POSITIONS:
        return {"type": "array", "items": schema, "x-more-positions": True}
    if is_redacted:
        schema["writeOnly"] = True
    elif parameter.default is not parameter.empty and why_not_json(parameter.default) is None:
        schema["default"] = parameter.default
    if parameter.kind is _POSITIONAL:
        schema["x-position-only"] = True
    return schema


def _of_annotation(annotation: Any) -> dict[str, Any] | None:
    if is_anything(annotation):
        return {}
    from pydantic import TypeAdapter

    try:
        return dict(TypeAdapter(annotation).json_schema())
    except Exception:  # noqa: BLE001 - an author's own type may do anything when it is asked for its schema
        return None
