from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Row, column, func, text

from pinstripe.errors import (
    ConfigurationError,
    IsolationError,
    PinstripeError,
    TenantRequired,
    UnknownColumn,
    UnknownTable,
    WorkspaceClosed,
)
from tests.database.shop_models import Base, Post, Session, User

if TYPE_CHECKING:
    from pinstripe.database.rows import Rows
    from tests.database.shops import Shop

pytestmark = pytest.mark.anyio

ODD = 'odd "names" %s: ünd'


def names(rows: list[Any]) -> list[str]:
    return [row.name.removeprefix("acme ") for row in rows]


@pytest.mark.parametrize(
    ("lookups", "expected"),
    [
        ({}, "Ann Bob Cid"),
        ({"name": "acme Ann"}, "Ann"),
        ({"name__ne": "acme Ann"}, "Bob Cid"),
        ({"age__lt": 40}, "Ann"),
        ({"age__le": 40}, "Ann Bob"),
        ({"age__gt": 30}, "Bob"),
        ({"age__ge": 30.5}, "Bob"),
        ({"name__begins_with": "acme A"}, "Ann"),
        ({"name__ends_with": "id"}, "Cid"),
        ({"name__contains": "B"}, "Bob"),
        ({"name__contains": "b"}, "Bob"),
        ({"name__contains": "_nn"}, ""),
        ({"plan": None}, "Bob"),
        ({"plan__ne": None}, "Ann Cid"),
        ({"plan__ne": "pro"}, "Cid"),
        ({"plan": ["pro", None]}, "Ann Bob"),
        ({"plan": ["pro", "free"], "age__ne": None}, "Ann"),
        ({"plan": []}, ""),
        ({"plan__ne": []}, "Ann Cid"),
        ({"name": "globex Ann"}, ""),
        ({"tenant_id": "globex"}, ""),
        ({"id": 2**80}, ""),
        ({"name": "a\0"}, ""),
        ({"age": True}, ""),
    ],
)
async def test_where_leaves_what_its_lookups_hold_for(shop: Shop, lookups: dict[str, Any], expected: str) -> None:
    rows = shop.open().users.where(**lookups).order_by("id")
    for _ in range(2):  # the second time by a statement that was built before
        assert names(await rows.all()) == expected.split()
        assert await rows.count() == len(expected.split())
        assert await rows.exists() is bool(expected)
        assert names([row async for row in shop.open().users.where(**lookups)]) == expected.split()


async def test_values_that_look_alike_are_told_apart_by_what_was_built_before(shop: Shop) -> None:
    users = shop.open().users
    assert await users.where(id=1).count() == 1
    assert len(await users.where(id=1).all()) == 1
    assert len(await users.where(id=True).all()) == 1
    assert len(await users.where(id=1.5).all()) == 0
    assert len(await users.where(plan="pro").all()) == 1
    assert len(await users.where(plan=None).all()) == 1
    assert len(await users.where(plan="").all()) == 0
    assert len(await users.where(plan=["free", "pro"]).all()) == 2
    assert len(await users.where(name__contains="Ann").all()) == 1
    assert len(await users.where(name__contains="").all()) == 3
    assert len(await users.where(name__lt="b").all()) == 3
    assert len(await users.where(name__lt="ü").all()) == 3


async def test_what_was_built_for_one_tenant_serves_the_next_with_its_own_rows(shop: Shop) -> None:
    databases = {tenant: shop.open(tenant) for tenant in ("acme", "globex")}
    for _ in range(3):
        for tenant, database in databases.items():
            rows = await database.users.where(age__ge=1).order_by("-id").limit(5).all()
            assert len(rows) == 2
            assert {row.tenant_id for row in rows} == {tenant}
            first = await database.posts.first()
            assert first is not None
            assert first.tenant_id == tenant
    async with shop.access.unscoped(None, "to see all", "a test") as unscoped:
        assert len(await unscoped.users.where(age__ge=1).order_by("-id").limit(5).all()) == 4


async def test_wheres_add_up_and_leave_the_rows_they_were_asked_of_alone(shop: Shop) -> None:
    users = shop.open().users
    pro = users.where(plan="pro")
    assert await pro.where(age=40).count() == 0
    assert (await pro.count(), await users.count()) == (1, 3)
    assert await users.where().count() == 3
    assert await users.where(name="acme Ann").where(name__ne="acme Ann").exists() is False


