"""Attacks that read by statements on the mapped classes."""

from __future__ import annotations

from sqlalchemy import (
    and_,
    case,
    exists,
    func,
    intersect,
    lateral,
    literal,
    or_,
    select,
    true,
    tuple_,
    union,
    union_all,
)
from sqlalchemy import join as core_join
from sqlalchemy.orm import Bundle, aliased, join

from tests.database.attacks.attack import Attacker, expect


@expect("scoped")
async def select_entity(a: Attacker) -> object:
    return await a.rows(select(a.shop.User).order_by(a.shop.User.id))


@expect("scoped")
async def select_columns(a: Attacker) -> object:
    return await a.rows(select(a.shop.User.name, a.shop.User.note).order_by(a.shop.User.id))


@expect("scoped", leaks=False)
async def select_distinct_tenants(a: Attacker) -> object:
    return await a.rows(select(a.shop.User.tenant_id).distinct())


@expect("scoped", leaks=False)
async def count(a: Attacker) -> object:
    return await a.rows(select(func.count(a.shop.User.id)))


@expect("scoped", leaks=False)
async def count_from(a: Attacker) -> object:
    return await a.rows(select(func.count()).select_from(a.shop.User))


@expect("scoped")
async def alias(a: Attacker) -> object:
    other = aliased(a.shop.User)
    return await a.rows(select(other).order_by(other.id))


@expect("scoped")
async def alias_beside_entity(a: Attacker) -> object:
    user, other = a.shop.User, aliased(a.shop.User)
    return await a.rows(select(user.name, other.name).order_by(user.id, other.id))


