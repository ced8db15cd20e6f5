"""What somebody must be allowed for what they ask; each raises `Refused` where they are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinstripe.actor import Actor, Door
from pinstripe.server.problems import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pinstripe.server.access.identity import Access

__all__ = ["Refused", "actor_of", "require_all", "require_operate", "require_tenant", "require_tenants"]

FORBIDDEN = 403
NOT_FOUND = 404


def require_operate(access: Access) -> None:
    """Let nobody pass who may only read; raises `Refused`."""
    if not access.may_operate:
        raise Refused(
            FORBIDDEN,
            "You may look, but not act",
            f"{access.name!r} has the role 'read'; starting, retrying, cancelling, pausing and resuming need 'operate'",
        )


def require_tenant(access: Access, tenant: str | None) -> None:
    """Let nobody pass who is confined to other tenants; None is what is nobody's in particular.

    Raises `Refused`, which doesn't say whether there is such a tenant.
    """
    if not access.sees(tenant):
        what = "what belongs to no single tenant" if tenant is None else f"the tenant {tenant!r}"
        raise Refused(
            FORBIDDEN, "Not one of your tenants", f"{access.name!r} is confined to some tenants, and not to {what}"
        )


def require_tenants(access: Access, tenants: Iterable[str] | None) -> None:
    """Let nobody pass who is confined and names others' tenants; None is all there are. Raises `Refused`."""
    if tenants is None:
        require_all(access)
        return
    for tenant in tenants:
        require_tenant(access, tenant)


def require_all(access: Access) -> None:
    """Let nobody pass who is confined to some tenants; raises `Refused`."""
    if access.is_confined:
        raise Refused(
            FORBIDDEN,
            "This is about all tenants",
            f"{access.name!r} is confined to some tenants, and this shows or changes what belongs to all",
        )


def actor_of(access: Access, door: Door) -> Actor:
    """Give who acts, as the audit trail names them."""
    return Actor(door, access.name)
