"""Our cookies: what they are called, how they are read, and how they are set."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

SESSION = "pinstripe_session"
"""The cookie of who has logged in."""

NONCE = "pinstripe_form"
"""The cookie that forms are told by where there is no session of ours: on the login page, and with a login of one's
own."""

PATH = "/_pinstripe"

_LONGEST = 16_384
_MOST = 5


def cookie_name(kind: str, connection: HTTPConnection) -> str:
    """Name a cookie by the port too: browsers give cookies of one port to every other of the same host."""
    port = re.search(r":([0-9]{1,5})\Z", connection.headers.get("host", ""))
    return kind if port is None else f"{kind}_{port[1]}"


def read_cookies(kind: str, connection: HTTPConnection) -> list[str]:
    """Give what a browser has as that cookie: it may send several, some of which others have set."""
    name, found = cookie_name(kind, connection), []
    for header in connection.headers.getlist("cookie"):
        if len(header) > _LONGEST:
            continue
        for part in header.split(";"):
            key, _, value = part.strip().partition("=")
            if key == name and value:
                found.append(value)
    return found[:_MOST]


def set_cookie(kind: str, connection: HTTPConnection, value: str, seconds: int | None = None) -> str:
    """Write the header that sets a cookie for so many `seconds`, or until the browser ends; with 0 it is removed."""
    age = "" if seconds is None else f"; Max-Age={seconds}"
    secure = "; Secure" if connection.url.scheme == "https" else ""
    return f"{cookie_name(kind, connection)}={value}; Path={PATH}{age}; HttpOnly; SameSite=Strict{secure}"
