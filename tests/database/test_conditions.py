"""Lookups written as SQL: what a key names, and what is asked of the column."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Double,
    Float,
    ForeignKey,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    TypeDecorator,
    false,
    insert,
    select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, synonym
from sqlalchemy.types import NullType, Time

from pinstripe.database.conditions import column_of, conditions
from pinstripe.errors import ConfigurationError, UnknownColumn
from pinstripe.text_values import TextValue
from tests.database.readers import new_engine
from tests.postgres import OWNER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncEngine

    from tests.postgres import Postgres

pytestmark = pytest.mark.anyio


class Reversed(TypeDecorator[str]):
    """A type of an author's own: text that is kept backwards."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: object) -> str | None:
        return value and value[::-1]

    def process_result_value(self, value: str | None, dialect: object) -> str | None:
        return value and value[::-1]


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None] = mapped_column("full_name", index=True)
    seats: Mapped[int | None] = mapped_column(index=True)
    geo__code: Mapped[str | None]
    geo__ne: Mapped[str | None]
    seen: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    made: Mapped[datetime | None]
    data: Mapped[Any] = mapped_column(JSON, nullable=True)
    secret: Mapped[str | None] = mapped_column(Reversed)
    boss_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    boss: Mapped[User | None] = relationship(remote_side="User.id")
    posts: Mapped[list[Post]] = relationship(back_populates="user")
    label: Mapped[str | None] = synonym("name")

    @hybrid_property
    def is_big(self) -> bool:
        return self.seats is not None and self.seats > 10

    @is_big.inplace.expression
    @classmethod
    def _is_big(cls) -> ColumnElement[bool]:
        return cls.seats.op(">", return_type=Boolean())(10)


class Post(Base):
    __tablename__ = "posts"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    likes: Mapped[int | None]
    contains: Mapped[str | None]
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    user: Mapped[User | None] = relationship(back_populates="posts")


@pytest.fixture(params=["sqlite", "postgresql"])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    url = f"sqlite:///{tmp_path}/app.db"
    if request.param == "postgresql":
        postgres: Postgres = request.getfixturevalue("postgres")
        url = postgres.url(request.getfixturevalue("postgres_database"), OWNER)
    async with new_engine(url) as made:
        async with made.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        yield made


async def put(engine: AsyncEngine, *items: Any) -> None:
    async with AsyncSession(engine) as session:
        session.add_all(items)
        await session.commit()


async def ask(engine: AsyncEngine, entity: Any, lookups: Mapping[str, object]) -> list[Any]:
    """Give the ids for which the lookups hold."""
    found = column_of(entity, "id")
    async with engine.connect() as connection:
        statement = select(found).where(*conditions(entity, lookups, engine.dialect.name)).order_by(found)
        return list((await connection.execute(statement)).scalars())


async def test_a_key_is_an_attribute_of_the_class(engine: AsyncEngine) -> None:
    await put(engine, User(id=1, name="a", seats=5), User(id=2, name="b", seats=50))
    assert await ask(engine, User, {"name": "a"}) == [1]
    assert await ask(engine, User, {"label": "b", "seats__ge": 2}) == [2]
    assert await ask(engine, User, {"is_big": True}) == [2]
    assert await ask(engine, User.__table__, {"full_name": "a"}) == [1]
    with pytest.raises(UnknownColumn, match="table 'users' has no column 'name'; the nearest is full_name"):
        await ask(engine, User.__table__, {"name": "a"})


async def test_a_name_may_have_underscores(engine: AsyncEngine) -> None:
    await put(engine, User(id=1, geo__code="x", geo__ne="n"), User(id=2, geo__code="y"))
    assert await ask(engine, User, {"geo__code": "x"}) == [1]
    assert await ask(engine, User, {"geo__code__ne": "x"}) == [2]
    assert await ask(engine, User, {"geo__ne": "n"}) == [1]
    assert await ask(engine, User.__table__, {"geo__ne__begins_with": ["z", "n"]}) == [1]


