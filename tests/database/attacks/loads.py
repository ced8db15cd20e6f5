"""Attacks that read by what a row leads to: its relationships, its later columns, its key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Boolean, and_, exists, func, literal, literal_column, select, text
from sqlalchemy.orm import (
    contains_eager,
    immediateload,
    joinedload,
    lazyload,
    load_only,
    raiseload,
    selectinload,
    subqueryload,
    undefer,
    with_expression,
    with_loader_criteria,
    with_parent,
)

from tests.database.attacks.attack import Attacker, expect

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


async def _titles(a: Attacker, *options: Any) -> object:
    users = (await a.session.scalars(select(a.shop.User).options(*options).order_by(a.shop.User.id))).unique().all()
    return [[post.title for post in user.posts] for user in users]


async def _authors(a: Attacker, *options: Any) -> object:
    posts = (await a.session.scalars(select(a.shop.Post).options(*options).order_by(a.shop.Post.id))).unique().all()
    return [post.user and post.user.name for post in posts]


@expect("scoped")
async def get(a: Attacker) -> object:
    return [await a.session.get(a.shop.User, key) for key in (1, 9001)]


@expect("failed")
async def get_one(a: Attacker) -> object:
    return await a.session.get_one(a.shop.User, 9001)


@expect("failed", rows_on_sqlite="scoped", databases_on_sqlite="scoped")
async def get_with_options(a: Attacker) -> object:
    return await a.session.get(a.shop.User, 9001, populate_existing=True, with_for_update=True)


@expect("scoped")
async def get_of_composite(a: Attacker) -> object:
    return await a.session.get(a.shop.Order, (a.other, 1))


@expect("scoped")
async def get_of_joined(a: Attacker) -> object:
    return [await a.session.get(a.shop.Manager, key) for key in (2, 9002)]


@expect("scoped")
async def refresh(a: Attacker) -> object:
    user = await a.session.get_one(a.shop.User, 1)
    await a.session.refresh(user, ["name", "note", "posts", "eager_posts", "profile", "tags"])
    return [user.name, user.note, user.posts, user.eager_posts, user.profile, user.tags]


@expect("scoped")
async def refresh_whole(a: Attacker) -> object:
    user = await a.session.get_one(a.shop.User, 1)
    await a.session.refresh(user)
    return [user.name, user.eager_posts]


@expect("scoped")
async def refresh_parent(a: Attacker) -> object:
    post = await a.session.get_one(a.shop.Post, 3)
    await a.session.refresh(post, ["user"])
    return post.user


@expect("scoped")
async def lazy(a: Attacker) -> object:
    def work(session: Session) -> object:
        users = session.scalars(select(a.shop.User).order_by(a.shop.User.id)).unique().all()
        return [(user.posts, user.profile, user.tags, [post.user for post in user.posts]) for user in users]

    return await a.session.run_sync(work)


@expect("scoped")
async def lazy_parent(a: Attacker) -> object:
    def work(session: Session) -> object:
        post = session.get_one(a.shop.Post, 3)
        comment = session.get_one(a.shop.Comment, 3)
        return [post.user, comment.parent]

    return await a.session.run_sync(work)


@expect("scoped")
async def lazy_of_new_row(a: Attacker) -> object:
    def work(session: Session) -> object:
        post = a.shop.Post(title="acme-new", user_id=9001)
        session.add(post)
        session.flush()
        return post.user

    return await a.session.run_sync(work)


@expect("scoped")
async def lazy_of_pending_row(a: Attacker) -> object:
    def work(session: Session) -> object:
        post = a.shop.Post(title="acme-new", user_id=9001)
        session.enable_relationship_loading(post)
        return post.user

    return await a.session.run_sync(work)


@expect("scoped", leaks=False)
async def lazy_of_composite(a: Attacker) -> object:
    def work(session: Session) -> object:
        order = session.scalars(select(a.shop.Order)).one()
        return order.lines

    return await a.session.run_sync(work)


@expect("scoped")
async def selectin(a: Attacker) -> object:
    return await _titles(a, selectinload(a.shop.User.posts))


@expect("scoped")
async def selectin_parents(a: Attacker) -> object:
    return await _authors(a, selectinload(a.shop.Post.user))


@expect("scoped")
async def joined(a: Attacker) -> object:
    return await _titles(a, joinedload(a.shop.User.posts))


@expect("scoped")
async def joined_parents(a: Attacker) -> object:
    return await _authors(a, joinedload(a.shop.Post.user))


@expect("scoped")
async def joined_inner_parents(a: Attacker) -> object:
    return await _authors(a, joinedload(a.shop.Post.user, innerjoin=True))


@expect("scoped")
async def by_subquery(a: Attacker) -> object:
    return await _titles(a, subqueryload(a.shop.User.posts))


@expect("scoped")
async def at_once(a: Attacker) -> object:
    return await _authors(a, immediateload(a.shop.Post.user))


@expect("scoped")
async def deep(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    path = selectinload(post.user).selectinload(user.posts).joinedload(post.user).selectinload(user.tags)
    return await a.rows(select(post).options(path).order_by(post.id))


@expect("scoped")
async def many_to_many(a: Attacker) -> object:
    user = a.shop.User
    users = (await a.session.scalars(select(user).options(selectinload(user.tags)).order_by(user.id))).unique().all()
    return [list(each.labels) for each in users]


@expect("failed", leaks=False)
async def raising(a: Attacker) -> object:
    return await _authors(a, raiseload("*"))


@expect("scoped")
async def containing(a: Attacker) -> object:
    post = a.shop.Post
    statement = select(post).outerjoin(post.user).options(contains_eager(post.user)).order_by(post.id)
    return [each.user for each in (await a.session.scalars(statement)).unique().all()]


@expect("refused", "scoped")
async def containing_core(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    other = user.__table__.alias()
    statement = select(post).join(other, other.c.id == post.user_id).options(contains_eager(post.user, alias=other))
    return [each.user for each in (await a.session.scalars(statement)).unique().all()]


@expect("refused", "scoped")
async def expression_loaded(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    inner = select(func.max(post.title)).scalar_subquery()
    users = await a.session.scalars(select(user).options(with_expression(user.extra, inner)).order_by(user.id))
    return [each.extra for each in users.unique()]


@expect("refused", "scoped", leaks=False)
async def expression_of_other_entity(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    users = await a.session.scalars(select(user).options(with_expression(user.extra, post.title)))
    return [each.extra for each in users.unique()]


@expect("refused", databases="scoped")
async def expression_of_text(a: Attacker) -> object:
    user = a.shop.User
    inner = with_expression(user.extra, literal_column("(select max(title) from posts)"))
    return [each.extra for each in (await a.session.scalars(select(user).options(inner))).unique()]


@expect("refused", "scoped")
async def expression_of_core(a: Attacker) -> object:
    user, table = a.shop.User, a.shop.Post.__table__
    inner = with_expression(user.extra, select(func.max(table.c.title)).scalar_subquery())
    return [each.extra for each in (await a.session.scalars(select(user).options(inner))).unique()]


@expect("scoped")
async def criteria_of_author(a: Attacker) -> object:
    user = a.shop.User
    return await a.rows(select(user).options(with_loader_criteria(user, user.id > 0)).order_by(user.id))


@expect("refused", databases="failed", leaks=False)
async def criteria_of_text(a: Attacker) -> object:
    user = a.shop.User
    return await a.rows(
        select(user.name).options(with_loader_criteria(user, literal_column("1 = 1) or (1 = 1", Boolean)))
    )


@expect("refused", databases="failed", leaks=False)
async def criteria_by_lambda_of_text(a: Attacker) -> object:
    user = a.shop.User
    option = with_loader_criteria(user, lambda _: literal_column("1 = 1) or (1 = 1", Boolean))
    return await a.rows(select(user.name).options(option))


@expect("scoped")
async def criteria_with_subquery(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    option = with_loader_criteria(user, exists(select(post.id).where(post.title.like("sec%"))))
    return await a.rows(select(user.name).options(option))


@expect("scoped")
async def loading_with_subquery(a: Attacker) -> object:
    tag = a.shop.Tag
    return await _titles(a, selectinload(a.shop.User.posts.and_(exists(select(tag.id).where(tag.label.like("sec%"))))))


@expect("scoped")
async def joining_with_subquery(a: Attacker) -> object:
    tag = a.shop.Tag
    return await _titles(a, joinedload(a.shop.User.posts.and_(exists(select(tag.id).where(tag.label.like("sec%"))))))


@expect("refused", "scoped")
async def criteria_of_core(a: Attacker) -> object:
    user, table = a.shop.User, a.shop.Post.__table__
    option = with_loader_criteria(user, exists(select(literal(1)).where(table.c.title.like("sec%"))))
    return await a.rows(select(user.name).options(option))


@expect("refused", "scoped")
async def criteria_of_other_entity(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    return await a.rows(select(user.name).options(with_loader_criteria(user, post.title.like("sec%"))))


@expect("scoped")
async def loading_with_condition(a: Attacker) -> object:
    return await _titles(a, selectinload(a.shop.User.posts.and_(a.shop.Post.title.like("%"))))


@expect("refused", databases="failed", leaks=False)
async def loading_with_text(a: Attacker) -> object:
    return await _titles(a, selectinload(a.shop.User.posts.and_(text("1 = 1) or (1 = 1"))))


@expect("refused", databases="failed", leaks=False)
async def lazy_with_text(a: Attacker) -> object:
    option = lazyload(a.shop.Post.user.and_(text("1 = 1) or (1 = 1")))

    def work(session: Session) -> object:
        return [post.user for post in session.scalars(select(a.shop.Post).options(option)).unique().all()]

    return await a.session.run_sync(work)


@expect("refused", "scoped")
async def loading_with_core(a: Attacker) -> object:
    table = a.shop.User.__table__.alias()
    inner = exists(select(literal(1)).where(table.c.name.like("sec%")))
    return await _titles(a, joinedload(a.shop.User.posts.and_(inner)))


@expect("refused", "scoped")
async def join_with_core(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    table = user.__table__.alias()
    on = user.posts.and_(exists(select(literal(1)).where(table.c.name.like("sec%"))))
    return await a.rows(select(user.name, post.title).join(on))


@expect("scoped")
async def dynamic(a: Attacker) -> object:
    def work(session: Session) -> object:
        return session.get_one(a.shop.User, 1).some_posts.filter(a.shop.Post.id > 0).all()

    return await a.session.run_sync(work)


@expect("refused", databases="failed", leaks=False)
async def dynamic_with_text(a: Attacker) -> object:
    def work(session: Session) -> object:
        return session.get_one(a.shop.User, 1).some_posts.filter(text("1 = 1) or (1 = 1")).all()

    return await a.session.run_sync(work)


@expect("scoped")
async def written(a: Attacker) -> object:
    user = await a.session.get_one(a.shop.User, 1)
    return await a.rows(user.written_posts.select())


@expect("scoped")
async def update_of_written(a: Attacker) -> object:
    user = await a.session.get_one(a.shop.User, 1)
    return await a.change(user.written_posts.update().values(title="acme-changed"))


@expect("scoped")
async def delete_of_written(a: Attacker) -> object:
    user = await a.session.get_one(a.shop.User, 1)
    return await a.change(user.written_posts.delete())


@expect("refused", "scoped")
async def insert_of_written(a: Attacker) -> object:
    user = await a.session.get_one(a.shop.User, 1)
    return await a.change(user.written_posts.insert(), {"title": "acme-new", "tenant_id": a.other})


@expect("scoped")
async def deferred_columns(a: Attacker) -> object:
    user = a.shop.User
    options = [undefer(user.note), undefer(user.post_count), load_only(user.id, user.note, user.post_count)]
    return await a.rows(select(user).options(*options).order_by(user.id))


@expect("scoped", leaks=False)
async def awaited_deferred_column(a: Attacker) -> object:
    def work(session: Session) -> object:
        user = session.get_one(a.shop.User, 1)
        return [user.note, user.post_count]

    return await a.session.run_sync(work)


@expect("scoped")
async def parent_of_other(a: Attacker) -> object:
    theirs = await a.stolen(a.shop.User)
    post = a.shop.Post
    return await a.rows(select(post).where(with_parent(theirs, a.shop.User.posts), and_(post.id > 1)).order_by(post.id))


@expect("scoped")
async def expired_row(a: Attacker) -> object:
    def work(session: Session) -> object:
        user = session.get_one(a.shop.User, 1)
        session.expire_all()
        return [user.name, user.posts, user.eager_posts]

    return await a.session.run_sync(work)
