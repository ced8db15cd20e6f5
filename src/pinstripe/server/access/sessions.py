"""Sessions: a signed cookie says who has logged in. Nothing is kept here, so that several servers know them all."""

from __future__ import annotations

import base64
import hmac
import json
import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pinstripe.server.access.bearers import Bearer
    from pinstripe.server.access.identity import Access

LONGEST = 2_000
"""How many characters a cookie has at most that is looked at."""

_NONCE = 16


class Session(NamedTuple):
    """Somebody who has logged in, until `ends` (microseconds UTC); `form_token` shows that a form is of the session."""

    access: Access
    ends: int
    form_token: str


def begin_session(bearer: Bearer, ends: int) -> str:
    """Give the cookie of a new session."""
    said = json.dumps([bearer.access.name, ends, os.urandom(_NONCE).hex()], separators=(",", ":")).encode()
    return f"{_written(said)}.{_written(_signature(bearer.key, b'cookie', said))}"


def read_session(cookie: str, bearers: Iterable[Bearer], now: int) -> Session | None:
    """Give the session of a cookie; None where it was not made with a bearer's own key, or is over."""
    if len(cookie) > LONGEST:
        return None
    first, _, second = cookie.partition(".")
    said, signature = _read(first), _read(second)
    if said is None or signature is None:
        return None
    for bearer in bearers:
        if hmac.compare_digest(_signature(bearer.key, b"cookie", said), signature):
            name, ends, _nonce = json.loads(said)  # it was written here
            if name != bearer.access.name or now >= ends:
                return None
            return Session(bearer.access, ends, _written(_signature(bearer.key, b"form", said)))
    return None


def new_nonce() -> str:
    """Make what nobody guesses."""
    return _written(os.urandom(_NONCE))


def form_token_of(nonce: str, name: str) -> str:
    """Give what a form shows where no session is: `nonce` is in a cookie that no other site can read or set."""
    return _written(_signature(nonce.encode(errors="surrogatepass"), b"form", name.encode(errors="surrogatepass")))


def _signature(key: bytes, purpose: bytes, said: bytes) -> bytes:
    return hmac.digest(key, purpose + b"\0" + said, "sha256")


def _written(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _read(text: str) -> bytes | None:
    """Read what `_written` gave; None for all else, also for another way to write the same."""
    try:
        content = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return None
    return content if _written(content) == text else None
