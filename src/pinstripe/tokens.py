"""The tokens that open the dashboard and the HTTP API, as they stand in settings: read, checked, and hidden."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

SHORTEST = 20
"""How many characters a secret has at least."""

LONGEST = 500
"""How many it has at most."""

MAKE_ONE = "python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"
"""The command that makes a good one."""

ROLES = ("read", "operate")
"""What the bearer of a token may be."""

HIDDEN = "***"
"""What is shown where a secret is."""

OPERATOR = "operator"
"""What whoever has `server.token` is called, in the audit trail and on pages."""

READER = "reader"
"""What whoever has `server.read_token` is called."""

EVERYBODY = "*"
"""How an entry says that its bearer sees all tenants."""

_LONGEST_NAME = 100

_PARTS = 4

_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")


class Token(NamedTuple):
    """One entry of the setting `server.tokens`: who has it, and what it lets them see and do.

    `tenants` None are all of them.
    """

    name: str
    role: str
    tenants: frozenset[str] | None
    secret: str

    def __repr__(self) -> str:
        """Write it without its secret."""
        return f"Token(name={self.name!r}, role={self.role!r}, tenants={self.tenants!r}, secret={HIDDEN!r})"


def read_secret(raw: object) -> str:
    """Check a token; raises `ValueError`, which never has it in its message."""
    if not isinstance(raw, str):
        raise ValueError  # noqa: TRY004 - the caller makes one message of whatever is wrong
    if not SHORTEST <= len(raw) <= LONGEST:
        reason = f"it has {len(raw)}; `{MAKE_ONE}` makes one"
        raise ValueError(reason)
    if not re.fullmatch(r"[!-~]+", raw):
        reason = f"it has a space, or what is not ASCII; `{MAKE_ONE}` makes one"
        raise ValueError(reason)
    return raw


def read_tokens(raw: object) -> tuple[str, ...]:
    """Check entries of tokens; raises `ValueError`, which never has a secret in its message."""
    if not isinstance(raw, list | tuple):
        raise ValueError  # noqa: TRY004 - as above
    for number, entry in enumerate(raw, 1):
        if not isinstance(entry, str):
            raise ValueError  # noqa: TRY004 - as above
        try:
            parse_token(entry)
        except ValueError as error:
            reason = f"entry {number}: {error}"
            raise ValueError(reason) from None
    return tuple(raw)


def parse_token(entry: str) -> Token:
    """Read "NAME:ROLE:TENANTS:SECRET"; raises `ValueError` with the reason, which never has the secret."""
    if "," in entry:
        reason = "a comma parts entries in the environment; write it as %2C in a name or a tenant's id"
        raise ValueError(reason)
    parts = entry.split(":", _PARTS - 1)
    if len(parts) != _PARTS:
        reason = f"expected four parts with colons between them, found {len(parts)}"
        raise ValueError(reason)
    name, role, tenants, secret = parts
    name = _decoded(name)
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        reason = f"expected a name of 1 to {_LONGEST_NAME} characters in one line"
        raise ValueError(reason)
    if role not in ROLES:
        # What stands there may be a secret that has got into the wrong place.
        reason = f"expected the role of {name!r} to be 'read' or 'operate'"
        raise ValueError(reason)
    ids = None if tenants.strip() == EVERYBODY else frozenset(map(_decoded, tenants.split()))
    if ids is not None and not ids:
        reason = f"expected the tenants of {name!r}: '*' for all, or ids parted by spaces"
        raise ValueError(reason)
    try:
        read_secret(secret)
    except ValueError as error:
        reason = f"expected the secret of {name!r} to be one of {SHORTEST} to {LONGEST} characters: {error}"
        raise ValueError(reason) from None
    return Token(name, role, ids, secret)


def hide_tokens(entries: Iterable[str]) -> list[str]:
    """Write entries without their secrets."""
    return [":".join([*entry.split(":", _PARTS - 1)[: _PARTS - 1], HIDDEN]) for entry in entries]


def check_tokens(token: str | None, read_token: str | None, tokens: Iterable[str]) -> None:
    """Raise `ValueError` where a name or a secret is there twice, so that nobody could tell whose it is."""
    names = {"token": token, "read_token": read_token}
    secrets = {secret: name for name, secret in names.items() if secret is not None}
    if token is not None and token == read_token:
        reason = "server.token and server.read_token are the same; expected two secrets"
        raise ValueError(reason)
    seen = {OPERATOR, READER}
    for entry in map(parse_token, tokens):
        if entry.name in seen:
            reason = f"server.tokens: expected each name once, and not {OPERATOR!r} or {READER!r}, found {entry.name!r}"
            raise ValueError(reason)
        if entry.secret in secrets:
            reason = f"server.tokens: {entry.name!r} has the secret of {secrets[entry.secret]!r}; expected another one"
            raise ValueError(reason)
        seen.add(entry.name)
        secrets[entry.secret] = entry.name


def read_hosts(raw: object) -> tuple[str, ...]:
    """Check names of hosts, without ports; give them in lower case. Raises `ValueError`."""
    if not isinstance(raw, list | tuple):
        raise ValueError  # noqa: TRY004 - as above
    hosts = []
    for item in raw:
        host = item.lower().removesuffix(".") if isinstance(item, str) else ""
        if not _HOST.fullmatch(host):
            reason = f"{item!r} is none: no scheme, no port, no path, and other letters as xn--…"
            raise ValueError(reason)
        hosts.append(host)
    return tuple(hosts)


def _decoded(text: str) -> str:
    if "%" not in text:
        return text
    from urllib.parse import unquote

    return unquote(text, errors="strict")
