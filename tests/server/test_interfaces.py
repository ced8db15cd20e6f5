from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette

from pinstripe.server.interfaces import interface_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

Start = Any


async def asgi(scope: Any, receive: Any, send: Any) -> None: ...


async def asgi_with_more(scope: Any, receive: Any, send: Any, *, name: str = "") -> None: ...


async def asgi_of_any(*args: Any) -> None: ...


def gives_a_coroutine(scope: Any, receive: Any, send: Any) -> Any:
    return asgi(scope, receive, send)


def gives_another(a: Any, b: Any, c: Any) -> Any:
    return asgi(a, b, c)


class Asgi:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...

    async def method(self, scope: Any, receive: Any, send: Any) -> None: ...


class AwaitedAsgi:
    def __init__(self, scope: Any, receive: Any, send: Any) -> None: ...

    def __await__(self) -> Iterator[None]:
        yield


def wsgi(environ: Any, start_response: Start) -> Iterable[bytes]:
    return []


def wsgi_by_other_names(request: Any, start: Start) -> Iterable[bytes]:
    return []


def generating(environ: Any, start_response: Start) -> Iterator[bytes]:
    yield b""


def wsgi_with_more(environ: Any, start_response: Start, debug: bool = False) -> Iterable[bytes]:
    return []


class Wsgi:
    def __call__(self, environ: Any, start_response: Start) -> Iterable[bytes]:
        return []


class IteratedWsgi:
    def __init__(self, environ: Any, start_response: Start) -> None: ...

    def __iter__(self) -> Iterator[bytes]:
        yield b""


@functools.wraps(wsgi)
def wrapped(*args: Any) -> Any:
    return wsgi(*args)


def factory() -> Any:
    return asgi


async def async_factory() -> Any:
    return asgi


def asgi_2(scope: Any) -> Callable[..., Any]:
    return asgi


class Asgi2:
    def __init__(self, scope: Any) -> None: ...

    async def __call__(self, receive: Any, send: Any) -> None: ...


def anything(*args: Any) -> Any: ...


async def async_wsgi(environ: Any, start_response: Start) -> None: ...


async def agenerating(scope: Any, receive: Any, send: Any) -> AsyncIterator[None]:
    yield


def four(a: Any, b: Any, c: Any, d: Any) -> None: ...


@pytest.mark.parametrize(
    "application",
    [
        *(asgi, asgi_with_more, asgi_of_any, gives_a_coroutine, gives_another, Asgi(), Asgi().method, AwaitedAsgi),
        *(functools.partial(asgi_with_more, name="x"), functools.partial(functools.partial(asgi))),
        *(FastAPI(), Starlette()),
    ],
)
def test_asgi(application: object) -> None:
    assert interface_of(application) == "asgi"


@pytest.mark.parametrize(
    "application",
    [
        *(wsgi, wsgi_by_other_names, generating, wsgi_with_more, Wsgi(), Wsgi().__call__, IteratedWsgi),
        functools.partial(wsgi_with_more, debug=True),
    ],
)
def test_wsgi(application: object) -> None:
    assert interface_of(application) == "wsgi"


def test_what_wraps_an_application_by_the_rules_is_one() -> None:
    assert interface_of(wrapped) == "wsgi"


@pytest.mark.parametrize(
    ("application", "told"),
    [
        (factory, r"factory, which is called without arguments: call it in the module, `app = factory\(\)`"),
        (async_factory, "async_factory, which is called without arguments"),
        (asgi_2, "asgi_2, which has the form of ASGI 2"),
        (Asgi2, "the class Asgi2: name an object of it"),
        (FastAPI, r"the class FastAPI: name an object of it, `app = FastAPI\(…\)`"),
        (anything, "anything, which takes any arguments: name them"),
        (async_wsgi, "async_wsgi, which takes other arguments"),
        (agenerating, "agenerating, which takes other arguments"),
        (four, "four, which takes other arguments"),
        ("web:app", "'web:app', which can't be called"),
        (None, "None, which can't be called"),
        (["x" * 200], "a list, which can't be called"),
        (dict, "dict, which "),
    ],
)
def test_anything_else_is_told_for_what_it_looks_like(application: object, told: str) -> None:
    with pytest.raises(ValueError, match=f"^{told}"):
        interface_of(application)
