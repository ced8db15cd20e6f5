from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, func, insert, literal, select, text
from sqlalchemy.exc import SAWarning
from sqlalchemy.orm import Session, selectinload, with_loader_criteria
from sqlalchemy.orm.exc import StaleDataError

from pinstripe.errors import IsolationError
from tests.database.attacks import shop_of_text, worlds
from tests.database.shop_models import Book, Log, Plan, Post, User

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Connection
    from sqlalchemy.orm import ORMExecuteState

    from tests.database.shops import Shop

pytestmark = pytest.mark.anyio

users: Any = User.__table__
posts: Any = Post.__table__
plans: Any = Plan.__table__
logs: Any = Log.__table__


@contextmanager
def listening(target: Any, name: str, listener: Callable[..., Any]) -> Iterator[None]:
    """Have an event of an author's, as it would be for the whole process."""
    event.listen(target, name, listener)
    try:
        yield
    finally:
        event.remove(target, name, listener)


highest = select(func.max(users.c.name)).scalar_subquery()

REFUSED: dict[str, Any] = {
    "a core query": select(users.c.name),
    "a query of the ORM": select(User.name),
    "a query inside of another": select(select(User.name).limit(1).scalar_subquery()),
    "text": text("select name from users"),
    "a function": select(func.max(users.c.id)),
    "an undeclared table": insert(logs).values(line="x"),
    "another tenant by values": insert(posts).values(tenant_id="globex", title="x", user_id=4),
    "a value of another table": insert(posts).values(title=highest, user_id=1),
    "an insert from a query": insert(posts).from_select(["title"], select(users.c.name)),
    "the tenant itself": posts.update().values(tenant_id="globex"),
    "a value of another row": posts.update().values(title=users.c.name).where(users.c.id == 4),
    "text in a condition": posts.delete().where(text("1 = 1")),
}


@pytest.mark.parametrize("work", REFUSED.values(), ids=REFUSED)
async def test_the_connection_that_an_event_is_given_is_kept_to_the_tenant(declared_shop: Shop, work: Any) -> None:
    before = await declared_shop.everything("posts"), await declared_shop.everything("logs")
    with listening(User, "before_insert", lambda _mapper, connection, _row: connection.execute(work)):
        database = declared_shop.open()
        database.session.add(User(name="acme new"))
        with pytest.raises(IsolationError):
            await database.session.commit()
        await database.session.rollback()
    assert (await declared_shop.everything("posts"), await declared_shop.everything("logs")) == before


async def test_text_of_the_drivers_and_parameters_are_looked_at_too(declared_shop: Shop) -> None:
    of_other = {"tenant_id": "globex", "title": "x", "user_id": 4}
    database = declared_shop.open()
    attempts: list[Callable[[Connection], Any]] = [
        lambda connection: connection.exec_driver_sql("select name from users").all(),
        lambda connection: connection.execute(insert(posts), of_other),
        lambda connection: connection.execute(insert(posts), [{"title": "x", "user_id": 1}, of_other]),
    ]
    for work in attempts:
        with listening(User, "before_insert", lambda _mapper, connection, _row, work=work: work(connection)):
            database.session.add(User(name="acme new"))
            with pytest.raises(IsolationError):
                await database.session.commit()
            await database.session.rollback()


async def test_what_events_write_there_is_the_tenants(declared_shop: Shop) -> None:
    """As SQLAlchemy's documentation has authors do it."""
    seen: list[Any] = []

    def work(_mapper: Any, connection: Connection, _row: User) -> None:
        seen.extend(connection.execute(select(plans.c.name).order_by(plans.c.id)).scalars())
        connection.execute(insert(posts), [{"title": "acme by event", "user_id": 1}])
        connection.execute(insert(posts).values(title="acme by values", tenant_id="acme", user_id=1))
        connection.execute(posts.update().where(posts.c.likes == 1).values(likes=posts.c.likes + 10))
        connection.execute(posts.delete().where(posts.c.title.like("%two")))

    before = {row for row in await declared_shop.everything("posts") if "globex" in row}
    with listening(User, "after_insert", work):
        database = declared_shop.open()
        database.session.add(User(name="acme new"))
        await database.session.commit()
    assert seen == ["free", "pro"]
    titles = [post.title for post in await database[Post].order_by("title").all()]
    assert titles == ["acme by event", "acme by values", "acme one", "acme three"]
    assert await database[Post].where(likes=11).count() == 1
    assert {row for row in await declared_shop.everything("posts") if "globex" in row} == before


async def test_a_row_is_not_given_what_a_query_over_all_tenants_finds(declared_shop: Shop) -> None:
    database = declared_shop.open()
    row = await database[User].order_by("id").first()
    assert row is not None
    row.name = select(func.max(Post.title)).scalar_subquery()
    with pytest.raises(IsolationError, match="posts"):
        await database.session.commit()


