from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import column, func, select
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import aliased

from pinstripe.errors import ConfigurationError, IsolationError, UnknownColumn
from tests.database.shop_models import Item, Plan, Post, User, visits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.database.shops import Shop

pytestmark = pytest.mark.anyio


async def globex(shop: Shop) -> list[Any]:
    """Give all that isn't the tenant's of the tests."""
    tables = ("users", "posts", "lines", "items", "visits", "session")
    rows = [row for table in tables for row in await shop.everything(table)]
    books = [book for book in await shop.everything("books") if book[0] == 3]
    return books + [row for row in rows if not any(str(value).startswith("acme") for value in row)]


class Values(Mapping[str, Any]):
    """A mapping that is no dict."""

    def __getitem__(self, key: str) -> Any:
        return {"name": "acme mapped"}[key]

    def __iter__(self) -> Iterator[str]:
        yield "name"

    def __len__(self) -> int:
        return 1


async def test_an_inserted_row_is_given_as_the_database_has_it(shop: Shop) -> None:
    database = shop.open()
    user = await database.users.insert(name="acme Dan", plan="pro")
    assert (user.tenant_id, user.name, user.plan, user.age, user.level) == ("acme", "acme Dan", "pro", None, 7)
    assert user.joined_at is not None
    assert await database.users.where(id=user.id, name="acme Dan").count() == 1
    post = await database.posts.insert(user_id=user.id, title="acme new", **({} if shop.declared else {"likes": 3}))
    assert post.likes == 3
    if shop.declared:
        assert isinstance(await shop.open()[User].insert(name="acme Eve"), User)


async def test_an_inserted_value_may_be_an_expression(shop: Shop) -> None:
    user = await shop.open().users.insert(name=func.lower("ACME X"), age=1 + func.length("four"), plan=None)
    assert (user.tenant_id, user.name, user.age) == ("acme", "acme x", 5)


async def test_a_row_of_a_composite_key_and_one_without_any_are_inserted(shop: Shop) -> None:
    database = shop.open()
    order, number = ("order", "number") if shop.declared else ("order_no", "line_no")
    line = await database.lines.insert(**{order: 7, number: 8}, text="acme 7.8")
    assert (getattr(line, order), getattr(line, number), line.text) == (7, 8, "acme 7.8")
    visit = await database.visits.insert(path="acme /new")
    assert tuple(visit) == ("acme", "acme /new", None)
    plan = await database.plans.insert(name="gold")
    assert plan.name == "gold"


@pytest.mark.parametrize("tenant", ["globex", "Acme", "acme ", None, 1, func.lower("ACME"), column("name")])
async def test_a_row_of_another_tenant_is_not_inserted(shop: Shop, tenant: object) -> None:
    before = await globex(shop)
    database = shop.open()
    with pytest.raises(IsolationError, match=r"tenant_id = .* in a workspace of tenant 'acme'; leave tenant_id out"):
        await database.users.insert(name="acme x", tenant_id=tenant)
    rows: list[dict[str, object]] = [{"name": "acme y"}, {"name": "acme x", "tenant_id": tenant}]
    with pytest.raises((IsolationError, ConfigurationError)):
        await database.users.insert_many(rows)
    assert await database.users.count() == 3
    assert (await database.users.insert(name="acme z", tenant_id="acme")).tenant_id == "acme"
    assert await globex(shop) == before


async def test_inserts_that_cannot_be_are_told(shop: Shop) -> None:
    users = shop.open().users
    with pytest.raises(UnknownColumn, match="has no column 'nme'; the nearest is name"):
        await users.insert(nme="acme x")
    with pytest.raises(IntegrityError):
        await users.insert()
    with pytest.raises(IntegrityError, match="hide_parameters"):
        await users.insert(id=4, name="acme takes a key of globex")
    with pytest.raises(IsolationError, match=r"stands in a|is none that"):
        await users.insert(name=User.name)
    with pytest.raises(UnknownColumn, match=r"posts"):
        await users.insert(name="acme x", posts=[])
    assert await users.count() == 3


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 2500])
async def test_many_rows_are_inserted(shop: Shop, count: int) -> None:
    users = shop.open().users
    assert await users.insert_many({"name": f"acme {number}", "age": 99} for number in range(count)) == count
    added = await users.where(age=99).all()
    assert (len(added), {user.tenant_id for user in added} or {"acme"}) == (count, {"acme"})


