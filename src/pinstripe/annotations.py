"""What the annotations of a job say: those of its class name services, those of `run` tell how arguments are read."""

from __future__ import annotations

import inspect
import re
import sys
from typing import TYPE_CHECKING, Any, ClassVar, get_origin, get_type_hints

from pinstripe.background_job import BackgroundJob

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def own_classes(job_class: type[BackgroundJob]) -> list[type]:
    """Give the class and those of its parents that come before `BackgroundJob`, the farthest parent first."""
    parents = job_class.__mro__
    return list(reversed(parents[: parents.index(BackgroundJob)]))


def declared_services(job_class: type[BackgroundJob]) -> tuple[str, ...]:
    """Give the names of the services that a job declares: what is annotated and has no value, parents' first.

    Private names and `ClassVar`s declare nothing. The annotations themselves are not evaluated, so they may name what
    is imported for type checkers only.
    """
    names: dict[str, None] = {}
    for owner in own_classes(job_class):
        for name, annotation in unevaluated(owner).items():
            if not name.startswith("_") and not _is_class_variable(annotation) and not hasattr(job_class, name):
                names[name] = None
    return tuple(names)


def unevaluated(owner: type) -> Mapping[str, object]:
    """Give the annotations of one class as they stand, text or not; before 3.14 they are what the file made of them."""
    if sys.version_info < (3, 14):
        annotations: Mapping[str, object] = vars(owner).get("__annotations__", {})
        return annotations
    import annotationlib  # type: ignore[import-not-found, unused-ignore]

    return annotationlib.get_annotations(owner, format=annotationlib.Format.STRING)


def resolve(function: Callable[..., Any]) -> inspect.Signature:
    """Give the signature of `function` with every annotation that is text replaced by what it names.

    Raises whatever evaluating the text raises.
    """
    signature = inspect.signature(function)
    original = inspect.unwrap(function)
    return signature.replace(
        parameters=[
            parameter
            if isinstance(parameter.annotation, type)
            else parameter.replace(annotation=_evaluate(parameter.annotation, original))
            for parameter in signature.parameters.values()
        ]
    )


class _Annotated:
    """Something with one annotation, for `get_type_hints` to read."""

    def __init__(self, annotation: object) -> None:
        self.__annotations__ = {"it": annotation}


def _evaluate(annotation: object, function: Callable[..., Any]) -> Any:
    if isinstance(annotation, str) and annotation in _PLAIN and annotation not in function.__globals__:
        return _PLAIN[annotation]
    return get_type_hints(_Annotated(annotation), globalns=function.__globals__, include_extras=True)["it"]


_PLAIN: Mapping[str, type] = {"str": str, "int": int, "float": float, "bool": bool}


_CLASS_VARIABLE = re.compile(r"\s*(\w+\s*\.\s*)*ClassVar\b")


def _is_class_variable(annotation: object) -> bool:
    if isinstance(annotation, str):
        return _CLASS_VARIABLE.match(annotation) is not None
    return annotation is ClassVar or get_origin(annotation) is ClassVar
