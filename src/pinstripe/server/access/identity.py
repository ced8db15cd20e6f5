"""Who somebody is to the dashboard and the HTTP API, and what that lets them see and do."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

SCOPE_KEY = "pinstripe.access"
"""Where the guard puts who it is, in the ASGI scope of each request that it lets through."""


class Role(StrEnum):
    """What somebody may do."""

    READ = "read"
    OPERATE = "operate"


class Access(NamedTuple):
    """Somebody who was let in: a `name` for the audit trail, a `role`, and the `tenants` they are confined to.

    With `tenants` None they see everybody's.
    """

    name: str
    role: Role
    tenants: frozenset[str] | None = None

    @property
    def may_operate(self) -> bool:
        """Whether they may start, retry, cancel, pause and resume."""
        return self.role == Role.OPERATE

    @property
    def is_confined(self) -> bool:
        """Whether they see some tenants only."""
        return self.tenants is not None

    def sees(self, tenant: str | None) -> bool:
        """Tell whether they see what is of this tenant; None is what is nobody's in particular."""
        return self.tenants is None or (tenant is not None and tenant in self.tenants)


def access_of(connection: HTTPConnection) -> Access:
    """Give who a request is from; the guard has let it through."""
    access: Access = connection.scope[SCOPE_KEY]
    return access
