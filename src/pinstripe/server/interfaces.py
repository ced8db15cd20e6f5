"""Which interface an application has: ASGI, or WSGI."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any, Literal

MAX_SHOWN = 100
"""How many characters of an object's own text are shown."""

_ASGI = ("scope", "receive", "send")
_WSGI = ("environ", "start_response")
_THREE, _TWO = len(_ASGI), len(_WSGI)


def interface_of(application: Any) -> Literal["asgi", "wsgi"]:
    """Tell by which interface an application is called: ASGI (version 3), or WSGI.

    What is async is ASGI; of what isn't, the parameters tell: three are ASGI's, two are WSGI's. Raises `ValueError`,
    which says what the object is instead.
    """
    takes, names = _takes(application), _names(application)
    if not takes or _has_objects_that_are_called(application):
        pass
    elif _is_async(application):
        if _THREE in takes:
            return "asgi"
    elif names[:_THREE] == _ASGI or takes == {_THREE}:
        return "asgi"
    elif names[:_TWO] == _WSGI or (_TWO in takes and 0 not in takes):
        return "wsgi"
    raise ValueError(_describe(application, takes))


def _describe(application: Any, takes: set[int]) -> str:
    """Say what something that is no application is, and how it may become one."""
    shown = getattr(application, "__qualname__", None) or repr(application)
    if len(shown) > MAX_SHOWN:
        shown = f"a {type(application).__qualname__}"
    if not callable(application):
        return f"{shown}, which can't be called"
    if _has_objects_that_are_called(application):
        return f"the class {shown}: name an object of it, `app = {shown}(…)`"
    if takes >= {0, 1, 2, 3}:
        return f"{shown}, which takes any arguments: name them (scope, receive, send) or (environ, start_response)"
    if 0 in takes:
        return f"{shown}, which is called without arguments: call it in the module, `app = {shown}()`"
    if takes == {1}:
        return f"{shown}, which has the form of ASGI 2: asgiref's guarantee_single_callable makes it one of ASGI 3"
    return f"{shown}, which takes other arguments"


def _is_async(application: Any) -> bool:
    while isinstance(application, partial):
        application = application.func
    if inspect.isclass(application):
        return hasattr(application, "__await__")
    if inspect.isroutine(application):
        return inspect.iscoroutinefunction(application)
    return inspect.iscoroutinefunction(type(application).__call__)


def _has_objects_that_are_called(application: Any) -> bool:
    """Tell a class of applications from a class that is one: an object of that is made for each request."""
    return inspect.isclass(application) and inspect.isfunction(getattr(application, "__call__", None))  # noqa: B004


def _takes(application: Any) -> set[int]:
    """Tell with how many arguments, of none to three, it can be called."""
    if not callable(application) or inspect.isasyncgenfunction(application):
        return set()
    try:
        signature = inspect.signature(application)
    except (TypeError, ValueError):  # what is written in C may not tell
        return {0, 1, 2, 3}
    found = set()
    for count in range(4):
        try:
            signature.bind(*range(count))
        except TypeError:
            continue
        found.add(count)
    return found


def _names(application: Any) -> tuple[str, ...]:
    try:
        return tuple(inspect.signature(application).parameters)
    except (TypeError, ValueError):
        return ()
