"""Attacks that write by statements on the mapped classes."""

from __future__ import annotations

from sqlalchemy import delete, exists, func, insert, literal, select, update
from sqlalchemy.orm import aliased

from tests.database.attacks.attack import Attacker, expect


@expect("scoped")
async def update_all(a: Attacker) -> object:
    return await a.change(update(a.shop.User).values(name="changed"))


@expect("scoped")
async def update_one_of_other(a: Attacker) -> object:
    return await a.change(update(a.shop.User).where(a.shop.User.id == 9001).values(name="changed"))


@expect("scoped")
async def update_returning(a: Attacker) -> object:
    user = a.shop.User
    found = await a.rows(update(user).values(name=user.name + "!").returning(user.name))
    await a.session.commit()
    return sorted(map(str, found))


@expect("scoped")
async def update_returning_subquery(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    inner = select(func.max(post.title)).scalar_subquery()
    return await a.rows(update(user).values(name="changed").returning(inner))


@expect("refused", "failed", leaks=False)
async def update_returning_other_entity(a: Attacker) -> object:
    return await a.rows(update(a.shop.User).values(name="changed").returning(a.shop.Post.title))


@expect("scoped")
async def update_fetching(a: Attacker) -> object:
    options = {"synchronize_session": "fetch"}
    return await a.change(update(a.shop.User).values(name="changed"), execution_options=options)


@expect("scoped")
async def update_without_synchronizing(a: Attacker) -> object:
    return await a.change(update(a.shop.User).values(name="changed"), execution_options={"synchronize_session": False})


@expect("scoped")
async def update_where_exists(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    return await a.change(
        update(user).where(exists(select(post.id).where(post.title.like("sec%")))).values(name="changed")
    )


@expect("scoped")
async def update_where_any(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    return await a.change(update(user).where(user.posts.any(post.title.like("sec%"))).values(name="changed"))


@expect("scoped")
async def update_where_in(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    return await a.change(update(user).where(user.id.in_(select(post.user_id))).values(name="changed"))


@expect("refused", "scoped")
async def update_joined(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    return await a.change(update(user).where(post.title.like("sec%")).values(name="changed"))


@expect("refused", "scoped")
async def update_joined_to_itself(a: Attacker) -> object:
    user, other = a.shop.User, aliased(a.shop.User)
    return await a.change(update(user).where(other.name.like("sec%")).values(name="changed"))


@expect("refused", "scoped")
async def update_joined_to_core(a: Attacker) -> object:
    user, posts = a.shop.User, a.shop.Post.__table__
    return await a.change(update(user).where(posts.c.title.like("sec%")).values(name="changed"))


@expect("refused", "scoped")
async def update_with_value_of_other(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    return await a.change(update(user).values(name=post.title).where(post.id > 2))


@expect("scoped")
async def update_with_subquery(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    return await a.change(update(user).values(name=select(func.max(post.title)).scalar_subquery()))


@expect("refused", "scoped")
async def update_with_core_subquery(a: Attacker) -> object:
    user, posts = a.shop.User, a.shop.Post.__table__
    return await a.change(update(user).values(name=select(func.max(posts.c.title)).scalar_subquery()))


@expect("refused", "scoped")
async def tenant_by_name(a: Attacker) -> object:
    return await a.change(update(a.shop.User).values(tenant_id=a.other))


@expect("refused", "scoped")
async def tenant_by_attribute(a: Attacker) -> object:
    return await a.change(update(a.shop.User).values({a.shop.User.tenant_id: a.other}))


@expect("refused", "scoped")
async def tenant_by_column(a: Attacker) -> object:
    return await a.change(update(a.shop.User).values({a.shop.User.__table__.c.tenant_id: a.other}))


@expect("refused", "scoped")
async def tenant_in_order(a: Attacker) -> object:
    return await a.change(update(a.shop.User).ordered_values((a.shop.User.name, "x"), (a.shop.User.tenant_id, a.other)))


@expect("refused", "scoped")
async def tenant_by_parameters(a: Attacker) -> object:
    return await a.change(update(a.shop.User), {"tenant_id": a.other})


@expect("refused", "scoped")
async def tenant_by_renamed_attribute(a: Attacker) -> object:
    return await a.change(update(a.shop.Account).values(owner=a.other))


@expect("refused", "scoped")
async def tenant_by_synonym(a: Attacker) -> object:
    return await a.change(update(a.shop.User).values(owner_id=a.other))


@expect("refused", "scoped")
async def tenant_by_hybrid(a: Attacker) -> object:
    return await a.change(update(a.shop.User).values(whose=a.other))


@expect("refused", "scoped")
async def tenant_by_hybrid_attribute(a: Attacker) -> object:
    return await a.change(update(a.shop.User).values({a.shop.User.whose: a.other}))


@expect("refused", "scoped", databases_on_sqlite="failed")
async def update_by_keys(a: Attacker) -> object:
    return await a.change(update(a.shop.User), [{"id": 9001, "name": "taken"}, {"id": 1, "name": "changed"}])


@expect("refused")
async def update_by_strategy(a: Attacker) -> object:
    return await a.change(update(a.shop.User).values(name="taken"), execution_options={"dml_strategy": "core_only"})


@expect("refused")
async def delete_by_strategy(a: Attacker) -> object:
    return await a.change(delete(a.shop.User), execution_options={"dml_strategy": "core_only"})


@expect("refused", "scoped")
async def update_joined_class(a: Attacker) -> object:
    return await a.change(update(a.shop.Manager).values(bonus="taken"))


@expect("refused", "scoped")
async def delete_joined_class(a: Attacker) -> object:
    return await a.change(delete(a.shop.Manager))


@expect("scoped")
async def update_single_table_class(a: Attacker) -> object:
    return await a.change(update(a.shop.Dog).values(name="changed"))


@expect("refused", "scoped")
async def update_alias(a: Attacker) -> object:
    other = aliased(a.shop.User)
    return await a.change(update(other).values(name="changed"))


@expect("scoped")
async def delete_all(a: Attacker) -> object:
    return await a.change(delete(a.shop.User))


@expect("scoped")
async def delete_returning(a: Attacker) -> object:
    found = await a.rows(delete(a.shop.Post).returning(a.shop.Post.title))
    await a.session.commit()
    return sorted(map(str, found))


@expect("scoped")
async def delete_where_in(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    return await a.change(delete(user).where(user.id.in_(select(post.user_id).where(post.title.like("sec%")))))


@expect("refused", "scoped", databases_on_sqlite="failed", leaks=False)
async def delete_joined(a: Attacker) -> object:
    return await a.change(delete(a.shop.User).where(a.shop.Post.title.like("sec%")))


@expect("refused", "scoped")
async def insert_for_other(a: Attacker) -> object:
    return await a.change(insert(a.shop.User).values(id=30001, tenant_id=a.other, name="taken"))


@expect("refused", "scoped")
async def insert_many_for_other(a: Attacker) -> object:
    return await a.change(insert(a.shop.User), [{"id": 30001, "tenant_id": a.other, "name": "taken"}])


@expect("refused", "scoped")
async def insert_returning(a: Attacker) -> object:
    user = a.shop.User
    return await a.rows(insert(user).values(id=30001, tenant_id=a.other, name="taken").returning(user.name))


@expect("refused", "scoped")
async def insert_from_select(a: Attacker) -> object:
    user, post = a.shop.User, a.shop.Post
    chosen = select(post.id + 30000, literal(a.other), post.title)
    return await a.change(insert(user).from_select(["id", "tenant_id", "name"], chosen))


@expect("refused", databases="scoped")
async def update_undeclared(a: Attacker) -> object:
    return await a.change(update(a.shop.Log).values(line="taken"))


@expect("scoped")
async def update_by_query(a: Attacker) -> object:
    return await a.session.run_sync(lambda session: session.query(a.shop.User).update({"name": "changed"}))


@expect("refused", "scoped")
async def tenant_by_query(a: Attacker) -> object:
    return await a.session.run_sync(lambda session: session.query(a.shop.User).update({"tenant_id": a.other}))


@expect("scoped")
async def delete_by_query(a: Attacker) -> object:
    return await a.session.run_sync(lambda session: session.query(a.shop.User).delete())