async def test_rows_of_different_columns_are_inserted_together(shop: Shop) -> None:
    users = shop.open().users
    rows: list[Mapping[str, Any]] = [
        {"name": "acme 1"},
        {"name": "acme 2", "plan": "gold", "level": 1},
        Values(),
        {"plan": "gold", "name": "acme 3", "level": 2, "tenant_id": "acme"},
        {"name": "acme 4"},
    ]
    assert await users.insert_many(rows) == 5
    found = await users.where(id__gt=3, name__ne=["globex Ann", "globex Bob"]).order_by("name").all()
    assert [(user.name, user.plan, user.level) for user in found] == [
        ("acme 1", None, 7),
        ("acme 2", "gold", 1),
        ("acme 3", "gold", 2),
        ("acme 4", None, 7),
        ("acme mapped", None, 7),
    ]
    if shop.declared:
        assert await shop.open().posts.insert_many([{"user_id": 1, "title": "acme x"}]) == 1
        assert await shop.open().posts.where(title="acme x", likes=3).exists(), "defaults of the class hold"


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"nme": "acme"}, UnknownColumn),
        ({"name": None}, DBAPIError),
        ({"name": func.lower("x")}, ConfigurationError),
        ("name", ConfigurationError),
        (None, ConfigurationError),
        (User(name="acme x"), ConfigurationError),
    ],
)
async def test_one_wrong_row_undoes_all(shop: Shop, wrong: Any, error: type[Exception]) -> None:
    users = shop.open().users
    with pytest.raises(error):
        await users.insert_many([*({"name": f"acme {number}"} for number in range(1500)), wrong])
    assert await users.count() == 3


async def test_rows_that_fail_to_come_undo_all(shop: Shop) -> None:
    def rows() -> Iterator[dict[str, Any]]:
        for number in range(1200):
            yield {"name": f"acme {number}"}
        raise LookupError

    users = shop.open().users
    with pytest.raises(LookupError):
        await users.insert_many(rows())
    assert await users.count() == 3


@pytest.mark.parametrize("given", [None, 5, {"name": "acme x"}, User])
async def test_what_is_no_list_of_rows_is_told(shop: Shop, given: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"insert_many of 'users': expected rows, each a mapping .*; got"):
        await shop.open().users.insert_many(given)


async def test_an_update_sets_columns_of_the_chosen_rows(shop: Shop) -> None:
    before = await globex(shop)
    users = shop.open().users
    assert await users.where(plan="pro").update(plan="gold", age=31) == 1
    assert await users.where(plan="gold", age=31).count() == 1
    assert await users.where(name="nobody").update(plan="none") == 0
    assert await users.where(name__begins_with="globex").update(plan="stolen") == 0
    assert await users.where(plan=None).update(plan="new") == 1
    assert await users.update(level=column("level") + 1) == 3
    assert await users.where(level=8).count() == 3
    assert await shop.open().visits.update(seconds=5) == 2
    assert await shop.open().lines.where(text__contains="1.").update(text="acme changed") == 2
    assert await globex(shop) == before


async def test_rows_in_hand_show_what_an_update_made_of_them(shop: Shop) -> None:
    if not shop.declared:
        return
    database = shop.open()
    ann = await database[User].where(id=1).first()
    assert ann is not None
    await database.users.update(level=User.level + 1, plan="new")
    assert (ann.level, ann.plan) == (8, "new")
    await database.users.where(id=1).update(level=column("level") * 2, name=func.upper(User.name))
    assert (ann.level, ann.name) == (16, "ACME ANN")


async def test_a_limited_update_or_delete_takes_the_first_in_order(shop: Shop) -> None:
    database = shop.open()
    assert await database.users.order_by("-id").limit(2).update(plan="last") == 2
    assert [user.plan for user in await database.users.order_by("id").all()] == ["pro", "last", "last"]
    assert await database.users.limit(0).update(plan="none") == 0
    assert await database.lines.order_by("-text").limit(1).delete() == 1
    assert [line.text for line in await database.lines.order_by("text").all()] == ["acme 1.1", "acme 1.2"]
    assert await database.lines.limit(0).delete() == 0
    for change in (database.visits.limit(1).update(seconds=0), database.visits.limit(1).delete()):
        with pytest.raises(ConfigurationError, match="of table 'visits' needs a primary key here, and it has none"):
            await change


