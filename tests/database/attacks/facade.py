"""Attacks by what a job uses most: the tables of `self.database`."""

from __future__ import annotations

from sqlalchemy import desc, exists, func, literal, literal_column, or_, select, text, true
from sqlalchemy.orm import aliased

from tests.database.attacks.attack import Attacker, expect


def _names(rows: list[object]) -> list[str]:
    return sorted(str(getattr(row, "name", row)) for row in rows)


@expect("scoped")
async def facade_all(a: Attacker) -> object:
    return _names(await a.database.users.all())


@expect("scoped")
async def facade_of_plain_table(a: Attacker) -> object:
    return [row.body for row in await a.database.notes.all()]


@expect("refused", databases="scoped")
async def facade_of_undeclared(a: Attacker) -> object:
    return await a.database.logs.all()


@expect("scoped", leaks=False)
async def facade_counts(a: Attacker) -> object:
    posts = a.database[a.shop.Post]
    return [await posts.count(), await posts.limit(9).count(), await posts.where(id=9001).exists()]


@expect("scoped")
async def facade_pages(a: Attacker) -> object:
    return [[row.title for row in page] async for page in a.database[a.shop.Post].pages(1)]


@expect("scoped")
async def facade_iterated(a: Attacker) -> object:
    return [row.text async for row in a.database[a.shop.Line]]


@expect("scoped")
async def facade_where_other_tenant(a: Attacker) -> object:
    return [
        await a.database.users.where(tenant_id=a.other).all(),
        await a.database.users.where(tenant_id__ne=a.ours).all(),
    ]


@expect("scoped")
async def facade_lookup_over_relationship(a: Attacker) -> object:
    found = await a.database.users.where(posts__title__begins_with="sec").all()
    return _names([*found, *await a.database.posts.where(user={"name__begins_with": "sec"}).all()])


@expect("scoped")
async def facade_lookup_over_itself(a: Attacker) -> object:
    found = await a.database.comments.where(parent__body__begins_with="").all()
    found += await a.database.comments.where(replies={"body__begins_with": ""}).all()
    return sorted(row.body for row in found)


@expect("scoped", leaks=False)
async def facade_lookup_there_and_back(a: Attacker) -> object:
    found = await a.database.posts.where(user={"posts__title__begins_with": "sec"}).all()
    found += await a.database.comments.where(parent__replies__body__begins_with="").all()
    return [type(row).__name__ for row in found]


@expect("scoped")
async def facade_lookup_over_many_to_many(a: Attacker) -> object:
    return _names(await a.database.users.where(tags__label__begins_with="").all())


@expect("scoped", leaks=False)
async def facade_lookup_of_none(a: Attacker) -> object:
    return sorted(row.title for row in await a.database.posts.where(user=None).all())


@expect("scoped")
async def facade_where_or(a: Attacker) -> object:
    return _names(await a.database.users.where(or_(a.shop.User.id == 1, true())).all())


@expect("scoped")
async def facade_where_other_entity(a: Attacker) -> object:
    return _names(await a.database.users.where(a.shop.Post.title.like("sec%")).all())


@expect("refused", "scoped")
async def facade_where_joined_class(a: Attacker) -> object:
    return _names(await a.database.users.where(a.shop.Manager.bonus.like("sec%")).all())


@expect("scoped")
async def facade_where_exists(a: Attacker) -> object:
    inner = exists(select(a.shop.Post.id).where(a.shop.Post.title.like("sec%")))
    return _names(await a.database.users.where(inner).all())


@expect("scoped")
async def facade_where_alias(a: Attacker) -> object:
    other = aliased(a.shop.User)
    return _names(await a.database.users.where(other.name.like("sec%")).all())


@expect("refused", "scoped")
async def facade_where_core(a: Attacker) -> object:
    return _names(await a.database.users.where(a.shop.Post.__table__.c.title.like("sec%")).all())


@expect("refused", "scoped")
async def facade_where_core_exists(a: Attacker) -> object:
    inner = select(literal(1)).where(a.shop.User.__table__.c.name.like("sec%")).correlate(None).exists()
    return _names(await a.database.users.where(inner).all())


