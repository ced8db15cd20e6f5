"""Attacks by rows: those of another session, forged ones, and those whose tenant is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import event, inspect, literal, select
from sqlalchemy.orm import load_only, make_transient, make_transient_to_detached, object_session
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.orm.util import identity_key

from pinstripe.database.service import database_of
from tests.database.attacks.attack import Attacker, expect

if TYPE_CHECKING:
    from collections.abc import Callable


async def _add(a: Attacker, row: Any) -> object:
    a.session.add(row)
    return await a.commit()


def _forged(a: Attacker) -> Any:
    row = a.shop.User(id=9001, tenant_id=a.ours, name="mine")
    make_transient_to_detached(row)
    return row


@expect("refused")
async def forged_row_changed(a: Attacker) -> object:
    row = _forged(a)
    a.session.add(row)
    row.name = "taken"
    return await a.commit()


@expect("refused", leaks=False)
async def forged_row_deleted(a: Attacker) -> object:
    await a.session.delete(_forged(a))
    return await a.commit()


@expect("refused")
async def forged_row_refreshed(a: Attacker) -> object:
    row = _forged(a)
    a.session.add(row)
    await a.session.refresh(row)
    return row


@expect("refused")
async def forged_identity_key(a: Attacker) -> object:
    row = a.shop.User(id=9001, tenant_id=a.ours)
    inspect(row).key = identity_key(a.shop.User, 9001)
    a.session.add(row)
    row.name = "taken"
    return await a.commit()


@expect("refused")
async def row_of_closed_workspace(a: Attacker) -> object:
    row = await a.stolen(a.shop.User)
    a.session.add(row)
    row.name = "taken"
    return await a.commit()


@expect("refused", leaks=False)
async def row_of_closed_workspace_deleted(a: Attacker) -> object:
    await a.session.delete(await a.stolen(a.shop.User))
    return await a.commit()


@expect("failed", leaks=False)
async def row_of_open_workspace(a: Attacker) -> object:
    row = await a.shown(a.shop.User)
    a.session.add(row)
    return await a.commit()


@expect("failed", leaks=False)
async def row_of_open_workspace_deleted(a: Attacker) -> object:
    await a.session.delete(await a.shown(a.shop.User))
    return await a.commit()


@expect("failed", leaks=False)
async def row_of_open_workspace_refreshed(a: Attacker) -> object:
    row = await a.shown(a.shop.User)
    await a.session.refresh(row)
    return row


@expect("refused", "scoped")
async def merged_row(a: Attacker) -> object:
    row = await a.stolen(a.shop.Account)
    row.balance = "taken"
    await a.session.merge(row)
    return await a.commit()


@expect("failed", "scoped")
async def merged_row_without_tenant(a: Attacker) -> object:
    merged = await a.session.merge(a.shop.User(id=9001, name="taken"))
    await a.session.commit()
    return merged.name


@expect("refused")
async def merged_without_loading(a: Attacker) -> object:
    row = await a.session.merge(_forged(a), load=False)
    row.name = "taken"
    return await a.commit()


@expect("refused", "scoped", leaks=False)
async def transient_row(a: Attacker) -> object:
    row = await a.stolen(a.shop.Account)
    row.balance = "taken"
    make_transient(row)
    return await _add(a, row)


@expect("failed", "scoped", leaks=False)
async def new_row_with_key_of_other(a: Attacker) -> object:
    return await _add(a, a.shop.User(id=9001, name="taken"))


@expect("refused", "scoped")
async def new_row_for_other(a: Attacker) -> object:
    return await _add(a, a.shop.User(tenant_id=a.other, name="taken"))


@expect("refused", "scoped")
async def new_row_for_other_by_renamed(a: Attacker) -> object:
    return await _add(a, a.shop.Account(owner=a.other, balance="taken"))


@expect("refused", "scoped")
async def new_row_for_other_by_expression(a: Attacker) -> object:
    return await _add(a, a.shop.User(tenant_id=literal(a.other), name="taken"))


@expect("refused", "scoped")
async def new_joined_row_for_other(a: Attacker) -> object:
    return await _add(a, a.shop.Manager(tenant_id=a.other, name="taken", bonus="taken"))


@expect("scoped")
async def new_row(a: Attacker) -> object:
    row = a.shop.User(name="acme-new", posts=[a.shop.Post(title="acme-new")], tags=[a.shop.Tag(label="acme-new")])
    await _add(a, row)
    return [row.name, a.ours == row.tenant_id or row.tenant_id]


@expect("scoped")
async def new_joined_row(a: Attacker) -> object:
    return await _add(a, a.shop.Manager(name="acme-new", bonus="acme-new"))


@expect("refused", databases="scoped")
async def new_undeclared_row(a: Attacker) -> object:
    return await _add(a, a.shop.Log(line="taken"))


@expect("refused", "scoped")
async def tenant_reassigned(a: Attacker) -> object:
    row = await a.session.get_one(a.shop.User, 1)
    row.tenant_id = a.other
    return await a.commit()


@expect("refused", "scoped")
async def tenant_taken_away(a: Attacker) -> object:
    row = await a.session.get_one(a.shop.User, 1)
    row.tenant_id = None
    return await a.commit()


@expect("failed", leaks=False)
async def tenant_deleted_from_row(a: Attacker) -> object:
    row = await a.session.get_one(a.shop.User, 1)
    del row.tenant_id
    return await a.commit()


@expect("refused", "scoped")
async def tenant_reassigned_unseen(a: Attacker) -> object:
    row = (await a.session.scalars(select(a.shop.User).options(load_only(a.shop.User.name)))).unique().first()
    assert row is not None
    row.tenant_id = a.other
    return await a.commit()


@expect("failed", "scoped", leaks=False)
async def key_reassigned(a: Attacker) -> object:
    row = await a.session.get_one(a.shop.User, 1)
    row.id = 9001
    return await a.commit()


@expect("refused")
async def key_pretended(a: Attacker) -> object:
    row = await a.session.get_one(a.shop.User, 1)
    set_committed_value(row, "id", 9001)
    row.name = "taken"
    return await a.commit()


@expect("refused")
async def key_pretended_and_deleted(a: Attacker) -> object:
    row = await a.session.get_one(a.shop.Account, 1)
    set_committed_value(row, "id", 9001)
    await a.session.delete(row)
    return await a.commit()


@expect("refused")
async def related_row_of_closed_workspace(a: Attacker) -> object:
    return await _add(a, a.shop.Post(title="mine", user=await a.stolen(a.shop.User)))


@expect("failed", leaks=False)
async def related_row_of_open_workspace(a: Attacker) -> object:
    return await _add(a, a.shop.Post(title="mine", user=await a.shown(a.shop.User)))


@expect("failed", leaks=False)
async def row_given_to_other(a: Attacker) -> object:
    theirs = await a.shown(a.shop.Profile)
    theirs.user = await a.session.get_one(a.shop.User, 1)
    return await a.commit()


@expect("refused", leaks=False)
async def expunged_and_added(a: Attacker) -> object:
    row = await a.session.get_one(a.shop.User, 1)
    a.session.expunge(row)
    row.id = 9001
    a.session.add(row)
    return await a.commit()


async def _while(a: Attacker, name: str, does: Callable[[Any], None], row: Any) -> object:
    """Add a row, while an event of the author's own does something to it."""

    def listen(mapper: object, connection: object, target: Any) -> None:
        does(target)

    event.listen(type(row), name, listen)
    try:
        return await _add(a, row)
    finally:
        event.remove(type(row), name, listen)


