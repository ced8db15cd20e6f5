"""What keeps a session in its scope at SQLAlchemy's own events, also where an author's events come in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

from pinstripe.errors import IsolationError
from tests.database.shop_models import User

if TYPE_CHECKING:
    from tests.database.shops import Shop

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("shop", ["sqlite-declared"], indirect=True)]


async def test_a_tenant_that_an_event_of_the_author_sets_is_refused(shop: Shop) -> None:
    session: Any = shop.open().session

    def steal(_mapper: Any, _connection: Any, row: Any) -> None:
        row.tenant_id = "globex"

    event.listen(User, "before_insert", steal)
    try:
        session.add(User(name="acme x"))
        with pytest.raises(IsolationError, match="tenant_id = 'globex' in a workspace of tenant 'acme'"):
            await session.commit()
        await session.rollback()
    finally:
        event.remove(User, "before_insert", steal)
    assert len(await shop.everything("users")) == 5


async def test_a_row_of_another_workspace_is_not_attached(shop: Shop) -> None:
    row = await shop.open("globex").users.first()
    shop_session = shop.open().session
    await shop.close()
    with pytest.raises(IsolationError, match="was read in another workspace can't be used in this one"):
        shop_session.add(row)
