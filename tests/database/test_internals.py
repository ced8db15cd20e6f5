"""Every private attribute of SQLAlchemy that the service leans on is there, and means what it is taken for."""

from __future__ import annotations

import pickle
from importlib import import_module
from inspect import getsource
from typing import Any

import pytest
from sqlalchemy import (
    ForeignKey,
    LambdaElement,
    Select,
    String,
    create_engine,
    func,
    insert,
    inspect,
    lambda_stmt,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    aliased,
    contains_eager,
    joinedload,
    mapped_column,
    relationship,
    selectinload,
    synonym,
    with_loader_criteria,
)

from pinstripe.database import internals


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[str]
    name: Mapped[str]
    whose = synonym("tenant_id")
    posts: Mapped[list[Post]] = relationship()


class Post(Base):
    __tablename__ = "posts"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))


USER, POST = inspect(User), inspect(Post)

ON_INSTANCES = ("identity_map", "context", "path", "where_criteria", "_base_alias", "_variant_mapping", "_resolved")
"""Attributes that instances have, and classes say nothing of, or not in every release."""


@pytest.mark.parametrize("name", internals.PRIVATE)
def test_it_is_there(name: str) -> None:
    found: Any = None
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found = import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        break
    for part in parts[count:]:
        declared = getattr(found, "__annotations__", {}) | dict.fromkeys(getattr(found, "__slots__", ()))
        assert hasattr(found, part) or part in declared or part in ON_INSTANCES, (
            f"SQLAlchemy has no {name} any more: look at what pinstripe.database.internals makes of it"
        )
        found = getattr(found, part, None)


def test_every_name_is_used() -> None:
    """What is named and not used would only seem to be looked after."""
    source = getsource(internals)
    for name in internals.PRIVATE:
        assert source.count(name.rpartition(".")[2]) >= 2, f"{name} is named in PRIVATE and not used"


def test_annotations_tell_the_entity() -> None:
    other = aliased(User)
    assert internals.entity_of(User.name.__clause_element__()) is USER
    assert internals.entity_of(internals.selected(select(User)).columns[0]) is USER
    assert internals.entity_of(inspect(other).selectable) in (None, USER, inspect(other))
    assert internals.entity_of(other.name.__clause_element__()) is inspect(other)
    assert internals.entity_of(User.__table__.c.name) is None


def test_the_first_entity_of_a_column_is_found_and_no_other() -> None:
    both = internals.selected(select(User.name + Post.title)).columns[0]
    assert len(internals.first_entity_of(both)) == 1
    assert internals.first_entity_of(func.max(Post.title)) == [POST]


def test_entities_are_found_on_the_surface_of_a_condition_only() -> None:
    assert set(internals.entities_in((User.id == 1) | (Post.id == 2))) == {USER, POST}
    assert POST not in set(internals.entities_in(User.id.in_(select(Post.user_id))))


def test_a_query_tells_whether_the_orm_compiles_it() -> None:
    assert internals.is_orm(select(User.id))
    assert not internals.is_orm(select(User.__table__.c.id))


def test_a_query_tells_what_it_selects() -> None:
    statement = select(User.id).select_from(Post).join(User.posts).where(User.id == 1)
    found = internals.selected(statement)
    assert [len(part) for part in found] == [1, 1, 1, 1]
    assert internals.related(found.joins[0][0]) == (POST, ())
    assert internals.related(found.columns[0]) is None
    replaced = internals.selected(statement.with_only_columns(Post.title))
    assert len(replaced.joins) == 1


def test_a_relationship_tells_what_is_added_to_it() -> None:
    target, extra = internals.related(User.posts.and_(Post.title == "x")) or (None, ())
    assert target is POST
    assert len(extra) == 1
    other = aliased(Post)
    assert (internals.related(User.posts.of_type(other)) or (None,))[0] is inspect(other)


def test_a_query_tells_what_it_takes_from_around_it() -> None:
    users = [User.__table__]
    both = select(Post.id).where(Post.user_id == User.id)
    assert internals.correlates(both, users)
    assert not internals.correlates(both.correlate(None), users)
    assert internals.correlates(both.correlate(User), users)
    assert not internals.correlates(both.correlate(Post), users)
    assert not internals.correlates(both.correlate_except(User), users)
    assert internals.correlates(both.correlate_except(Post), users)


