"""Attacks by the session itself: its options, its attributes, and what leads out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, text, update
from sqlalchemy.util import immutabledict

from tests.database.attacks.attack import Attacker, expect

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


_ELSEWHERE: Any = {"schema_translate_map": {"tenant": "globex", None: "globex"}}


@expect("refused")
async def connection(a: Attacker) -> object:
    bare = await a.session.connection()
    return list(await bare.execute(select(a.shop.User.__table__)))


@expect("refused")
async def connection_inside(a: Attacker) -> object:
    return await a.session.run_sync(lambda session: list(session.connection().execute(text("select name from users"))))


@expect("refused", leaks=False)
async def bind(a: Attacker) -> object:
    def work(session: Session) -> object:
        engine: Any = session.get_bind()
        with engine.connect() as bare:
            return list(bare.execute(text("select 1 from users")))

    return await a.session.run_sync(work)


@expect("refused", leaks=False)
async def bind_of_async_session(a: Attacker) -> object:
    return repr(a.session.get_bind())


@expect("refused")
async def connection_of_transaction(a: Attacker) -> object:
    def work(session: Session) -> object:
        transaction = session.begin()
        return list(transaction.connection(None).execute(text("select name from users")))

    return await a.session.run_sync(work)


@expect("failed", leaks=False)
async def bind_attribute(a: Attacker) -> object:
    return await a.session.bind.connect()  # type: ignore[union-attr]


@expect("refused")
async def bulk_save(a: Attacker) -> object:
    row = a.shop.User(id=30001, tenant_id=a.other, name="taken")
    await a.session.run_sync(lambda session: session.bulk_save_objects([row]))
    return await a.commit()


@expect("refused")
async def bulk_insert(a: Attacker) -> object:
    rows = [{"id": 30001, "tenant_id": a.other, "name": "taken"}]
    await a.session.run_sync(lambda session: session.bulk_insert_mappings(a.shop.User, rows))
    return await a.commit()


@expect("refused")
async def bulk_update(a: Attacker) -> object:
    rows = [{"id": 9001, "name": "taken"}]
    await a.session.run_sync(lambda session: session.bulk_update_mappings(a.shop.User, rows))
    return await a.commit()


@expect("refused", leaks=False)
async def schemas_translated(a: Attacker) -> object:
    return await a.rows(
        select(a.shop.User), execution_options={"schema_translate_map": {None: "globex", "tenant": "globex"}}
    )


@expect("refused", leaks=False)
async def schemas_translated_by_statement(a: Attacker) -> object:
    statement = select(a.shop.User).execution_options(schema_translate_map={"tenant": "globex", None: "globex"})
    return await a.rows(statement)


@expect("refused", leaks=False)
async def schemas_translated_for_get(a: Attacker) -> object:
    options = {"schema_translate_map": {"tenant": "globex", None: "globex"}}
    return await a.session.get(a.shop.User, 9001, execution_options=options)


@expect("refused", leaks=False)
async def schemas_translated_by_session(a: Attacker) -> object:
    a.session.sync_session.execution_options = immutabledict(_ELSEWHERE)
    return await a.rows(select(a.shop.User))


@expect("refused")
async def isolation_level_of_session(a: Attacker) -> object:
    a.session.sync_session.execution_options = immutabledict({"isolation_level": "AUTOCOMMIT"})
    return await a.rows(select(a.shop.User))


@expect("refused")
async def isolation_level_of_statement(a: Attacker) -> object:
    return await a.rows(select(a.shop.User), execution_options={"isolation_level": "AUTOCOMMIT"})


@expect("refused")
async def bound_elsewhere(a: Attacker) -> object:
    work = a.access.open(a.other_tenant)
    await work.database[a.shop.User].first()
    engine = work.session.sync_session.means.binding.engine.sync_engine
    await work.close()
    return await a.rows(select(a.shop.Account), bind_arguments={"bind": engine})


@expect("scoped")
async def populated_anew(a: Attacker) -> object:
    user = a.shop.User
    return await a.rows(select(user).order_by(user.id), execution_options={"populate_existing": True})


@expect("scoped")
async def trust_forged(a: Attacker) -> object:
    user = a.shop.User
    return await a.rows(select(user).order_by(user.id), execution_options={"pinstripe_trusted": object()})


@expect("refused", "scoped")
async def trust_forged_for_core(a: Attacker) -> object:
    return await a.rows(select(a.shop.User.__table__), execution_options={"pinstripe_trusted": True})


@expect("failed", leaks=False)
async def everything_claimed(a: Attacker) -> object:
    sync: Any = a.session.sync_session
    sync.everything = True
    return await a.rows(select(a.shop.User))


@expect("failed", leaks=False)
async def scope_replaced(a: Attacker) -> object:
    await a.rows(select(a.shop.Plan))
    means: Any = a.session.sync_session.means
    means.scope = means.scope._replace(unscoped=True)
    return await a.rows(select(a.shop.User))


@expect("failed")
async def parameters_of_scope_changed(a: Attacker) -> object:
    await a.rows(select(a.shop.Plan))
    parameters: Any = a.session.sync_session.scope.parameters
    parameters["pinstripe_tenant_string"] = a.other
    return await a.rows(select(a.shop.User))


@expect("scoped")
async def info_changed(a: Attacker) -> object:
    a.session.info["tenant"] = a.session.info["pinstripe"] = a.other_tenant
    return await a.rows(select(a.shop.User).order_by(a.shop.User.id))


@expect("refused", databases="scoped")
async def synchronous_code(a: Attacker) -> object:
    return await a.session.run_sync(lambda session: list(session.execute(text("select name from users"))))


@expect("scoped")
async def nested_transaction(a: Attacker) -> object:
    async with a.session.begin_nested():
        await a.session.execute(update(a.shop.User).values(name="changed"))
    return await a.rows(select(a.shop.User.name))


@expect("scoped")
async def streamed(a: Attacker) -> object:
    return [row async for row in await a.session.stream(select(a.shop.Post).order_by(a.shop.Post.id))]


@expect("refused", databases="scoped")
async def streamed_text(a: Attacker) -> object:
    return [row async for row in await a.session.stream(text("select title from posts order by id"))]


@expect("scoped")
async def streamed_scalars(a: Attacker) -> object:
    return [row async for row in await a.session.stream_scalars(select(a.shop.Post).order_by(a.shop.Post.id))]


@expect("refused", databases="scoped")
async def scalar_of_text(a: Attacker) -> object:
    return await a.session.scalar(text("select max(name) from users"))


@expect("scoped")
async def after_commit(a: Attacker) -> object:
    await a.session.execute(select(a.shop.User))
    await a.session.commit()
    return await a.rows(select(a.shop.User).order_by(a.shop.User.id))


@expect("scoped")
async def after_rollback(a: Attacker) -> object:
    await a.session.execute(select(a.shop.User))
    await a.session.rollback()
    return await a.rows(select(a.shop.User).order_by(a.shop.User.id))


@expect("refused")
async def insert_of_raw_strategy(a: Attacker) -> object:
    values = {"id": 30001, "tenant_id": a.other, "name": "taken"}
    return await a.change(insert(a.shop.User), values, execution_options={"dml_strategy": "raw"})
