"""Forms of the dashboard: each shows a token that no other site can know, and is read with care."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from pinstripe.server.problems import Refused

if TYPE_CHECKING:
    from starlette.requests import Request

FIELD = "csrf_token"
"""The name of the field that has the token."""

SCOPE_KEY = "pinstripe.form_token"
"""Where the guard puts the token of a request, in its ASGI scope."""

LARGEST = 1_000_000
"""How many bytes a form may have."""

MOST_FIELDS = 1_000
"""How many fields it may have."""

_TYPE = "application/x-www-form-urlencoded"

Form = dict[str, list[str]]
"""The fields of a form; one that is there twice has two values."""


def csrf_token(request: Request) -> str:
    """Give the token that a form on the answer to this request has to show, as its field `csrf_token`."""
    token: str = request.scope.get(SCOPE_KEY, "")
    return token


async def checked_form(request: Request) -> Form:
    """Read the form that a request sends, without its token.

    Raises `Refused`: 403 where the token isn't that of whoever sends it, 413 for a form that is too large, 415 for
    another type than a browser's plain form, 400 for one that can't be read.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _TYPE:
        raise Refused(415, "Not a form", f"expected a form as {_TYPE}", type_="unsupported-media-type")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LARGEST:
            raise Refused(413, "Too large", f"a form may have {LARGEST:,} bytes", type_="too-large")
    try:
        form = parse_qs(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError:  # UnicodeDecodeError is one
        raise Refused(
            400, "Unreadable form", f"expected a form in UTF-8 with at most {MOST_FIELDS:,} fields", type_="bad-request"
        ) from None
    (shown,) = form.pop(FIELD, [""])[:1]
    expected = csrf_token(request)
    if not expected or not hmac.compare_digest(shown.encode(), expected.encode()):
        raise Refused(
            403,
            "This form is no longer valid",
            "You have logged in anew since the page was shown, or it comes from elsewhere: go back, reload the page, "
            "and send it again",
            type_="invalid-form",
        )
    return form