def test_a_query_takes_neither_its_only_table_nor_one_of_a_join() -> None:
    users, posts = User.__table__, Post.__table__
    joined = select(posts.c.id).select_from(posts.join(users, users.c.id == posts.c.user_id))
    for query in (select(users.c.id), joined, joined.correlate(users)):
        assert not internals.correlates(query, [users])
        for around in (select(users.c.name), select(users.c.name, posts.c.title)):
            written = str(around.where(users.c.id.in_(query)))
            assert "FROM users" in written.partition("(SELECT")[2] or "JOIN users" in written.partition("(SELECT")[2]


def test_children_are_what_a_statement_is_written_of() -> None:
    statement = lambda_stmt(lambda: select(User))
    assert isinstance(statement, LambdaElement)
    assert isinstance(next(iter(internals.children(statement))), Select)
    found = list(internals.children_beside(select(User.id).where(User.id == 1).order_by(User.name)))
    assert len(found) == 1


def test_text_beside_a_statement_is_found() -> None:
    statement = (
        select(User.id).prefix_with(text("a")).suffix_with(text("b")).with_statement_hint("c").with_hint(User, "d")
    )
    assert sorted(map(str, internals.text_beside(statement))) == ["a", "b", "c", "d"]
    assert list(internals.text_beside(select(User.id))) == []


def test_options_give_their_expressions() -> None:
    one = with_loader_criteria(User, User.id > 0)
    two = with_loader_criteria(User, lambda cls: cls.id > 0)
    three = selectinload(User.posts.and_(Post.title == "x"))
    found = list(internals.options_of(select(User).options(one, two, three)))
    assert len(found) == 3
    assert found[0][0] == found[1][0] == [USER]
    assert USER in found[2][0]
    assert POST in found[2][0]
    assert all(str(expression) for _, expression in found)


@pytest.mark.parametrize(
    "statement",
    [
        update(User).values(tenant_id="b"),
        update(User).values({User.tenant_id: "b"}),
        update(User).values({User.__table__.c.tenant_id: "b"}),
        update(User).values(whose="b"),
        update(User).ordered_values((User.name, "x"), (User.tenant_id, "b")),
    ],
    ids=["name", "attribute", "column", "synonym", "ordered"],
)
def test_the_columns_that_an_update_sets_are_found(statement: Any) -> None:
    names = [name for key, value in internals.assigned(statement) for name in internals.columns_of(key, value, USER)]
    assert "tenant_id" in names


def test_a_type_tells_its_variants() -> None:
    variant = String(5)
    kind = String().with_variant(variant, "sqlite")
    assert internals.variant_of(kind, "sqlite") is variant
    assert internals.variant_of(kind, "postgresql") is kind


def test_a_session_tells_whether_it_has_rows() -> None:
    with Session() as session:
        assert not internals.has_rows(session)


def test_a_row_is_forgotten_with_its_transaction() -> None:
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        rows = []
        for name in ("kept", "undone"):
            session.begin_nested()
            row = session.execute(insert(User).values(tenant_id="a", name=name).returning(User)).scalar_one()
            internals.undo_with_transaction(session, row)
            rows.append(row)
            nested = session.get_nested_transaction()
            assert nested is not None
            (nested.commit if name == "kept" else nested.rollback)()
        assert [row in session for row in rows] == [True, False]
        session.rollback()
        assert rows[0] not in session
    engine.dispose()


def test_criteria_hold_for_an_alias_that_is_joined_by_a_condition() -> None:
    other = aliased(Post)
    criteria = internals.Criteria(Post, Post.title != "a")
    statement = select(Post.title, other.title).join(other, other.id != Post.id).options(criteria)
    assert "posts_1.title != " in str(statement).partition("WHERE")[0]
    assert "posts.title != " in str(statement).partition("WHERE")[2]


def test_rows_that_were_read_with_criteria_can_be_pickled() -> None:
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(User(tenant_id="a", name="Ann"))
        session.commit()
        row = session.scalars(select(User).options(internals.Criteria(User, User.tenant_id == "a"))).one()
        assert pickle.loads(pickle.dumps(row)).name == "Ann"
    engine.dispose()


def test_what_a_query_fills_relationships_from_is_found() -> None:
    other, core = aliased(Post), Post.__table__.alias()

    def found(*options: Any) -> list[Any]:
        return list(internals.filled_from(select(User).options(*options)))

    assert found(contains_eager(User.posts)) == [(POST, None)]
    assert found(contains_eager(User.posts.of_type(other))) == [(inspect(other), None)]
    assert found(contains_eager(User.posts, alias=core)) == [(None, core)]
    assert found(joinedload(User.posts), selectinload(User.posts)) == []


def test_a_literal_has_no_entity() -> None:
    assert internals.first_entity_of(literal(1)) == []