async def test_a_change_may_be_chosen_by_relationship_or_expression(shop: Shop) -> None:
    database = shop.open()
    assert await database.users.where(func.length(column("name")) > 0, id=1).update(plan="x") == 1
    if not shop.declared:
        return
    before = await globex(shop)
    assert await database.users.where(posts__title="acme three").update(plan="y") == 1
    assert await database.users.where(User.posts.any(Post.title == "acme one")).update(plan="z") == 1
    assert [user.plan for user in await database.users.order_by("id").all()] == ["z", "y", "free"]
    assert await database.users.where(posts__title__begins_with="globex").update(plan="stolen") == 0
    assert await database.posts.where(user__name="acme Ann").delete() == 2
    assert await database.posts.where(Post.user.has(User.name.like("globex%"))).delete() == 0
    assert await globex(shop) == before


async def test_names_that_are_nearly_right_are_told(declared_shop: Shop) -> None:
    database = declared_shop.open()
    with pytest.raises(UnknownColumn, match="Line has no attribute 'order_no': the class calls that column 'order'"):
        await database.lines.insert(order_no=7)
    with pytest.raises(UnknownColumn, match="Line has no attribute 'tenant_id': the class calls that column 'tenant'"):
        await database.lines.where(tenant_id="acme").all()
    with pytest.raises(UnknownColumn, match=r"User.posts is a relationship; expected a column, such as id"):
        await database.users.order_by("posts").all()
    with pytest.raises(UnknownColumn, match=r"User.posts is a relationship; expected columns, or use"):
        await database.users.update(posts=[])


async def test_updates_that_cannot_be_are_told(shop: Shop) -> None:
    users = shop.open().users
    with pytest.raises(ConfigurationError, match=r"update of 'users': expected at least one column with its new value"):
        await users.update()
    with pytest.raises(UnknownColumn, match="has no column 'nme'; the nearest is name"):
        await users.update(nme="x")
    for tenant in ("globex", "acme", None):
        with pytest.raises(IsolationError, match="tenant_id can't be changed: a row stays with its tenant"):
            await users.update(tenant_id=tenant)
    with pytest.raises(IntegrityError):
        await users.update(name=None)
    assert await users.where(plan="pro").count() == 1


async def test_a_deletion_takes_the_chosen_rows_and_no_others(shop: Shop) -> None:
    before = await globex(shop)
    database = shop.open()
    assert await database.posts.where(likes__ge=2).delete() == 2
    assert await database.posts.count() == 1
    assert await database.posts.where(title="nothing").delete() == 0
    assert await database.posts.delete() == 1
    assert await database.users.where(id=[2, 3, 4]).delete() == 2
    assert await database.visits.delete() == 2
    assert await globex(shop) == before


async def test_a_class_in_two_tables_is_changed_in_both(shop: Shop) -> None:
    if not shop.declared:
        return
    before = await globex(shop)
    database = shop.open()
    book = await database.books.insert(title="acme second", pages=5)
    assert (book.kind, book.tenant_id, book.pages) == ("book", "acme", 5)
    assert await database.books.insert_many([{"title": "acme third", "pages": 6}]) == 1
    assert await database.books.where(pages__lt=100).update(title="acme short", pages=column("pages") + 1) == 2
    assert (book.title, book.pages) == ("acme short", 6)
    assert await database.books.update(pages=10) == 3
    assert await database.items.update(title="acme thing") == 4
    assert await database.books.where(title="acme thing").limit(1).order_by("-id").delete() == 1
    assert await database.books.count() == 2
    cup = await database.items.insert(title=func.lower("ACME CUP"))
    assert (type(cup), cup.kind, cup.title) == (Item, "item", "acme cup")
    with pytest.raises(ConfigurationError, match="Book is in several tables; got an expression"):
        await database.books.insert(title=func.lower("X"), pages=1)
    with pytest.raises(ConfigurationError, match=r"Book.id isn't in one table alone, so update\(…\) can't change it"):
        await database.books.update(id=5)
    assert await database.items.delete() == 4
    assert (await database.books.count(), await database.items.count()) == (0, 0)
    assert await globex(shop) == before


other_user = aliased(User)
every_visit = visits.alias()