@expect("refused", "scoped")
async def tenant_changed_while_inserting(a: Attacker) -> object:
    return await _while(a, "before_insert", lambda row: setattr(row, "tenant_id", a.other), a.shop.User(name="taken"))


@expect("refused", "scoped")
async def tenant_changed_to_expression_while_inserting(a: Attacker) -> object:
    row = a.shop.User(name="taken")
    return await _while(a, "before_insert", lambda row: setattr(row, "tenant_id", literal(a.other)), row)


@expect("refused", "scoped")
async def tenant_changed_while_updating(a: Attacker) -> object:
    row = await a.session.get_one(a.shop.User, 1)
    row.name = "changed"
    return await _while(a, "before_update", lambda row: setattr(row, "tenant_id", a.other), row)


@expect("refused", "scoped")
async def tenant_unset_while_inserting(a: Attacker) -> object:
    return await _while(a, "before_insert", lambda row: setattr(row, "tenant_id", None), a.shop.User(name="taken"))


@expect("scoped")
async def relationship_emptied(a: Attacker) -> object:
    row = await a.session.get_one(a.shop.User, 1)
    await a.session.refresh(row, ["posts", "tags"])
    row.posts, row.tags = [], []
    return await a.commit()


@expect("scoped")
async def deleted_with_children(a: Attacker) -> object:
    await a.session.delete(await a.session.get_one(a.shop.Comment, 1))
    return await a.commit()


@expect("scoped")
async def session_of_row(a: Attacker) -> object:
    row = await a.session.get_one(a.shop.User, 1)
    session = object_session(row)
    assert session is not None
    assert inspect(row).session is session
    found = await a.session.run_sync(lambda _: session.scalars(select(a.shop.Account)).all())
    return [found, await database_of(row)[a.shop.User].count()]