async def test_relationships_are_followed(engine: AsyncEngine) -> None:
    boss = User(id=1, name="boss", posts=[Post(id=1, title="x", likes=1), Post(id=2, title="y", likes=9)])
    await put(engine, boss, User(id=2, name="a", boss=boss), User(id=3, posts=[Post(id=3, title="x", likes=9)]))
    assert await ask(engine, User, {"posts__title": "x"}) == [1, 3]
    assert await ask(engine, User, {"posts__title__begins_with": ["y", "z"]}) == [1]
    assert await ask(engine, User, {"posts__title": "x", "posts__likes": 9}) == [1, 3]
    assert await ask(engine, User, {"posts": {"title": "x", "likes": 9}}) == [3]
    assert await ask(engine, User, {"posts": {}}) == await ask(engine, User, {"posts__ne": None}) == [1, 3]
    assert await ask(engine, User, {"posts": None}) == [2]
    assert await ask(engine, User, {"boss__name": "boss"}) == await ask(engine, User, {"boss__ne": None}) == [2]
    assert await ask(engine, User, {"boss": TextValue("null")}) == [1, 3]
    assert await ask(engine, Post, {"user": {"name": "boss"}, "likes__gt": 1}) == [2]
    assert await ask(engine, Post, {"user": {"boss": {"posts__likes": 9}}}) == []
    assert await ask(engine, User, {"boss__posts__title": "y"}) == [2]
    assert await ask(engine, User, {"posts__contains": None}) == [1, 3]


