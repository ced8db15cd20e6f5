"""The bodies of requests: JSON, strictly, and not too much of it."""

from __future__ import annotations

import asyncio
import json
import math
from email.message import Message
from typing import TYPE_CHECKING, Any, NoReturn

from starlette.requests import Request

from pinstripe.json_values import why_not_json
from pinstripe.server.problems import Refused

if TYPE_CHECKING:
    from starlette.types import Receive, Scope

MAX_BODY = 1_000_000
"""How many bytes a body may have."""

_MAX_DIGITS = 4_000
"""How many digits an integer may have: Python refuses to read more than 4,300."""

_SMALL = 32_000
"""So many bytes are read at once; more of them in a thread, so that other requests need not wait."""


class ReadRequest(Request):
    """A request whose body has been read and checked, for who asks for it again."""

    def __init__(self, scope: Scope, receive: Receive, raw: bytes, value: Any) -> None:
        """Take the body as it came, and as JSON."""
        super().__init__(scope, receive)
        self._raw = raw
        self._value = value

    async def body(self) -> bytes:
        """Give the body as it came."""
        return self._raw

    async def json(self) -> Any:
        """Give the body as JSON."""
        return self._value


async def read_request(request: Request, *, required: bool) -> Request:
    """Read and check a request's body; without one that is `required` raise, as for a wrong one, `Refused`."""
    raw = await _read(request)
    if not raw and not required and "content-type" not in request.headers:
        return ReadRequest(request.scope, request.receive, b"", None)
    _check_type(request)
    value = _parse(raw) if len(raw) <= _SMALL else await asyncio.to_thread(_parse, raw)
    return ReadRequest(request.scope, request.receive, raw, value)


async def _read(request: Request) -> bytes:
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > MAX_BODY:
        raise _too_large()
    parts = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY:
            raise _too_large()
        parts.append(part)
    return b"".join(parts)


def _check_type(request: Request) -> None:
    given = request.headers.get("content-type")
    message = Message()
    message["content-type"] = given or "none/none"
    charset = (message.get_param("charset") or "utf-8") if given else "utf-8"
    if message.get_content_type() != "application/json" or str(charset).lower() not in {"utf-8", "utf8"}:
        detail = f"expected the body as Content-Type: application/json, in UTF-8, got {given or 'no Content-Type'}"
        raise Refused(415, "Not JSON", detail, type_="unsupported-media-type")
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        detail = f"expected a body without Content-Encoding, got {encoding}"
        raise Refused(415, "Not plain JSON", detail, type_="unsupported-media-type")


def _parse(raw: bytes) -> Any:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise _not_json(f"expected UTF-8, got the byte 0x{raw[error.start]:02x} at {error.start}") from None
    try:
        value = json.loads(
            text,
            parse_constant=_refuse_constant,
            parse_int=_read_int,
            parse_float=_read_float,
            object_pairs_hook=_read_object,
        )
    except json.JSONDecodeError as error:
        raise _not_json(f"{error.msg}: line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise _not_json("something in it is nested too deeply") from None
    reason = why_not_json(value)
    if reason is not None:
        raise Refused(422, "The request doesn't fit", f"expected a body without {reason}", type_="invalid-request")
    return value


def _read_int(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        message = f"expected integers of at most {_MAX_DIGITS:,} digits, got one of {len(text):,}"
        raise _not_json(message)
    return int(text)


def _read_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        message = f"expected numbers that a double can hold, got {text[:40]}"
        raise _not_json(message)
    return value


def _read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key that is given twice: nobody can tell which of the two was meant."""
    read = dict(pairs)
    if len(read) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _not_json(f"the key {twice[:80]!r} is given twice")
    return read


def _refuse_constant(constant: str) -> NoReturn:
    raise _not_json(f"{constant} is not JSON")


def _not_json(reason: str) -> Refused:
    return Refused(400, "The body is not JSON", f"expected a body of JSON: {reason}", type_="invalid-json")


def _too_large() -> Refused:
    return Refused(413, "The body is too large", f"expected at most {MAX_BODY:,} bytes of JSON", type_="body-too-large")