async def test_where_takes_expressions(shop: Shop) -> None:
    users = shop.open().users
    assert names(await users.where(func.lower(column("name")) == "acme bob").all()) == ["Bob"]
    assert names(await users.where(column("age").is_(None), plan="free").all()) == ["Cid"]
    if shop.declared:
        users = shop.open()[User]
        assert names(await users.where(User.name.ilike("%ANN")).all()) == ["Ann"]
        assert names(await users.where(User.posts.any(Post.title == "acme three")).all()) == ["Bob"]
        assert await users.where(User.posts.any(Post.title.like("globex%"))).count() == 0
        assert await users.where(User.id.in_([1, 4])).exists()


async def test_where_takes_relationships(shop: Shop) -> None:
    if not shop.declared:
        with pytest.raises(UnknownColumn, match="table 'users' has no column 'posts"):
            await shop.open().users.where(posts__title="x").all()
        return
    database = shop.open()
    for _ in range(2):
        assert names(await database.users.where(posts__title="acme three").all()) == ["Bob"]
        assert names(await database.users.where(posts={"title__begins_with": "acme t", "likes": 2}).all()) == ["Ann"]
        assert await database.users.where(posts__title__begins_with="globex").all() == []
        assert names(await database.users.where(posts=None).all()) == ["Cid"]
        assert [post.id for post in await database.posts.where(user__name__contains="nn").order_by("id").all()] == [
            1,
            2,
        ]


@pytest.mark.parametrize(
    ("ask", "error", "message"),
    [
        (lambda rows: rows.where(nmae="x").all(), UnknownColumn, "has no column 'nmae'; the nearest is name"),
        (lambda rows: rows.where(name__gte="x").all(), ConfigurationError, "the nearest is name__ge"),
        (lambda rows: rows.where(age__contains=4).all(), ConfigurationError, "expected text to compare with"),
        (lambda rows: rows.where(age="forty").count(), ConfigurationError, "where.age='forty'.: expected age to be"),
        (lambda rows: rows.where(age__lt=None).exists(), ConfigurationError, "None has no order"),
        (lambda rows: rows.order_by("nam").all(), UnknownColumn, "has no column 'nam'; the nearest is name"),
        (lambda rows: rows.order_by("").all(), UnknownColumn, "has no column ''; it has id, tenant_id, name"),
        (lambda rows: rows.order_by(text("name")).all(), IsolationError, "SQL written as text .'name'. can't be kept"),
        (lambda rows: rows.where(text("1=1")), ConfigurationError, "got <.*> .TextClause."),
        (lambda rows: rows.where("name = 'x'"), ConfigurationError, "or a lookup such as name='x'; got \"name = 'x'\""),
        (lambda rows: rows.where(True), ConfigurationError, "got True .bool."),
        (lambda rows: rows.order_by(5), ConfigurationError, "expected a column's name or an expression, got 5"),
        (lambda rows: rows.limit(-1), ConfigurationError, "expected a whole number of at least 0, got -1"),
        (lambda rows: rows.limit(True), ConfigurationError, "got True"),
        (lambda rows: rows.limit("1"), ConfigurationError, "got '1'"),
        (lambda rows: anext(rows.pages(0)), ConfigurationError, "expected a size of at least 1, got 0"),
        (lambda rows: anext(rows.pages("2")), ConfigurationError, "expected a size of at least 1, got '2'"),
        (lambda rows: anext(rows.order_by("id").pages()), ConfigurationError, "leave order_by out, or use all"),
    ],
)
async def test_what_cannot_be_asked_is_told_with_the_remedy(
    shop: Shop, ask: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        await ask(shop.open().users)


async def test_rows_that_are_awaited_or_tested_by_mistake_say_what_is_missing(shop: Shop) -> None:
    rows: Any = shop.open().users.where(name="x")
    with pytest.raises(
        ConfigurationError, match=r"Rows\(users\): expected an operation to await, as `await ….all\(\)`"
    ):
        await rows
    with pytest.raises(
        ConfigurationError, match=r"Rows\(users\): whether .* isn't known yet; expected `await ….exists"
    ):
        bool(rows)
    assert repr(shop.open()[User]) == "Rows(User)"


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (("name",), "Ann Bob Cid"),
        (("-name",), "Cid Bob Ann"),
        ((column("name").desc(),), "Cid Bob Ann"),
        (("level", "-id"), "Cid Bob Ann"),
        ((func.length(column("plan")) * 0, "-id"), "Cid Ann Bob"),
    ],
)
async def test_order_by_takes_names_and_expressions(shop: Shop, order: tuple[Any, ...], expected: str) -> None:
    rows = shop.open().users
    if len(order) == 2 and not isinstance(order[0], str):
        rows = rows.order_by(column("plan").is_(None))
    assert names(await rows.order_by(*order).all()) == expected.split()


