"""What PostgreSQL can't keep in a text: NUL and halves of surrogate pairs, which are replaced, and ids too long."""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

from pinstripe.errors import TenantSourceFailed

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST_TENANT = 1_000
"""Bytes of the id of a tenant, as UTF-8: an index of PostgreSQL keeps at most 2,704 bytes of all that is in a row."""

REPLACEMENT = "\ufffd"
"""What stands for a character that can't be kept: Unicode's own sign for that."""


@overload
def writable(text: str) -> str: ...


@overload
def writable(text: str | None) -> str | None: ...


def writable(text: str | None) -> str | None:
    """Give a text as PostgreSQL can keep it; None stays None."""
    if text is None:
        return None
    if "\0" in text:
        text = text.replace("\0", REPLACEMENT)
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    return text


def check_tenants(tenants: Iterable[str]) -> None:
    """Raise `TenantSourceFailed` for an id that is longer than PostgreSQL could find again."""
    for tenant in tenants:
        if len(tenant) * 4 > LONGEST_TENANT and (size := len(tenant.encode("utf-8", "replace"))) > LONGEST_TENANT:
            raise TenantSourceFailed(
                f"the id of a tenant, {tenant[:40]!r}…, has {size:,} bytes; a ledger on PostgreSQL keeps ids of at "
                f"most {LONGEST_TENANT:,}: expected a short one that stays the same"
            )
