from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.active_tenants import ActiveTenants
from pinstripe.errors import ConfigurationError
from pinstripe.tenant_sources import Tenants, default_filter
from pinstripe.tenants import Tenant, TenantSource

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

pytestmark = pytest.mark.anyio

ITEMS: list[dict[str, Any]] = [
    {"id": "a", "active": True, "plan": "pro"},
    {"id": "b", "active": False, "plan": "pro"},
    {"id": "c", "plan": "pro"},
    {"id": "d", "active": None, "plan": "pro"},
    {"id": "e", "active": 1, "plan": "free"},
]


class Directory:
    """A source that an application has written itself, with no more than the protocol asks for."""

    def __init__(self, tenants: Tenants) -> None:
        self.tenants = tenants

    def where(self, **lookups: Any) -> Directory:
        return Directory(self.tenants.where(**lookups))

    async def by_ids(self, ids: Sequence[str]) -> Mapping[str, Tenant]:
        return await self.tenants.by_ids(ids)

    async def __aiter__(self) -> AsyncIterator[Tenant]:
        async for tenant in self.tenants:
            yield tenant


async def test_it_leaves_out_who_is_not_active_and_keeps_who_cannot_tell() -> None:
    active = default_filter(Directory(Tenants(ITEMS)), "active")
    assert isinstance(active, ActiveTenants)
    assert isinstance(active, TenantSource)
    assert [tenant.id async for tenant in active] == ["a", "c", "e"]
    assert [tenant.id async for tenant in active.where(plan="pro")] == ["a", "c"]
    assert list(await active.by_ids(["e", "d", "c", "b", "nobody"])) == ["e", "c"]
    assert active.description == "active=True"


async def test_it_answers_as_a_source_that_filters_itself() -> None:
    tenants = Tenants(ITEMS)
    own = [tenant.id async for tenant in default_filter(tenants, "active")]
    assert own == [tenant.id async for tenant in ActiveTenants(Directory(tenants), "active")]


async def test_what_cannot_be_true_is_an_error() -> None:
    active = ActiveTenants(Directory(Tenants([{"id": "a", "active": "yes"}])), "active")
    with pytest.raises(ConfigurationError, match=r"tenant 'a': .*expected active to be a number"):
        await active.by_ids(["a"])