@expect("refused", databases="failed", leaks=False)
async def facade_where_literal(a: Attacker) -> object:
    return _names(await a.database.users.where(literal_column("1 = 1) or (1") == 1).all())


@expect("refused", databases="failed", leaks=False)
async def facade_where_operator(a: Attacker) -> object:
    return _names(await a.database.users.where(a.shop.User.name.op("= '') or (1 = 1) or ('' =")("")).all())


@expect("refused", "scoped")
async def facade_plain_where_entity(a: Attacker) -> object:
    return [row.body for row in await a.database.notes.where(a.shop.Post.title.like("sec%")).all()]


@expect("refused", "scoped")
async def facade_plain_where_itself(a: Attacker) -> object:
    other = a.shop.notes.alias()
    return [row.body for row in await a.database.notes.where(other.c.body.like("sec%")).all()]


@expect("refused", "scoped")
async def facade_plain_where_exists(a: Attacker) -> object:
    notes = a.shop.notes
    inner = exists(select(literal(1)).where(notes.c.body.like("sec%")).correlate(None))
    return [row.body for row in await a.database.notes.where(inner).all()]


@expect("refused", "scoped")
async def facade_plain_where_select(a: Attacker) -> object:
    inner = select(func.count(a.shop.Post.id)).scalar_subquery() > 3
    return [row.body for row in await a.database.notes.where(inner).all()]


@expect("scoped")
async def facade_ordered_by_subquery(a: Attacker) -> object:
    inner = select(func.count(a.shop.Post.id)).scalar_subquery()
    return [row.name for row in await a.database.users.order_by(desc(inner), "id").all()]


@expect("refused", databases="scoped")
async def facade_ordered_by_text(a: Attacker) -> object:
    return _names(await a.database.users.order_by(text("(select max(title) from posts)")).all())


@expect("refused", "scoped", leaks=False)
async def facade_ordered_by_core(a: Attacker) -> object:
    inner = select(func.max(a.shop.Post.__table__.c.title)).scalar_subquery()
    return _names(await a.database.users.order_by(inner).limit(1).all())


@expect("scoped")
async def facade_update_all(a: Attacker) -> object:
    return await a.database.users.update(name="changed")


@expect("scoped")
async def facade_update_where_other_entity(a: Attacker) -> object:
    return await a.database.users.where(a.shop.Post.title.like("sec%")).update(name="changed")


@expect("scoped")
async def facade_update_where_lookup(a: Attacker) -> object:
    return await a.database.users.where(posts__title__begins_with="sec").update(name="changed")


@expect("scoped")
async def facade_update_limited(a: Attacker) -> object:
    return await a.database.users.order_by("-id").limit(9).update(name="changed")


@expect("refused", "scoped")
async def facade_update_where_core(a: Attacker) -> object:
    return await a.database.users.where(a.shop.Post.__table__.c.title.like("sec%")).update(name="changed")


@expect("refused", "scoped")
async def facade_update_tenant(a: Attacker) -> object:
    return await a.database.users.update(tenant_id=a.other)


@expect("refused", "scoped")
async def facade_update_renamed_tenant(a: Attacker) -> object:
    return await a.database.accounts.update(owner=a.other)


@expect("refused", "scoped")
async def facade_update_tenant_by_synonym(a: Attacker) -> object:
    return await a.database.users.update(owner_id=a.other)


@expect("refused", "scoped")
async def facade_update_tenant_by_hybrid(a: Attacker) -> object:
    return await a.database.users.update(whose=a.other)


@expect("refused", "scoped")
async def facade_update_tenant_of_plain_table(a: Attacker) -> object:
    return await a.database.notes.update(tenant_id=a.other)


@expect("refused", "scoped")
async def facade_update_with_attribute(a: Attacker) -> object:
    return await a.database.users.update(name=a.shop.Post.title)


@expect("refused", "scoped")
async def facade_update_with_expression(a: Attacker) -> object:
    return await a.database.users.update(name=literal("x") + a.shop.Post.title)


@expect("scoped")
async def facade_update_with_subquery(a: Attacker) -> object:
    return await a.database.users.update(name=select(func.max(a.shop.Post.title)).scalar_subquery())


