"""What a workspace without a tenant may do: use what is shared, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select, text, update

from pinstripe.errors import IsolationError, TenantRequired
from tests.database.attacks import worlds

if TYPE_CHECKING:
    from pathlib import Path

    from pinstripe.database.service import Database

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("make", [worlds.rows_on_sqlite, worlds.databases_on_sqlite], ids=["rows", "databases"])
async def test_nobody_reaches_what_is_shared_only(tmp_path: Path, make: Any) -> None:
    world = make(tmp_path / "shop")
    shop = world.shop
    before = world.look()
    async with world.access() as access:
        work = access.open(None)
        database: Database = work.database
        try:
            assert [plan.name for plan in await database[shop.Plan].all()] == ["pro"]
            assert (await database.session.scalars(select(shop.Plan.__table__.c.name))).all() == ["pro"]
            await database.session.rollback()
            refused: list[Any] = [
                database[shop.User].all,
                database.notes.count,
                lambda: database[shop.User].insert(name="x"),
                lambda: database[shop.User].update(name="x"),
                lambda: database.session.get(shop.User, 1),
                lambda: database.session.execute(select(func.count(shop.User.id))),
                lambda: database.session.execute(select(shop.User.__table__)),
                lambda: database.session.execute(update(shop.User).values(name="x")),
                lambda: database[shop.Plan].where(shop.User.id == 1).all(),
            ]
            for attempt in refused:
                with pytest.raises(TenantRequired):
                    await attempt()
            with pytest.raises(IsolationError):
                await database.session.execute(text("select name from users"))
        finally:
            await work.close()
    assert world.look() == before
    for place in world.places:
        place.close()
