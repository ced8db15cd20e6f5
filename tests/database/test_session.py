"""What a session refuses by itself, whatever is asked of it, and that none is made without what keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from pinstripe.database.session import TRUSTED, keep_rows, restore_rows
from pinstripe.errors import IsolationError, PinstripeError
from tests.database.shop_models import User

if TYPE_CHECKING:
    from tests.database.shops import Shop

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("shop", ["sqlite-declared"], indirect=True)]


async def test_nothing_leads_to_a_bare_connection(shop: Shop) -> None:
    session = shop.open().session
    with pytest.raises(IsolationError, match=r"session.get_bind\(\) can't be kept to the tenant"):
        session.get_bind()
    with pytest.raises(IsolationError, match=r"session.connection\(\) can't be kept to the tenant"):
        await session.connection()
    for name in ("bulk_save_objects", "bulk_insert_mappings", "bulk_update_mappings"):
        with pytest.raises(IsolationError, match=rf"session.{name}\(\) can't be kept to the tenant"):
            getattr(session.sync_session, name)([])


async def test_only_its_own_marks_are_trusted(shop: Shop) -> None:
    one, other = shop.open().session.sync_session, shop.open("globex").session.sync_session
    assert one.trusts({TRUSTED: one.trust(mapped=True)}, orm=True)
    assert one.trusts({TRUSTED: one.trust(mapped=False)}, orm=False)
    for mark in (other.trust(mapped=True), True, None):
        assert not one.trusts({TRUSTED: mark}, orm=True)
    with pytest.raises(IsolationError, match="nothing would keep it to the tenant"):
        one.trusts({TRUSTED: one.trust(mapped=True)}, orm=False)


async def test_a_statement_outside_of_an_await_is_told_what_to_do(shop: Shop) -> None:
    with pytest.raises(PinstripeError, match="what isn't loaded has to be awaited"):
        shop.open().session.sync_session.execute(select(User))


async def test_rows_that_were_kept_are_readable_after_a_rollback(shop: Shop) -> None:
    session = shop.open().session
    rows: Any = (await session.scalars(select(User).order_by(User.id))).all()
    rows[0].name = "acme changed"
    kept = keep_rows(session.sync_session)
    await session.rollback()
    restore_rows(kept)
    assert [row.name for row in rows[1:]] == ["acme Bob", "acme Cid"]
    await session.refresh(rows[0])
    assert rows[0].name == "acme Ann"