@pytest.mark.parametrize(
    ("lookups", "message"),
    [
        ({"nmae": 1}, "User has no column 'nmae'; the nearest is made or name"),
        ({"nmae__ge": 1}, "User has no column 'nmae'"),
        ({"psots__title": 1}, "User has no column 'psots'; the nearest is posts"),
        ({"posts__titel": "x"}, "Post has no column 'titel'; the nearest is title"),
        ({"boss": {"nmae": "x"}}, "User has no column 'nmae'"),
        ({"name__gte": "x"}, "'name__gte': expected an attribute.*the nearest is name__ge"),
        ({"posts__title__lik": "x"}, "'title__lik': expected an attribute"),
        ({"seats": "5"}, r"where\(seats='5'\): expected seats to be text, got a number"),
        ({"posts__likes": "5"}, r"where\(posts__likes='5'\): expected posts__likes to be text"),
        ({"name__lt": None}, r"where\(name__lt=None\): None has no order"),
        ({"seats": float("nan")}, "nothing can be compared with a NaN"),
        ({"seats": TextValue("x")}, r"where\(seats=x\): expected a number, got 'x'"),
        ({"seats__lt": complex(1, 0)}, "can't be compared so"),
        ({"posts": "x"}, r"where\(posts='x'\): expected lookups of Post as posts=\{"),
        ({"posts__ge": 1}, r"where\(posts__ge=1\): expected lookups of Post"),
        ({"data": "x"}, "of a kind that can be compared, got a column of the type JSON"),
        ({"seen": datetime(2026, 1, 1)}, "got a datetime with a time zone"),  # noqa: DTZ001
        ({"made": datetime(2026, 1, 1, tzinfo=UTC)}, "got a datetime without a time zone"),
        ({"": 1}, "User has no column ''"),
        ({"__ge": 1}, "User has no column"),
    ],
)
@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
async def test_what_cannot_be_asked_is_told(lookups: dict[str, Any], message: str, dialect: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        conditions(User, lookups, dialect)


async def test_a_long_list_is_one_parameter(engine: AsyncEngine) -> None:
    await put(engine, User(id=1, name="a", seats=1), User(id=2, name="€1", seats=60_000), User(id=3))
    numbers, texts = list(range(2, 70_000)), [f"€{number}" for number in range(70_000)]
    assert await ask(engine, User, {"seats": numbers}) == [2]
    assert await ask(engine, User, {"seats__ne": numbers}) == [1]
    assert await ask(engine, User, {"name": [*texts, None]}) == [2, 3]
    assert await ask(engine, User, {"name__ne": texts}) == [1]


@pytest.mark.parametrize(
    "lookups",
    [{"name": "a"}, {"name": ["a", "b"]}, {"seats__ge": 5}, {"seats": 5.0}, {"seats__lt": 2.5}, {"seats": 10**6}],
)
async def test_an_index_serves(engine: AsyncEngine, lookups: dict[str, Any]) -> None:
    statement = select(User.id).where(*conditions(User, lookups, engine.dialect.name))
    async with engine.connect() as connection:
        written = str(statement.compile(dialect=engine.dialect, compile_kwargs={"literal_binds": True}))
        if engine.dialect.name == "postgresql":
            await connection.execute(text("set enable_seqscan = off"))
        explain = "explain query plan " if engine.dialect.name == "sqlite" else "explain "
        plan = " ".join(str(row) for row in await connection.execute(text(explain + written)))
    assert "ix_users_" in plan
    assert "Filter" not in plan


async def test_a_prefix_uses_an_index_of_sqlite(tmp_path: Path) -> None:
    async with new_engine(f"sqlite:///{tmp_path}/app.db") as engine, engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
        written = select(User.id).where(*conditions(User, {"name__begins_with": "a%"}, "sqlite"))
        compiled = written.compile(dialect=engine.dialect, compile_kwargs={"literal_binds": True})
        plan = [str(row) for row in await connection.execute(text(f"explain query plan {compiled}"))]
    assert "full_name>? AND full_name<?" in plan[0]


async def test_moments_with_a_zone_are_compared_as_such(engine: AsyncEngine) -> None:
    east = timezone(timedelta(hours=5))
    noon = datetime(2026, 1, 2, 12, tzinfo=UTC)
    await put(engine, User(id=1, seen=noon), User(id=2, seen=noon + timedelta(seconds=1)))
    assert await ask(engine, User, {"seen": noon.astimezone(east)}) == [1]
    assert await ask(engine, User, {"seen__gt": noon.astimezone(east)}) == [2]
    assert await ask(engine, User, {"seen": TextValue("2026-01-02T12:00:00")}) == [1]
    assert await ask(engine, User, {"seen__gt": datetime.min.replace(tzinfo=east)}) == [1, 2]
    assert await ask(engine, User, {"seen__le": datetime.min.replace(tzinfo=east)}) == []
    west = timezone(timedelta(hours=-5))
    assert await ask(engine, User, {"seen__lt": datetime.max.replace(tzinfo=west)}) == [1, 2]
    assert await ask(engine, User, {"seen": datetime.max.replace(tzinfo=west)}) == []


async def test_moments_that_the_database_wrote_are_compared_too(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:  # SQLite's current_timestamp has no fraction, SQLAlchemy's own moments do
        await connection.execute(text("insert into users (id, made) values (1, '2026-01-02 03:04:05')"))
        await connection.execute(text("insert into users (id, made) values (2, '2026-01-02 03:04:05.000000')"))
        await connection.execute(text("insert into users (id, made) values (3, '2026-01-02 03:04:05.500000')"))
    at = datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001
    assert await ask(engine, User, {"made": at}) == await ask(engine, User, {"made__le": at}) == [1, 2]
    assert await ask(engine, User, {"made__ge": at}) == [1, 2, 3]
    assert await ask(engine, User, {"made__ne": at}) == await ask(engine, User, {"made__gt": at}) == [3]
    assert await ask(engine, User, {"made__lt": at}) == []


async def test_json_can_only_be_asked_for_none(engine: AsyncEngine) -> None:
    await put(engine, User(id=1, data={"a": 1}), User(id=2, data=None))
    async with engine.begin() as connection:
        await connection.execute(text("insert into users (id) values (3)"))
    assert await ask(engine, User, {"data": None}) == [2, 3]  # JSON's null and SQL's
    assert await ask(engine, User, {"data__ne": None}) == [1]


async def test_a_type_of_the_authors_own_reads_the_values(engine: AsyncEngine) -> None:
    await put(engine, User(id=1, secret="abc"), User(id=2, secret="cba"), User(id=3))
    assert await ask(engine, User, {"secret": "abc"}) == [1]
    assert await ask(engine, User, {"secret": [TextValue("cba"), None]}) == [2, 3]
    assert await ask(engine, User, {"secret__ne": "abc"}) == [2]


async def test_a_nan_is_none(engine: AsyncEngine) -> None:
    table = Table("points", MetaData(), Column("id", Float), Column("x", Double), Column("y", Float))
    async with engine.begin() as connection:
        await connection.run_sync(table.metadata.create_all)
        await connection.execute(
            insert(table),
            [{"id": 1, "x": float("nan")}, {"id": 2, "x": 5.0}, {"id": 3, "x": None}],
        )
    assert await ask(engine, table, {"x": None}) == [1, 3]
    assert await ask(engine, table, {"x": [None, 5]}) == [1, 2, 3]
    for key, value in {"x__ne": None, "x__gt": 1, "x__lt": float("inf"), "x__le": 10**400}.items():
        assert await ask(engine, table, {key: value}) == [2], key
    assert await ask(engine, table, {"x__ne": 5}) == await ask(engine, table, {"x__gt": float("inf")}) == []
    assert await ask(engine, table, {"x__ne": []}) == [2]


async def test_a_nan_among_decimals_is_none(postgres: Postgres, postgres_database: str) -> None:
    table = Table("prices", MetaData(), Column("id", Float), Column("x", Numeric))
    async with new_engine(postgres.url(postgres_database, OWNER)) as engine:
        async with engine.begin() as connection:
            await connection.execute(text("create table prices (id double precision, x numeric)"))
            await connection.execute(text("insert into prices values (1, 'NaN'), (2, 1e100), (3, null)"))
        assert await ask(engine, table, {"x": None}) == [1, 3]
        assert await ask(engine, table, {"x": 10**100}) == await ask(engine, table, {"x__ge": 1}) == [2]
        assert await ask(engine, table, {"x__ne": 1}) == await ask(engine, table, {"x__lt": float("inf")}) == [2]
        assert await ask(engine, table, {"x__ne": 10**100}) == []


async def test_a_nul_is_a_character_in_sqlite(tmp_path: Path) -> None:
    table = Table("words", MetaData(), Column("id", Float), Column("word", Text))
    async with new_engine(f"sqlite:///{tmp_path}/app.db") as engine:
        async with engine.begin() as connection:
            await connection.run_sync(table.metadata.create_all)
            words = ["a\0b", "a", "b", "a\0c"]
            await connection.execute(insert(table), [{"id": id_, "word": word} for id_, word in enumerate(words)])
        assert await ask(engine, table, {"word": "a\0b"}) == [0]
        assert await ask(engine, table, {"word__ends_with": "\0b"}) == [0]
        assert await ask(engine, table, {"word__contains": "\0"}) == [0, 3]
        assert await ask(engine, table, {"word__begins_with": "a\0"}) == [0, 3]
        assert await ask(engine, table, {"word__begins_with": "a"}) == [0, 1, 3]
        assert await ask(engine, table, {"word__gt": "a"}) == [0, 2, 3]
        assert await ask(engine, table, {"word": ["a\0c", *map(str, range(6000))]}) == [3]


async def test_a_column_of_unknown_kind_takes_any_value(tmp_path: Path) -> None:
    table = Table("things", MetaData(), Column("id", NullType), Column("x", NullType))
    async with new_engine(f"sqlite:///{tmp_path}/app.db") as engine:
        async with engine.begin() as connection:
            await connection.execute(text("create table things (id, x)"))
            await connection.execute(text("insert into things values (1, 5), (2, 'a'), (3, '5'), (4, 2.5), (5, null)"))
            await connection.execute(text("insert into things values (6, x'61')"))
        expected: dict[str, tuple[Any, list[int]]] = {
            "x": ("a", [2]),
            "x__ne": (5, [4]),
            "x__lt": (5, [4]),
            "x__gt": ("0", [2, 3]),
            "x__ge": (TextValue("5"), [1, 2, 3]),
            "x__begins_with": ("5", [3]),
            "x__le": (b"b", [6]),
        }
        for key, (value, found) in expected.items():
            assert await ask(engine, table, {key: value}) == found, key
        assert await ask(engine, table, {"x": [TextValue("5"), 2.5, None]}) == [1, 3, 4, 5]
        assert await ask(engine, table, {"x__ne": [TextValue("5")]}) == [2, 4]


async def test_a_time_with_a_zone_cannot_be_compared() -> None:
    table = Table("hours", MetaData(), Column("id", Float), Column("at", Time(timezone=True)))
    with pytest.raises(ConfigurationError, match="of a kind that can be compared, got a column of the type Time"):
        conditions(table, {"at": time(3)}, "postgresql")
    assert conditions(table, {"at": []}, "postgresql")[0].compare(false())