@expect("scoped")
async def join_by_relationship(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    return await a.rows(select(user.name, post.title).join(user.posts).order_by(post.id))


@expect("scoped")
async def join_by_condition(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    return await a.rows(select(post.title, user.name).join(user, user.id == post.user_id).order_by(post.id))


@expect("scoped")
async def join_on_true(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    return await a.rows(select(user.name, post.title).join(post, true()).order_by(user.id, post.id))


@expect("scoped")
async def outer_join(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    return await a.rows(select(post.title, user.name).outerjoin(post.user).order_by(post.id))


@expect("scoped")
async def full_join(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    on = user.id == post.user_id
    return sorted(map(str, await a.rows(select(post.title, user.name).join(user, on, full=True))))


@expect("refused", "scoped", leaks=False)
async def join_object(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    return await a.rows(select(func.count()).select_from(join(user, post, user.id == post.user_id)))


@expect("refused", schemas="scoped", databases="failed", leaks=False)
async def join_of_other(a: Attacker) -> object:
    user, post, plan = a.shop.User, a.shop.Post, a.shop.Plan
    return await a.rows(
        select(plan.name).select_from(join(plan, post, post.id > plan.id)).join(user, user.id == post.id)
    )


@expect("refused", "scoped")
async def join_of_core(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    return await a.rows(select(user.name).select_from(core_join(user.__table__, post.__table__, true())))


@expect("scoped")
async def join_many_to_many(a: Attacker) -> object:
    user, tag = a.shop.User, a.shop.Tag
    return await a.rows(select(user.name, tag.label).join(user.tags).order_by(tag.id))


@expect("scoped")
async def join_itself(a: Attacker) -> object:
    comment, parent = a.shop.Comment, aliased(a.shop.Comment)
    return await a.rows(
        select(comment.body, parent.body).outerjoin(comment.parent.of_type(parent)).order_by(comment.id)
    )


@expect("scoped")
async def relationship_any(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    return await a.rows(select(user.name).where(user.posts.any(post.title.like("sec%"))))


@expect("scoped")
async def relationship_has(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    return await a.rows(select(post.title).where(post.user.has(user.name.like("sec%"))))


@expect("scoped")
async def relationship_not_any(a: Attacker) -> object:
    user = a.shop.User
    return await a.rows(select(user.name).where(~user.posts.any()))


@expect("refused", "scoped")
async def relationship_of_itself(a: Attacker) -> object:
    comment = a.shop.Comment
    return await a.rows(select(comment.body).where(comment.parent.has(comment.body.like("%"))))


@expect("scoped")
async def association_proxy(a: Attacker) -> object:
    user = a.shop.User
    return await a.rows(select(user.name).where(user.labels.like("sec%")))


@expect("scoped")
async def exists_of(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    return await a.rows(select(user.name).where(exists().where(post.title.like("sec%"))))


@expect("scoped")
async def exists_correlated(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    inner = exists(select(post.id).where(post.user_id == user.id, post.title.like("sec%")).correlate(user))
    return await a.rows(select(user.name).where(inner))


@expect("scoped")
async def exists_uncorrelated(a: Attacker) -> object:
    user = a.shop.User
    inner = select(literal(1)).where(user.name.like("sec%")).correlate(None).exists()
    return await a.rows(select(user.name).where(inner))


@expect("scoped")
async def in_select(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    return await a.rows(select(post.title).where(post.user_id.in_(select(user.id).where(user.name.like("sec%")))))


@expect("scoped")
async def scalar_subquery(a: Attacker) -> object:
    post = a.shop.Post
    return await a.rows(select(select(func.max(post.title)).scalar_subquery()))


@expect("scoped")
async def scalar_subquery_correlated(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    inner = select(func.count(post.id)).where(post.user_id == user.id).scalar_subquery()
    return await a.rows(select(user.name, inner).order_by(user.id))


@expect("scoped")
async def cte(a: Attacker) -> object:
    inner = select(a.shop.Post.title).cte()
    return await a.rows(select(inner.c.title).order_by(inner.c.title))


@expect("scoped")
async def recursive_cte(a: Attacker) -> object:
    comment = a.shop.Comment
    start = select(comment.id, comment.body).where(comment.parent_id.is_(None)).cte(recursive=True)
    child = aliased(comment)
    tree = start.union_all(select(child.id, child.body).join(start, child.parent_id == start.c.id))
    return await a.rows(select(tree.c.body).order_by(tree.c.id))


@expect("scoped")
async def subquery(a: Attacker) -> object:
    inner = select(a.shop.Post).subquery()
    return await a.rows(select(inner.c.title).order_by(inner.c.title))


@expect("scoped")
async def alias_of_subquery(a: Attacker) -> object:
    other = aliased(a.shop.Post, select(a.shop.Post).where(a.shop.Post.id > 0).subquery())
    return await a.rows(select(other).order_by(other.id))


@expect("refused", "scoped")
async def alias_of_core_subquery(a: Attacker) -> object:
    table = a.shop.Post.__table__
    secret = exists(select(literal(1)).where(table.alias().c.title.like("sec%")))
    other = aliased(a.shop.Post, select(table).where(secret).subquery())
    return await a.rows(select(other.title).order_by(other.id))


@expect("scoped", rows_on_sqlite="failed", databases_on_sqlite="failed", leaks=False)
async def lateral_subquery(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    inner = lateral(select(post.title).where(post.user_id >= user.id))
    return await a.rows(select(user.name, inner.c.title).join(inner, true()).order_by(user.id, inner.c.title))


@expect("scoped")
async def union_of(a: Attacker) -> object:
    return sorted(map(str, await a.rows(union(select(a.shop.User.name), select(a.shop.Post.title)))))


@expect("scoped")
async def union_as_subquery(a: Attacker) -> object:
    inner = union_all(select(a.shop.User.name), select(a.shop.Post.title)).subquery()
    return await a.rows(select(inner).order_by(inner.c.name))


@expect("scoped")
async def intersect_of(a: Attacker) -> object:
    user = a.shop.User
    return await a.rows(intersect(select(user.name), select(user.name).where(user.name.like("sec%"))))


@expect("scoped")
async def window(a: Attacker) -> object:
    user = a.shop.User
    return await a.rows(select(user.name, func.count(user.id).over()).order_by(user.id))


@expect("scoped")
async def order_by_subquery(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    return await a.rows(select(user.name).order_by(select(func.count(post.id)).scalar_subquery(), user.id))


@expect("scoped")
async def group_by_having(a: Attacker) -> object:
    post = a.shop.Post
    statement = select(post.user_id, func.max(post.title)).group_by(post.user_id).having(func.count(post.id) > 0)
    return await a.rows(statement.order_by(post.user_id))


@expect("scoped")
async def having_of_other(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    inner = exists(select(post.id).where(post.title.like("sec%")))
    return await a.rows(select(user.name).group_by(user.name).having(inner))


@expect("scoped")
async def labels(a: Attacker) -> object:
    return await a.rows(select(a.shop.User.name.label("title")).order_by("title"))


@expect("scoped")
async def bundle(a: Attacker) -> object:
    user = a.shop.User
    return await a.rows(select(Bundle("both", user.id, user.name)).order_by(user.id))


@expect("scoped")
async def bundle_of_two(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    return await a.rows(select(Bundle("both", user.name, post.title)).order_by(user.id, post.id))


@expect("scoped")
async def entity_only_in_where(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    return await a.rows(select(user.name).where(post.title.like("sec%")))


@expect("refused", "scoped")
async def entity_deep_in_where(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    deep = or_(false_like := func.lower(func.coalesce(post.title, "")).like("sec%"), and_(false_like, user.id > 0))
    return await a.rows(select(user.name).where(deep))


@expect("scoped", leaks=False)
async def entity_in_tuple_in_where(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    return await a.rows(select(user.name).where(tuple_(post.id, user.id).in_([(9001, 1), (9001, 2)])))


@expect("scoped")
async def entity_in_case_in_where(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    return await a.rows(select(user.name).where(case((post.title.like("sec%"), 1), else_=0) == 1))


@expect("refused", "scoped")
async def two_entities_in_one_column(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    return await a.rows(select(user.name + post.title))


@expect("scoped")
async def two_entities_in_one_function(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    return await a.rows(select(func.max(user.name), func.max(func.coalesce(user.name, "") + post.title)))


@expect("refused", "scoped", leaks=False)
async def two_entities_in_one_case(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    return await a.rows(select(func.count(case((post.title.like("sec%"), user.id)))))


@expect("scoped")
async def other_entity_in_window(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    return await a.rows(select(user.name, func.row_number().over(order_by=post.title)))


@expect("scoped")
async def correlated_in_from(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    inner = select(post.title).where(user.name.like("sec%")).correlate(user).subquery()
    return await a.rows(select(user.name, inner.c.title))


@expect("scoped")
async def function_of_joined_class(a: Attacker) -> object:
    return await a.rows(select(func.max(a.shop.Manager.bonus)))


@expect("refused", "scoped")
async def function_of_other_in_where(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    return await a.rows(select(user.name).where(func.lower(post.title).like("sec%")))


@expect("refused", "scoped")
async def only_table_of_a_query_inside(a: Attacker) -> object:
    """SQLAlchemy takes no table from around a query that has no other."""
    users = a.shop.User.__table__
    return await a.rows(select(a.shop.User.id, select(func.max(users.c.name)).scalar_subquery()))


@expect("refused", "scoped")
async def only_table_of_a_query_in_a_condition(a: Attacker) -> object:
    user, posts = a.shop.User, a.shop.Post.__table__
    some = select(posts.c.title).where(posts.c.title > "b").order_by(posts.c.title.desc()).limit(1)
    return await a.rows(select(user.id, a.shop.Post.id, some.scalar_subquery()).join(user.posts))


@expect("refused", "scoped")
async def join_of_tables_of_around_in_a_query_inside(a: Attacker) -> object:
    """Nor does it take tables out of a join."""
    user, users, posts = a.shop.User, a.shop.User.__table__, a.shop.Post.__table__
    both = users.join(posts, posts.c.user_id == users.c.id)
    inside = select(func.max(posts.c.title)).select_from(both).correlate(users, posts).scalar_subquery()
    return await a.rows(select(user.id, inside).join(user.posts))
