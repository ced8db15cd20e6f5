"""What a page is asked for in its address: texts and numbers, where an empty field is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import Request

LONGEST = 1_000
"""How many characters of a text in an address are read."""

MOST_NAMES = 500
"""Up to how many jobs their names are offered while one types."""

_DIGITS = 18
"""How many digits a number in an address may have; the ledger's have fewer."""


def asked_text(request: Request, name: str) -> str | None:
    """Give a text of the address, None where it is empty or isn't there. Spaces around it are left out."""
    return asked_exactly(request, name, strip=True)


def asked_exactly(request: Request, name: str, *, strip: bool = False) -> str | None:
    """Give a text of the address as it is: a tenant's id may begin with a space."""
    text = (request.query_params.get(name) or "")[:LONGEST]
    return (text.strip() if strip else text) or None


def asked_number(request: Request, name: str) -> int | None:
    """Give a number of the address; None where it is none."""
    text = request.query_params.get(name) or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else None