FOREIGN: dict[str, Any] = {
    "a column of another table": Post.title,
    "a column of another table by an alias": aliased(Post).title,
    "the same table by an alias": other_user.name,
    "a bare column of another table": Post.__table__.c.title,
    "a query of bare columns": select(Post.__table__.c.title).limit(1).scalar_subquery(),
}
QUERIES: dict[str, Any] = {
    "a query": select(func.max(Post.title)).scalar_subquery(),
    "a query of the same table": select(func.max(User.name)).correlate(None).scalar_subquery(),
    "a query of a query": select(select(Post.title).cte().c.title).limit(1).scalar_subquery(),
}


@pytest.mark.parametrize("expression", [*FOREIGN.values()], ids=FOREIGN.keys())
async def test_a_value_is_never_read_from_rows_that_nothing_keeps_to_the_tenant(
    declared_shop: Shop, expression: Any
) -> None:
    database = declared_shop.open()
    before = await declared_shop.everything("users")
    for change in (
        database.users.update(plan=expression),
        database.users.insert(name="acme x", plan=expression),
        database.books.update(title=expression),
        database.visits.update(path=expression),
        database.visits.insert(path=expression),
        database.visits.where(column("path") == expression).all(),
        database.visits.order_by(expression).all(),
    ):
        with pytest.raises(IsolationError):
            await change
    with pytest.raises(ConfigurationError, match=r"where\(name=…\): expected a value, got an expression"):
        database.users.where(name=expression)
    with pytest.raises(ConfigurationError, match=r"where\(name__ne=…\): expected a value, got an expression"):
        database.users.where(name__ne=["x", expression])
    assert await declared_shop.everything("users") == before


@pytest.mark.parametrize("expression", [*QUERIES.values()], ids=QUERIES.keys())
async def test_a_query_in_a_value_is_kept_to_the_tenant_or_refused(declared_shop: Shop, expression: Any) -> None:
    database = declared_shop.open()
    assert await database.users.update(plan=expression) == 3
    assert all(user.plan.startswith("acme") for user in await database.users.all())
    for change in (
        database.users.insert(name="acme x", plan=expression),
        database.books.update(title=expression),
        database.visits.update(path=expression),
        database.visits.where(column("path") < expression).all(),
    ):
        with pytest.raises(IsolationError):
            await change


async def test_a_table_without_a_class_is_never_compared_with_all_of_itself(declared_shop: Shop) -> None:
    rows = declared_shop.open().visits
    highest = select(func.max(visits.c.seconds)).correlate(None).scalar_subquery()
    for asked in (
        rows.where(visits.c.seconds < highest).all(),
        rows.where(every_visit.c.seconds > 0).count(),
        rows.update(seconds=highest),
        rows.insert(seconds=highest),
        rows.order_by(highest).all(),
    ):
        with pytest.raises(IsolationError):
            await asked
    assert await rows.where(visits.c.seconds > 0).update(seconds=visits.c.seconds + 1) == 2
    shared = select(func.count(Plan.id)).scalar_subquery()
    assert await rows.where(visits.c.seconds <= shared).update(seconds=shared) == 2


@pytest.mark.parametrize("how", ["a savepoint", "a transaction"])
async def test_an_inserted_row_that_was_rolled_back_is_forgotten(declared_shop: Shop, how: str) -> None:
    """SQLite gives its number to the next row, which is another one."""
    shop, key = declared_shop, 900
    database = shop.open()
    kept: list[Any] = []

    async def undone() -> None:
        async with database.transaction():
            kept.append(await database.users.insert(id=key, name="acme undone", level=func.abs(1)))
            async with database.transaction():
                kept.append(await database.posts.insert(id=key, user_id=1, title="acme undone too"))
            raise KeyError

    if how == "a transaction":
        with pytest.raises(KeyError):
            await undone()
        await database.users.insert(id=key, name="acme other")
    else:
        async with database.transaction():
            with pytest.raises(KeyError):
                await undone()
            await database.users.insert(id=key, name="acme other")
    assert not any(row in database.session for row in kept)
    found = await database.session.get(User, key)
    assert found is not None
    assert found is not kept[0]
    assert found.name == "acme other"
    database.session.add(Post(id=key, user_id=1, title="acme added"))
    await database.session.commit()


async def test_an_inserted_row_stays_where_a_savepoint_within_was_rolled_back(declared_shop: Shop) -> None:
    database = declared_shop.open()
    async with database.transaction():
        async with database.transaction():
            user = await database.users.insert(name="acme kept")
        with pytest.raises(KeyError):
            async with database.transaction():
                raise KeyError
    assert user in database.session
    assert await database.session.get(User, user.id) is user