async def test_order_bys_add_up(shop: Shop) -> None:
    rows = shop.open().users.order_by("level").order_by("-name")
    assert names(await rows.all()) == ["Cid", "Bob", "Ann"]
    if shop.declared:
        assert names(await shop.open()[User].order_by(User.name.desc()).all()) == ["Cid", "Bob", "Ann"]


async def test_limit_leaves_the_smallest_that_was_said(shop: Shop) -> None:
    rows = shop.open().users.order_by("-id")
    assert names(await rows.limit(2).all()) == ["Cid", "Bob"]
    assert names(await rows.limit(1).limit(2).all()) == ["Cid"]
    assert await rows.limit(0).all() == []
    assert (await rows.limit(0).count(), await rows.limit(2).count(), await rows.limit(9).count()) == (0, 2, 3)
    assert (await rows.limit(0).exists(), await rows.limit(1).exists()) == (False, True)
    assert await rows.limit(0).first() is None


async def test_first_is_the_first_in_order_and_then_by_primary_key(shop: Shop) -> None:
    users = shop.open().users
    for expected, rows in {
        "Ann": users,
        "Cid": users.order_by("-name"),
        "Bob": users.where(plan=None),
        "Ann ": users.order_by("level"),
        " Ann": users.order_by(column("level")),
    }.items():
        first = await rows.first()
        assert first is not None
        assert names([first]) == [expected.strip()]
    assert await users.where(name="nobody").first() is None
    lines = await shop.open().lines.first()
    assert lines is not None
    assert lines.text == "acme 1.1"


async def read(rows: Rows[Any], size: int) -> list[list[Any]]:
    return [page async for page in rows.pages(size)]


@pytest.mark.parametrize("size", [1, 2, 3, 4])
async def test_pages_go_by_primary_key(shop: Shop, size: int) -> None:
    database = shop.open()
    pages = await read(database.users, size)
    assert [name for page in pages for name in names(page)] == ["Ann", "Bob", "Cid"]
    assert all(len(page) <= size for page in pages)
    lines = [line.text for page in await read(database.lines, size) for line in page]
    assert lines == ["acme 1.1", "acme 1.2", "acme 2.1"]
    assert [len(page) for page in await read(database.users.limit(2), size)] == ([1, 1] if size == 1 else [2])
    assert await read(database.users.where(name="nobody"), size) == []
    assert await read(database.users.limit(0), size) == []


async def test_rows_that_come_and_go_meanwhile_neither_repeat_nor_spoil_the_reading(shop: Shop) -> None:
    database = shop.open()
    seen = []
    async for page in database.users.pages(1):
        seen += names(page)
        if seen == ["Ann"]:
            await database.posts.delete()
            await database.users.where(id=2).delete()
            await database.users.insert(id=50, name="acme New")
    assert seen == ["Ann", "Cid", "New"]


async def test_a_reading_that_is_broken_off_holds_nothing(shop: Shop) -> None:
    database = shop.open()
    async for row in database.users:
        assert names([row]) == ["Ann"]
        break
    async with database.transaction():
        assert await database.users.count() == 3


async def test_a_table_without_a_primary_key_is_read_at_once_only(shop: Shop) -> None:
    visits = shop.open().visits
    assert [tuple(row) for row in await visits.all()] == [("acme", "acme /", 1)] * 2
    assert await visits.limit(1).count() == 1
    first = await visits.first()
    assert isinstance(first, Row)
    with pytest.raises(ConfigurationError, match="'visits' has no primary key to be read in pages by; use all"):
        [row async for row in visits]


async def test_rows_are_instances_of_the_authors_class_or_plain_rows(shop: Shop) -> None:
    database = shop.open()
    rows = await database.users.order_by("id").all()
    assert all(isinstance(row, User if shop.declared else Row) for row in rows)
    assert (rows[0].id, rows[0].tenant_id, rows[0].name, rows[0].plan) == (1, "acme", "acme Ann", "pro")
    if shop.declared:
        assert await database[User].order_by("id").all() == rows, "one session gives one object for one row"
    else:
        with pytest.raises(UnknownTable, match="User is no mapped class of this database, which has no models"):
            await database[User].all()


