"""Which tables a statement names, and which of them the ORM's criteria hold for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import (
    Column,
    Integer,
    MetaData,
    Table,
    and_,
    delete,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    text,
    union_all,
    update,
)
from sqlalchemy.orm import aliased

from pinstripe.database.statements import Reach
from tests.database.shop_models import Book, Plan, Post, User

if TYPE_CHECKING:
    from collections.abc import Callable

USERS: Any = User.__table__
POSTS: Any = Post.__table__
OTHER = aliased(User)
LINKS = Table("links", MetaData(), Column("user_id", Integer), Column("post_id", Integer))


def reached(reach: Reach) -> dict[str, bool]:
    """Give the tables, with whether each is kept wherever it is named."""
    found: dict[str, bool] = {}
    for table, kept in reach.tables():
        found[table.name] = found.get(table.name, True) and kept
    return found


@pytest.mark.parametrize(
    ("statement", "tables"),
    [
        (select(User), {"users": True}),
        (select(User.name).where(User.id == 1).order_by(User.name), {"users": True}),
        (select(OTHER), {"users": True}),
        (select(Book), {"items": True, "books": True}),
        (select(func.count()).select_from(User), {"users": True}),
        (select(User).join(User.posts), {"users": True, "posts": True}),
        (select(User).where(User.id.in_(select(Post.user_id))), {"users": True, "posts": True}),
        (select(User).where(exists().where(Post.user_id == User.id)), {"users": True, "posts": True}),
        (select(User.id, Post.id).where(Post.user_id == User.id), {"users": True, "posts": True}),
        (union_all(select(User.id), select(Post.id)), {"users": True, "posts": True}),
        (select(select(User.id).subquery()), {"users": True}),
        (select(USERS), {"users": False}),
        (select(USERS.c.id), {"users": False}),
        (select(func.count(USERS.c.id)), {"users": False}),
        (select(User, POSTS), {"users": True, "posts": False}),
        (select(User).join(POSTS, POSTS.c.user_id == User.id), {"users": True, "posts": False}),
        (select(User).where(User.id.in_(select(POSTS.c.user_id))), {"users": True, "posts": False}),
        (select(User).order_by(select(func.max(POSTS.c.id)).scalar_subquery()), {"users": True, "posts": False}),
        (
            select(User).where(exists(select(OTHER.id).where(OTHER.id > User.id).correlate(USERS))),
            {"users": True},
        ),
        (select(User, USERS.alias()), {"users": False}),
        (select(select(USERS).subquery()), {"users": False}),
        (select(User.name + Post.title).select_from(User), {"users": True, "posts": False}),
        (update(User).values(name="x"), {"users": True}),
        (update(User).values(name=select(func.max(POSTS.c.title)).scalar_subquery()), {"users": True, "posts": False}),
        (delete(User).where(User.id.in_(select(Post.user_id))), {"users": True, "posts": True}),
        (update(USERS).values(name="x"), {"users": False}),
    ],
    ids=str,
)
def test_the_tables_of_a_statement_are_found_with_whether_they_are_kept(
    statement: Any, tables: dict[str, bool]
) -> None:
    orm = getattr(statement, "_propagate_attrs", {}).get("compile_state_plugin") == "orm"
    assert reached(Reach(statement, orm=orm)) == tables


def test_text_is_found_wherever_it_stands() -> None:
    for statement in (
        text("select 1"),
        select(text("name")),
        select(User).where(text("1 = 1")),
        select(User).where(User.id.in_(select(Post.user_id).where(literal_column("1 = 1")))),
        select(User).order_by(literal_column("name")),
        update(User).values(name=text("tenant_id")),
    ):
        assert Reach(statement).raw
    assert not Reach(select(func.count("*")).select_from(User).where(exists().where(Post.id == 1))).raw


def test_changes_inside_of_a_statement_are_found() -> None:
    assert not Reach(update(User).values(name="x")).changes
    inside = insert(Post).values(title="x").returning(Post.id).cte()
    assert len(Reach(select(User, inside.c.id)).changes) == 1


def test_an_expression_may_name_what_its_statement_is_restricted_for() -> None:
    assert reached(Reach(USERS.c.id == 1, own=[USERS], orm=False)) == {"users": True}
    assert reached(Reach(USERS.c.id == POSTS.c.id, own=[USERS], orm=False)) == {"users": True, "posts": False}
    assert reached(Reach(USERS.c.id == POSTS.c.id, own=[User.__mapper__, POSTS])) == {"users": True, "posts": True}
    assert reached(Reach(User.id == Post.id, own=[User.__mapper__])) == {"users": True, "posts": False}
    assert reached(Reach(User.id == Post.id, own=[User.__mapper__], condition=True)) == {"users": True, "posts": True}


Conditions = st.recursive(
    st.sampled_from([User.id == 1, User.name == "x", Post.title == "y", User.id == Post.user_id]),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: and_(*parts)),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: or_(*parts)),
        inner.map(lambda one: ~one),
        inner.map(lambda one: User.id.in_(select(Post.user_id).select_from(Post).join(User).where(one))),
    ),
    max_leaves=8,
)

WRONG: list[Callable[[], Any]] = [
    lambda: User.id.in_(select(POSTS.c.user_id)),
    lambda: exists(select(USERS.alias().c.id)),
    lambda: User.id == select(func.max(USERS.alias().c.id)).scalar_subquery(),
]


@given(conditions=st.lists(Conditions, max_size=4))
def test_what_is_written_with_classes_is_kept_however_deep_it_is(conditions: list[Any]) -> None:
    assert all(kept for _, kept in Reach(select(User, Post).where(*conditions)).tables())


@given(conditions=st.lists(Conditions, max_size=3), place=st.integers(0, 3), wrong=st.sampled_from(WRONG))
def test_one_bare_table_is_found_among_anything(conditions: list[Any], place: int, wrong: Callable[[], Any]) -> None:
    conditions.insert(place, wrong())
    for whole in (
        select(User, Post).where(*conditions),
        select(Plan).where(Plan.id.in_(select(User.id).where(or_(*conditions)))),
    ):
        assert not all(kept for _, kept in Reach(whole).tables())


@pytest.mark.parametrize(
    ("conditions", "kept"),
    [
        ((LINKS.c.user_id == User.id, LINKS.c.post_id == Post.id), True),
        ((LINKS.c.user_id == User.id, Post.id == LINKS.c.post_id, Post.title == "x"), True),
        ((User.id == LINKS.c.user_id, LINKS.c.post_id == 1), True),
        ((LINKS.c.user_id == User.id,), False),
        ((LINKS.c.user_id == 1, LINKS.c.post_id == 1), False),
        ((LINKS.c.user_id == User.id, LINKS.c.post_id > Post.id), False),
        (((LINKS.c.user_id == User.id) | (LINKS.c.post_id == Post.id),), False),
        ((~((LINKS.c.user_id == User.id) & (LINKS.c.post_id == Post.id)),), False),
        ((LINKS.c.user_id == LINKS.alias().c.user_id, LINKS.c.post_id == LINKS.alias().c.post_id), False),
        ((LINKS.c.user_id == User.id, LINKS.c.post_id == Post.id, LINKS.c.post_id > 1), False),
    ],
    ids=lambda value: str(value) if isinstance(value, bool) else str(and_(*value)),
)
def test_a_table_between_classes_may_be_joined_to_them_and_no_more(conditions: tuple[Any, ...], kept: bool) -> None:
    statement = select(User.id, Post.id).where(*conditions)
    assert reached(Reach(statement, between=[LINKS])).get("links", True) is kept
    inside = select(User.id).where(exists().where(*conditions))
    assert reached(Reach(inside, between=[LINKS])).get("links", True) is kept
    assert reached(Reach(statement.add_columns(LINKS.c.post_id), between=[LINKS]))["links"] is False
    assert reached(Reach(statement))["links"] is False