async def test_a_listener_of_the_authors_narrows_and_never_widens(declared_shop: Shop) -> None:
    database = declared_shop.open()

    def narrow(state: ORMExecuteState) -> None:
        state.statement = state.statement.options(with_loader_criteria(User, User.age > 30))

    def replace(state: ORMExecuteState) -> None:
        state.statement = select(User.name).order_by(User.id)

    with listening(Session, "do_orm_execute", narrow):
        assert [row.name for row in await database[User].all()] == ["acme Bob"]
        assert await database[User].count() == 1
        assert (await database.session.scalars(select(User.name))).all() == ["acme Bob"]
    with listening(Session, "do_orm_execute", replace), pytest.raises(IsolationError):
        await database.session.execute(select(User.id))
    invoked: list[Any] = [select(users.c.name), text("select name from users")]
    for statement in invoked:

        def invoke(state: ORMExecuteState, statement: Any = statement) -> Any:
            return state.invoke_statement(statement=statement)

        with listening(Session, "do_orm_execute", invoke), pytest.raises(IsolationError):
            await database.session.execute(select(User.id))


async def test_an_event_at_the_beginning_of_a_transaction_has_no_way_out(declared_shop: Shop) -> None:
    database = declared_shop.open()
    with (
        listening(
            Session, "after_begin", lambda _session, _transaction, connection: connection.execute(users.delete())
        ),
        pytest.raises(IsolationError),
    ):
        await database.session.execute(select(literal(1)))
    assert await database[User].count() == 3


async def test_what_links_rows_belongs_to_the_tenant_and_stays_so(tmp_path: Path) -> None:
    """A table between two classes gets the tenant by itself, and what another tenant has in it stays."""
    world = worlds.rows_on_sqlite(tmp_path / "shop")
    shop: Any = shop_of_text.shop
    async with world.access() as access:
        work = access.open(world.tenants[0])
        session = work.database.session
        user = (await session.scalars(select(shop.User).where(shop.User.id == 2))).unique().one()
        tag = (await session.scalars(select(shop.Tag))).one()
        await session.refresh(user, ["tags"])
        user.tags.append(tag)
        await session.commit()
        row = (
            (await session.scalars(select(shop.User).options(selectinload(shop.User.tags)).where(shop.User.id == 2)))
            .unique()
            .one()
        )
        assert row.tags == [tag]
        assert [link for link in world.look()[0] if "user_tags" in link and "'user_id': 2" in link] == [
            "user_tags {'tenant_id': 'acme', 'user_id': 2, 'tag_id': 1}"
        ]
        await work.close()
    for place in world.places:
        place.close()


async def test_rows_in_several_tables_are_written_and_read_again_as_the_tenants(declared_shop: Shop) -> None:
    session = declared_shop.open().session
    book = await session.get_one(Book, 2)
    book.pages, book.title = 201, "acme changed"
    session.add(Book(title="acme new", pages=5))
    await session.commit()
    session.expire(book, ["pages"])
    assert await session.run_sync(lambda _: book.pages) == 201
    session.expire(book)
    await session.refresh(book)
    assert (book.title, book.pages) == ("acme changed", 201)
    await session.delete(book)
    await session.commit()
    assert [row.title for row in await declared_shop.open()[Book].all()] == ["acme new"]
    assert [row for row in await declared_shop.everything("items") if "globex" in row] == [
        (3, "globex", "book", "globex book")
    ]
    assert (3, 300) in await declared_shop.everything("books")


@pytest.mark.parametrize("what", ["change", "delete", "read"])
async def test_a_row_in_several_tables_that_another_tenant_has_by_now(declared_shop: Shop, what: str) -> None:
    """The table that is written or read alone says nothing of a tenant."""
    session = declared_shop.open().session
    book = await session.get_one(Book, 2)
    await session.commit()
    async with declared_shop.access.unscoped(None, "to give it to another", "a test") as database:
        await database.session.execute(text("update items set tenant_id = 'globex' where id = 2"))
        await database.session.execute(text("update books set pages = 7 where id = 2"))
        await database.session.commit()
    if what == "read":
        session.expire(book, ["pages"])
        with pytest.raises(KeyError, match="pages"):  # as SQLAlchemy says of a row that isn't there
            await session.run_sync(lambda _: book.pages)
    elif what == "change":
        book.pages = 8
        with pytest.raises(StaleDataError):
            await session.commit()
    else:
        await session.delete(book)
        with pytest.warns(SAWarning, match="expected to delete 1 row"):
            await session.commit()
    await session.rollback()
    assert (2, 7) in await declared_shop.everything("books")
    assert len(await declared_shop.everything("items")) == 3


async def test_many_rows_are_written_at_once(declared_shop: Shop) -> None:
    session = declared_shop.open().session
    rows = [User(name=f"acme {number}") for number in range(1_500)]
    session.add_all(rows)
    await session.commit()
    for row in rows:
        row.age = 1
    await session.commit()
    assert await declared_shop.open()[User].where(age=1).count() == 1_500
    for row in rows:
        await session.delete(row)
    await session.commit()
    assert len(await declared_shop.everything("users")) == 5