@expect("refused", "scoped")
async def facade_update_with_core(a: Attacker) -> object:
    inner = select(func.max(a.shop.Post.__table__.c.title)).scalar_subquery()
    return await a.database.users.update(name=inner)


@expect("scoped")
async def facade_update_joined_class(a: Attacker) -> object:
    return await a.database[a.shop.Manager].update(bonus="changed")


@expect("scoped")
async def facade_update_plain_table(a: Attacker) -> object:
    return await a.database.notes.where(id__gt=0).update(body="changed")


@expect("scoped")
async def facade_delete_all(a: Attacker) -> object:
    return [await a.database.users.delete(), await a.database.notes.delete()]


@expect("scoped")
async def facade_delete_one_of_other(a: Attacker) -> object:
    return await a.database.users.where(id=9001).delete()


@expect("scoped")
async def facade_delete_where_other_entity(a: Attacker) -> object:
    return await a.database.users.where(a.shop.Post.title.like("sec%")).delete()


@expect("scoped")
async def facade_delete_joined_class(a: Attacker) -> object:
    return await a.database[a.shop.Manager].delete()


@expect("scoped")
async def facade_insert(a: Attacker) -> object:
    rows = [await a.database.users.insert(name="acme-new"), await a.database.notes.insert(body="acme-new")]
    return [rows[0].name, rows[1].body]


@expect("refused", "scoped")
async def facade_insert_for_other(a: Attacker) -> object:
    return (await a.database.users.insert(name="taken", tenant_id=a.other)).name


@expect("refused", "scoped")
async def facade_insert_for_other_by_renamed(a: Attacker) -> object:
    return (await a.database.accounts.insert(balance="taken", owner=a.other)).balance


@expect("refused", "scoped")
async def facade_insert_for_other_by_synonym(a: Attacker) -> object:
    return (await a.database.users.insert(name="taken", owner_id=a.other)).name


@expect("refused", "scoped")
async def facade_insert_for_other_by_expression(a: Attacker) -> object:
    return (await a.database.users.insert(name="taken", tenant_id=literal(a.other))).name


@expect("refused", "scoped")
async def facade_insert_into_plain_for_other(a: Attacker) -> object:
    return (await a.database.notes.insert(body="taken", tenant_id=a.other)).body


@expect("refused", "scoped")
async def facade_insert_many_for_other(a: Attacker) -> object:
    return await a.database.users.insert_many([{"name": "acme-new"}, {"name": "taken", "tenant_id": a.other}])


@expect("refused", "scoped")
async def facade_insert_many_for_nobody(a: Attacker) -> object:
    return await a.database.users.insert_many([{"name": "taken", "tenant_id": None}])


@expect("failed", "scoped", leaks=False)
async def facade_insert_with_key_of_other(a: Attacker) -> object:
    return (await a.database.users.insert(id=9001, name="taken")).name


@expect("refused", "scoped")
async def facade_insert_with_subquery(a: Attacker) -> object:
    inner = select(func.max(a.shop.Post.title)).scalar_subquery()
    return (await a.database.users.insert(name=inner)).name


@expect("refused", "failed", leaks=False)
async def facade_insert_with_attribute(a: Attacker) -> object:
    return (await a.database.users.insert(name=a.shop.Post.title)).name


@expect("refused", "scoped")
async def facade_insert_with_core(a: Attacker) -> object:
    inner = select(func.max(a.shop.Post.__table__.c.title)).scalar_subquery()
    return (await a.database.users.insert(name=inner)).name


@expect("scoped")
async def facade_where_row_of_other(a: Attacker) -> object:
    theirs = await a.stolen(a.shop.User)
    return sorted(row.title for row in await a.database.posts.where(a.shop.Post.user == theirs).all())


@expect("refused", "failed", databases_on_sqlite="scoped")
async def facade_insert_tenant_of_other_type(a: Attacker) -> object:
    ours = str(a.ours) if not isinstance(a.ours, str) else a.ours.encode()
    return (await a.database.users.insert(name="taken", tenant_id=ours)).name


@expect("scoped")
async def facade_in_transaction(a: Attacker) -> object:
    async with a.database.transaction():
        await a.database.users.update(name="changed")
        async with a.database.transaction():
            return [await a.database.posts.delete(), _names(await a.database.users.all())]
