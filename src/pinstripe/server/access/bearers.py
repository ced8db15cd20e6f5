"""Those who have a token: which ones there are, and whose a presented one is."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, NamedTuple

from pinstripe.server.access.identity import Access, Role
from pinstripe.tokens import OPERATOR, READER, parse_token

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pinstripe.config import ServerSettings

LOCAL = "local"
"""The name of whoever follows the link that `start-server --dashboard` prints."""


class Bearer(NamedTuple):
    """Who has a token: their `access`, the `digest` of the token, and the `key` that signs their sessions.

    The key comes from the token, the role and the tenants: whatever of them changes, the sessions end.
    """

    access: Access
    digest: bytes
    key: bytes

    def __repr__(self) -> str:
        """Write it without what could be used."""
        return f"Bearer({self.access!r})"


def make_bearer(access: Access, secret: str) -> Bearer:
    """Make one of a secret."""
    tenants = "*" if access.tenants is None else "".join(f"\0{tenant}" for tenant in sorted(access.tenants))
    said = f"pinstripe session\0{access.role}\0{access.name}\0{tenants}"
    key = hmac.digest(secret.encode(), said.encode(errors="surrogatepass"), "sha256")
    return Bearer(access, digest_of(secret), key)


def bearers_of(settings: ServerSettings, local: str | None = None) -> tuple[Bearer, ...]:
    """Give those that the settings name, and with a secret of this process (`local`) whoever has that."""
    found = []
    if settings.token is not None:
        found.append(make_bearer(Access(OPERATOR, Role.OPERATE), settings.token))
    if settings.read_token is not None:
        found.append(make_bearer(Access(READER, Role.READ), settings.read_token))
    found.extend(
        make_bearer(Access(token.name, Role(token.role), token.tenants), token.secret)
        for token in map(parse_token, settings.tokens)
    )
    if local is not None:
        found.append(make_bearer(Access(LOCAL, Role.OPERATE), local))
    return tuple(found)


def digest_of(presented: str) -> bytes:
    """Digest a token, so that comparing takes as long whatever its length."""
    return hashlib.sha256(presented.encode(errors="surrogatepass")).digest()


def find_bearer(bearers: Iterable[Bearer], presented: str) -> Bearer | None:
    """Find whose token it is; as long as that takes, it takes for every token, right or wrong."""
    digest, found = digest_of(presented), None
    for bearer in bearers:
        if hmac.compare_digest(bearer.digest, digest):
            found = bearer  # and on: which one it is, time doesn't tell
    return found
