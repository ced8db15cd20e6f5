"""Who a request to the dashboard or the HTTP API is from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinstripe.access import Access, Role

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

__all__ = ["OWN_LOGIN_KEY", "SCOPE_KEY", "Access", "Role", "access_of"]

SCOPE_KEY = "pinstripe.access"
"""Where the guard puts who it is, in the ASGI scope of each request that it lets through."""


OWN_LOGIN_KEY = "pinstripe.own_login"
"""Where it puts whether one logs in at the application, so that there is no page of ours for that."""


def is_confined(connection: HTTPConnection) -> bool:
    """Tell whether a request is from somebody who is confined to some tenants; a stranger is not."""
    access: Access | None = connection.scope.get(SCOPE_KEY)
    return access is not None and access.is_confined


def access_of(connection: HTTPConnection) -> Access:
    """Give who a request is from; the guard has let it through."""
    access: Access = connection.scope[SCOPE_KEY]
    return access
