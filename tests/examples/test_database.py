from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from newsletter.store import Store

pytestmark = pytest.mark.anyio


async def ids(store: Store) -> list[str]:
    return [str(row["id"]) for row in await store.read("select id from tenants order by id")]


async def test_every_tenant_sees_its_own_rows_and_together_they_are_all(store: Store) -> None:
    from newsletter.database import Database

    seen: list[int] = []
    for tenant in await ids(store):
        users = await Database(store, tenant).users.all()
        assert {user.email.replace("(at)", "@").partition("@")[2] for user in users} == {f"{tenant}.example"}
        seen += [user.id for user in users]

    [row] = await store.read("select count(*) from users")
    assert len(seen) == len(set(seen)) == row[0] == 60


async def test_another_tenants_rows_can_be_neither_read_nor_changed_by_their_ids(store: Store) -> None:
    from newsletter.database import Database

    first, second = (Database(store, tenant) for tenant in (await ids(store))[:2])
    theirs = (await second.users.all())[0]

    assert await first.users.where(id=theirs.id).all() == []
    assert await first.users.where(id=theirs.id).update(name="changed") == 0
    assert await first.users.where(id=theirs.id).delete() == 0
    assert (await second.users.where(id=theirs.id).all()) == [theirs]


async def test_delete_without_where_ends_at_the_tenant(store: Store) -> None:
    from newsletter.database import Database

    first, second = (Database(store, tenant) for tenant in (await ids(store))[:2])
    before = await second.sessions.count()

    await first.sessions.delete()

    assert await first.sessions.count() == 0
    assert await second.sessions.count() == before


async def test_inserted_rows_belong_to_the_tenant_and_it_cannot_be_named(store: Store) -> None:
    from newsletter.database import Database

    first, second = (await ids(store))[:2]
    database = Database(store, first)
    users = database.users
    row: dict[str, str | int] = {
        "name": "New",
        "email": "new@first.example",
        "subscribed": True,
        "joined_at": "2026-01-01T00:00:00Z",
    }

    await users.insert(**row)

    assert [user.name for user in await users.where(email="new@first.example").all()] == ["New"]
    refused = r"expected a column of users .*, got 'tenant_id'"
    with pytest.raises(LookupError, match=refused):
        users.where(tenant_id=second)
    with pytest.raises(LookupError, match=refused):
        await users.insert(**row, tenant_id=second)
    with pytest.raises(LookupError, match=refused):
        await users.update(tenant_id=second)


async def test_without_a_tenant_only_shared_tables_are_reached(store: Store) -> None:
    from newsletter.database import Database, OutsideTenant

    database = Database(store, None)

    assert await database.tenants.count() == 6
    assert {plan.name for plan in await database.plans.all()} == {"free", "pro", "business"}
    for table in ("users", "issues", "articles", "deliveries", "sessions"):
        with pytest.raises(OutsideTenant, match=f"{table} belong to tenants"):
            getattr(database, table)


async def test_values_and_names_never_become_sql(store: Store) -> None:
    from newsletter.database import Database

    database = Database(store, (await ids(store))[0])
    everybody = await database.users.count()

    assert await database.users.where(name="' or 1 = 1 --").count() == 0
    with pytest.raises(LookupError, match="expected a column of users"):
        database.users.where(**{"1 = 1 or name": "x"})
    with pytest.raises(LookupError, match="expected one of ne, lt, gt, le, ge after name__, got 'like'"):
        database.users.where(name__like="%")
    assert await database.users.count() == everybody


async def test_comparisons(store: Store) -> None:
    from newsletter.database import Database

    users = Database(store, (await ids(store))[0]).users
    every = [user.id for user in await users.all()]
    middle = every[len(every) // 2]

    for lookup, kept in (
        ({"id": middle}, [middle]),
        ({"id__ne": middle}, [each for each in every if each != middle]),
        ({"id__lt": middle}, [each for each in every if each < middle]),
        ({"id__gt": middle}, [each for each in every if each > middle]),
        ({"id__le": middle}, [each for each in every if each <= middle]),
        ({"id__ge": middle, "id__lt": every[-1]}, [each for each in every if middle <= each < every[-1]]),
    ):
        assert [user.id for user in await users.where(**lookup).all()] == kept


async def test_rows_kept_past_the_workspace_cannot_reach_the_database(store: Store) -> None:
    from newsletter.database import Database

    database = Database(store, (await ids(store))[0])
    user = (await database.users.all())[0]
    database.close()

    with pytest.raises(RuntimeError, match="closed with its workspace"):
        await user.database.users.all()


async def test_a_missing_database_is_an_error_and_is_not_made(tmp_path: Path) -> None:
    from newsletter.store import Store

    with pytest.raises(FileNotFoundError, match=r"python -m newsletter\.seed"):
        Store(tmp_path / "absent.db")
    assert not (tmp_path / "absent.db").exists()
