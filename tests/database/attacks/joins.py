"""Attacks that read by aliases that are joined, by queries that only seem not to be the ORM's, and by what is filled.

What is a yes or a no is told by a word, so that it is seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import case, exists, func, literal, not_, or_, select, true, union_all
from sqlalchemy.orm import aliased, contains_eager, defaultload, joinedload, selectinload, with_parent

from tests.database.attacks.attack import Attacker, expect
from tests.database.attacks.worlds import CANARY

if TYPE_CHECKING:
    from typing import Any

    from sqlalchemy import ColumnElement


def _told(condition: ColumnElement[bool]) -> Any:
    return case((condition, CANARY), else_="no")


@expect("scoped")
async def alias_joined_by_condition(a: Attacker) -> object:
    post, other = a.shop.Post, aliased(a.shop.Post)
    return await a.rows(select(post.title, other.title).join(other, other.id != post.id).order_by(post.id, other.id))


@expect("scoped")
async def alias_joined_to_alias_by_condition(a: Attacker) -> object:
    one, other = aliased(a.shop.Post), aliased(a.shop.Post)
    return await a.rows(select(one.title, other.title).join(other, other.id != one.id).order_by(one.id, other.id))


@expect("scoped")
async def alias_of_other_joined_by_condition(a: Attacker) -> object:
    user, post = a.shop.User, aliased(a.shop.Post)
    return await a.rows(select(user.name, post.title).join(post, post.user_id == user.id).order_by(post.id))


@expect("scoped")
async def alias_outer_joined_by_condition(a: Attacker) -> object:
    post, other = a.shop.Post, aliased(a.shop.Post)
    statement = select(post.title, other.title).outerjoin(other, other.user_id == post.user_id)
    return await a.rows(statement.order_by(post.id, other.id))


@expect("scoped")
async def alias_joined_on_true(a: Attacker) -> object:
    post, other = a.shop.Post, aliased(a.shop.Post)
    return await a.rows(select(post.title, other.title).join(other, true()).order_by(post.id, other.id))


@expect("scoped")
async def alias_joined_from(a: Attacker) -> object:
    post, other = a.shop.Post, aliased(a.shop.Post)
    return await a.rows(
        select(post.title, other.title).join_from(post, other, other.id > post.id).order_by(post.id, other.id)
    )


@expect("scoped")
async def flat_alias_of_joined_class_joined_by_condition(a: Attacker) -> object:
    user, other = a.shop.User, aliased(a.shop.Manager, flat=True)
    return await a.rows(select(user.name, other.bonus).join(other, other.id != user.id).order_by(user.id))


@expect("scoped")
async def exists_selected(a: Attacker) -> object:
    return await a.rows(select(_told(exists().where(a.shop.User.name.like("sec%")))))


@expect("scoped")
async def exists_selected_from(a: Attacker) -> object:
    user = a.shop.User
    return await a.rows(select(_told(exists().select_from(user).where(user.name.like("sec%")))))


@expect("scoped")
async def exists_as_condition_of_nothing(a: Attacker) -> object:
    return await a.rows(select(literal(CANARY)).where(exists().where(a.shop.User.name.like("sec%"))))


@expect("scoped")
async def exists_negated(a: Attacker) -> object:
    return await a.rows(select(case((not_(exists().where(a.shop.User.name.like("sec%"))), "no"), else_=CANARY)))


@expect("scoped")
async def exists_in_union(a: Attacker) -> object:
    told = _told(exists().where(a.shop.User.name.like("sec%")))
    return await a.rows(union_all(select(literal("one")), select(told)))


@expect("scoped")
async def exists_in_query_inside(a: Attacker) -> object:
    inner = select(literal(1)).where(exists().where(a.shop.User.name.like("sec%")))
    return await a.rows(select(literal(CANARY)).where(literal(1).in_(inner)))


@expect("scoped", schemas="scoped", databases="failed")
async def exists_beside_table_of_all(a: Attacker) -> object:
    plans = a.shop.Plan.__table__
    return await a.rows(select(plans.c.name, _told(exists().where(a.shop.User.name.like("sec%")))))


@expect("scoped")
async def exists_beside_what_is_no_table(a: Attacker) -> object:
    some = select(literal(1).label("n")).cte("some")
    return await a.rows(select(some.c.n, _told(exists().where(a.shop.User.name.like("sec%")))))


@expect("refused", "scoped")
async def function_of_query(a: Attacker) -> object:
    user = a.shop.User
    found = select(user.name).where(user.name.like("sec%")).limit(1).scalar_subquery()
    return await a.session.scalar(func.coalesce(found, "none"))


@expect("refused", schemas="scoped", databases="failed")
async def change_of_shared_with_exists(a: Attacker) -> object:
    plans = a.shop.Plan.__table__
    told = _told(exists().where(a.shop.User.name.like("sec%")))
    await a.session.execute(plans.update().values(name=told))
    found = await a.rows(select(plans.c.name))
    await a.session.rollback()
    return found


@expect("refused", "scoped")
async def filled_without_join(a: Attacker) -> object:
    user = a.shop.User
    return await _filled(a, select(user).options(contains_eager(user.posts)))


@expect("refused", "scoped")
async def filled_from_alias_without_join(a: Attacker) -> object:
    user, other = a.shop.User, aliased(a.shop.Post)
    return await _filled(a, select(user).options(contains_eager(user.posts.of_type(other))))


@expect("refused", "scoped")
async def filled_from_core_without_join(a: Attacker) -> object:
    user, other = a.shop.User, a.shop.Post.__table__.alias()
    return await _filled(a, select(user).options(contains_eager(user.posts, alias=other)))


@expect("refused", "scoped")
async def filled_beyond_what_is_joined(a: Attacker) -> object:
    user, post, other = a.shop.User, a.shop.Post, aliased(a.shop.Post)
    filling = contains_eager(post.user).contains_eager(user.posts.of_type(other))
    rows = await a.rows(select(post).join(post.user).options(filling))
    return [[each.title for each in row[0].user.posts] for row in rows]


@expect("refused", "scoped")
async def filled_by_another_option_without_join(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    other = aliased(post)
    filling = defaultload(post.user).contains_eager(user.posts.of_type(other))
    rows = await a.rows(select(post).join(post.user).options(contains_eager(post.user), filling))
    return [[each.title for each in row[0].user.posts] for row in rows]


@expect("scoped")
async def filled_from_alias_joined_by_condition(a: Attacker) -> object:
    user, other = a.shop.User, aliased(a.shop.Post)
    statement = select(user).outerjoin(other, other.user_id == user.id).order_by(user.id, other.id)
    return await _filled(a, statement.options(contains_eager(user.posts.of_type(other))))


@expect("scoped")
async def filled_from_where(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    statement = select(user).where(post.id > user.id).order_by(user.id, post.id)
    return await _filled(a, statement.options(contains_eager(user.posts)))


@expect("refused", "scoped")
async def loaded_by_alias_that_asks_core(a: Attacker) -> object:
    posts, users = a.shop.Post.__table__, a.shop.User.__table__
    told = select(posts).where(exists(select(users.c.id).where(users.c.name.like("sec%")))).subquery()
    user, other = a.shop.User, aliased(a.shop.Post, told)
    rows = await a.rows(select(user).options(selectinload(user.posts.of_type(other))).order_by(user.id))
    return [CANARY if row[0].posts else "none" for row in rows]


@expect("scoped")
async def loaded_by_alias(a: Attacker) -> object:
    user, other = a.shop.User, aliased(a.shop.Post)
    return await _filled(a, select(user).options(selectinload(user.posts.of_type(other))).order_by(user.id))


@expect("scoped")
async def loaded_by_alias_of_subquery(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    other = aliased(post, select(post).where(post.title != "").subquery())
    return await _filled(a, select(user).options(joinedload(user.posts.of_type(other))).order_by(user.id))


async def _filled(a: Attacker, statement: Any) -> object:
    rows = await a.rows(statement)
    return [[each.title for each in row[0].posts] for row in rows]


@expect("scoped")
async def any_of_many_to_many(a: Attacker) -> object:
    user, tag = a.shop.User, a.shop.Tag
    found = await a.rows(select(user.name).where(user.tags.any(tag.label.like("sec%"))))
    return [found, await a.rows(select(user.name).where(~user.tags.any()).order_by(user.id))]


@expect("scoped", leaks=False)
async def containing_of_many_to_many(a: Attacker) -> object:
    tag = await a.session.get_one(a.shop.Tag, 1)
    return await a.rows(select(a.shop.User.name).where(a.shop.User.tags.contains(tag), a.shop.User.id == 1))


@expect("scoped", leaks=False)
async def parent_of_many_to_many(a: Attacker) -> object:
    user = await a.session.get_one(a.shop.User, 1)
    return await a.rows(select(a.shop.Tag).where(with_parent(user, a.shop.User.tags)).order_by(a.shop.Tag.id))


@expect("refused", "scoped")
async def table_between_joined_on_one_side(a: Attacker) -> object:
    tags, user = a.shop.user_tags, a.shop.User
    return await a.rows(select(user.name, tags.c.tag_id).where(tags.c.user_id == user.id, tags.c.tag_id == 1))


@expect("refused", "scoped")
async def table_between_joined_to_itself(a: Attacker) -> object:
    tags, user = a.shop.user_tags, a.shop.User
    other = tags.alias()
    of_other = (other.c.user_id == 9001, other.c.tag_id == tags.c.tag_id, tags.c.user_id == user.id)
    return await a.rows(select(user.name).where(*of_other))


@expect("refused", "scoped")
async def table_between_joined_by_either(a: Attacker) -> object:
    tags, user, tag = a.shop.user_tags, a.shop.User, a.shop.Tag
    return await a.rows(select(user.name).where(or_(tags.c.user_id == user.id, tags.c.tag_id == tag.id)))
