"""Somebody who may look at the dashboard and ask the HTTP API: who they are, and what they may see and do."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


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