async def test_a_relationship_that_is_not_loaded_says_how_to_await_it_and_spoils_nothing(declared_shop: Shop) -> None:
    database = declared_shop.open()
    ann = await database[User].first()
    assert ann is not None
    for _ in range(2):
        with pytest.raises(PinstripeError, match=r"has to be awaited: .*`await database.session.refresh\(row, "):
            _ = ann.posts
        assert await database.users.count() == 3
    await database.session.refresh(ann, ["posts"])
    assert [post.title for post in ann.posts] == ["acme one", "acme two"]
    await database.session.rollback()


async def test_tables_of_any_name_are_reached_in_brackets(shop: Shop) -> None:
    database = shop.open()
    for name in ("session", "transaction", "tenant", "users"):
        assert {row.tenant_id for row in await database[name].all()} == {"acme"}
    assert await database[ODD].all() == []
    await database[ODD].insert()
    assert len([row async for row in database[ODD]]) == 1
    if shop.declared:
        assert await database[Session].count() == 1
    else:
        assert await database[ODD].where(**{"a value: %(x)s": None}).order_by("-a value: %(x)s").count() == 1


async def test_unknown_tables_are_told_with_the_nearest(shop: Shop) -> None:
    database = shop.open()
    with pytest.raises(UnknownTable, match=r"there is no table 'user': .*; the nearest is users"):
        await database.user.all()
    with pytest.raises(UnknownTable, match=r"there is no table 'zzz': .*; there are .*plans, posts"):
        await database.zzz.count()
    with pytest.raises(UnknownTable, match="Base is no mapped class of"):
        await database[Base].all()
    wrong: Any = 5
    with pytest.raises(ConfigurationError, match=r"expected the name of a table or a mapped class, got 5"):
        database[wrong]
    with pytest.raises(AttributeError, match=r"no attribute '_users'; a table of that name is database\['_users'\]"):
        database._users  # noqa: B018, SLF001 - a mistake


async def test_a_table_that_says_nothing_of_tenants_is_refused_by_every_operation(shop: Shop) -> None:
    logs = shop.open().logs
    for operation in (logs.all, logs.first, logs.count, logs.exists, logs.insert, logs.delete, logs.limit(1).all):
        with pytest.raises(
            IsolationError, match="'logs' can't be used: it has no column 'tenant_id', nor is it named in"
        ):
            await operation()
    with pytest.raises(IsolationError):
        await logs.update(line="mine")
    with pytest.raises(IsolationError):
        await logs.insert_many([{"line": "mine"}])
    with pytest.raises(IsolationError):
        [row async for row in logs]


async def test_without_a_tenant_there_are_shared_tables_only(shop: Shop) -> None:
    database = shop.open(None)
    assert names(await database.plans.order_by("id").all()) == ["free", "pro"]
    users = database.users
    for operation in (users.all, users.first, users.count, users.exists, users.insert, users.delete):
        with pytest.raises(TenantRequired, match="'users' belongs to tenants, and this workspace has none"):
            await operation()


async def test_a_view_is_a_table_to_read(shop: Shop) -> None:
    if shop.declared:
        with pytest.raises(UnknownTable):
            await shop.open().grown.all()
    else:
        assert names(await shop.open().grown.all()) == ["Bob"]


async def test_a_class_in_two_tables_is_read_as_what_each_row_is(shop: Shop) -> None:
    database = shop.open()
    assert [item.title for item in await database.items.order_by("id").all()] == ["acme cup", "acme book"]
    if not shop.declared:
        with pytest.raises(IsolationError, match="'books'"):
            await database.books.all()
        return
    for _ in range(2):
        assert [(book.title, book.pages) for book in await database.books.where(title__ne="x").all()] == [
            ("acme book", 200)
        ]
    assert await database.books.limit(5).count() == 1
    assert [book.pages async for book in database.books] == [200]
    first = await database.books.order_by("pages").first()
    assert first is not None
    assert first.kind == "book"


async def test_nothing_is_read_after_the_end(shop: Shop) -> None:
    database = shop.open()
    rows = database.users.where(name="x")
    await shop.close()
    with pytest.raises(WorkspaceClosed, match=r"the database \(tenant acme\) is closed with its workspace"):
        await rows.all()
