from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.database import prepared

if TYPE_CHECKING:
    from tests.database.shops import Shop

pytestmark = pytest.mark.anyio


async def statements(shop: Shop) -> dict[Any, Any]:
    return (await shop.access.catalog()).prepared


async def test_one_statement_serves_all_values_and_tenants(shop: Shop) -> None:
    for tenant in ("acme", "globex"):
        users = shop.open(tenant).users
        for name in ("acme Ann", "globex Ann", "nobody"):
            found = await users.where(name=name, age__ge=30).order_by("-name").all()
            assert [user.name for user in found] == ([name] if name == f"{tenant} Ann" else [])
    kept = await statements(shop)
    assert len(kept) == 1
    assert None not in kept.values()


@pytest.mark.parametrize(
    "lookups",
    [
        {"name": "ünd"},
        {"name": "a\0"},
        {"id": 2**31},
        {"id": 1.5},
        {"name": ["acme Ann"]},
        {"name__contains": "Ann"},
        {"name__begins_with": "acme"},
    ],
)
async def test_what_depends_on_more_than_the_kind_of_the_value_is_built_each_time(
    shop: Shop, lookups: dict[str, Any]
) -> None:
    await shop.open().users.where(**lookups).all()
    assert [statement for statement in (await statements(shop)).values() if statement is not None] == []


async def test_each_shape_has_a_statement_of_its_own(shop: Shop) -> None:
    users = shop.open().users
    for rows in (users, users.limit(2), users.order_by("name"), users.order_by("-name"), users.where(plan=None)):
        await rows.all()
        await rows.all()
        await rows.first()
    assert len(await statements(shop)) == 9
    async with shop.access.unscoped(None, "to see all", "a test") as unscoped:
        assert len(await unscoped.users.all()) == 5
    assert len(await users.all()) == 3
    assert len(await statements(shop)) == 10


async def test_so_many_are_kept_at_most(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared, "KEPT", 3)
    users = shop.open().users
    for limit in range(1, 8):
        assert len(await users.limit(limit).all()) == min(limit, 3)
        assert len(await statements(shop)) <= 3
