"""Attacks that read classes of every kind, and what is special about a class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import (
    String,
    bindparam,
    cast,
    exists,
    lambda_stmt,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy.orm import aliased, selectin_polymorphic, with_polymorphic

from tests.database.attacks.attack import Attacker, expect

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


@expect("scoped")
async def joined_class(a: Attacker) -> object:
    return await a.rows(select(a.shop.Manager).order_by(a.shop.Manager.id))


@expect("scoped")
async def column_of_joined_class(a: Attacker) -> object:
    return await a.rows(select(a.shop.Manager.bonus))


@expect("refused", "scoped")
async def joined_class_only_in_where(a: Attacker) -> object:
    return await a.rows(select(a.shop.User.name).where(a.shop.Manager.bonus.like("sec%")))


@expect("scoped")
async def joined_class_in_exists(a: Attacker) -> object:
    return await a.rows(
        select(a.shop.User.name).where(exists(select(a.shop.Manager.bonus).where(a.shop.Manager.bonus.like("sec%"))))
    )


@expect("refused", "scoped")
async def joined_class_in_bare_exists(a: Attacker) -> object:
    return await a.rows(select(a.shop.User.name).where(exists().where(a.shop.Manager.bonus.like("sec%"))))


@expect("refused", "scoped")
async def alias_of_joined_class(a: Attacker) -> object:
    other = aliased(a.shop.Manager)
    return await a.rows(select(other.bonus).order_by(other.id))


@expect("scoped")
async def flat_alias_of_joined_class(a: Attacker) -> object:
    other = aliased(a.shop.Manager, flat=True)
    return await a.rows(select(other.bonus).order_by(other.id))


@expect("scoped", rows_on_postgresql_guarded="failed", rows_on_postgresql_guarded_owned="failed")
async def all_classes_of_joined(a: Attacker) -> object:
    every = with_polymorphic(a.shop.Person, "*")
    return await a.rows(select(every).order_by(every.id))


@expect("scoped", rows_on_postgresql_guarded="failed", rows_on_postgresql_guarded_owned="failed")
async def column_of_all_classes(a: Attacker) -> object:
    every = with_polymorphic(a.shop.Person, "*")
    return await a.rows(select(every.Manager.bonus).order_by(every.id))


@expect("scoped")
async def subclasses_loaded_further(a: Attacker) -> object:
    person = a.shop.Person
    return await a.rows(select(person).options(selectin_polymorphic(person, [a.shop.Manager])).order_by(person.id))


@expect("scoped")
async def single_table_class(a: Attacker) -> object:
    return await a.rows(select(a.shop.Dog, a.shop.Animal.name).order_by(a.shop.Animal.id, a.shop.Dog.id))


@expect("scoped")
async def renamed_attribute(a: Attacker) -> object:
    return await a.rows(select(a.shop.Account).where(a.shop.Account.balance.like("%")))


@expect("scoped")
async def renamed_attribute_is_other(a: Attacker) -> object:
    return await a.rows(select(a.shop.Account).where(a.shop.Account.owner == a.other))


@expect("scoped")
async def view(a: Attacker) -> object:
    return await a.rows(select(a.shop.UserView).order_by(a.shop.UserView.id))


@expect("scoped")
async def composite_key(a: Attacker) -> object:
    order, line = a.shop.Order, a.shop.Line
    return await a.rows(select(order.item, line.text).join(order.lines))


@expect("scoped")
async def composite_key_joined_loosely(a: Attacker) -> object:
    order, line = a.shop.Order, a.shop.Line
    return await a.rows(select(order.item, line.text).join(line, line.order_id == order.id))


@expect("scoped")
async def where_other_tenant(a: Attacker) -> object:
    return await a.rows(select(a.shop.User).where(a.shop.User.tenant_id == a.other))


@expect("scoped")
async def where_anything_or(a: Attacker) -> object:
    return await a.rows(select(a.shop.User).where(or_(true(), a.shop.User.id == 1)).order_by(a.shop.User.id))


@expect("scoped", leaks=False)
async def hybrid(a: Attacker) -> object:
    return await a.rows(select(a.shop.User.loud).order_by(a.shop.User.id))


@expect("scoped")
async def column_property(a: Attacker) -> object:
    return await a.rows(select(a.shop.User.name, a.shop.User.post_count).order_by(a.shop.User.id))


@expect("scoped")
async def lambda_statement(a: Attacker) -> object:
    user = a.shop.User
    return await a.rows(lambda_stmt(lambda: select(user).order_by(user.id)))


@expect("scoped")
async def star(a: Attacker) -> object:
    return sorted(map(str, await a.rows(select(literal_column("*")).select_from(a.shop.Post))))


@expect("scoped")
async def parameters_named_as_ours(a: Attacker) -> object:
    names = ("text", "string", "integer", "uuid")
    parameters = {f"pinstripe_tenant_{name}": a.other for name in names}
    return await a.rows(select(a.shop.User).order_by(a.shop.User.id), params=parameters)


@expect("scoped")
async def bound_as_ours(a: Attacker) -> object:
    kind = type(a.shop.User.tenant_id.type).__name__.lower()
    mine = bindparam(f"pinstripe_tenant_{kind}", a.other, type_=a.shop.User.tenant_id.type)
    return await a.rows(select(a.shop.User).where(a.shop.User.tenant_id == mine).order_by(a.shop.User.id))


@expect("scoped")
async def distinct_of_cast(a: Attacker) -> object:
    return await a.rows(select(cast(a.shop.User.name, String)).distinct().order_by(cast(a.shop.User.name, String)))


@expect("scoped")
async def query(a: Attacker) -> object:
    def work(session: Session) -> object:
        return session.query(a.shop.User).order_by(a.shop.User.id).all()

    return await a.session.run_sync(work)


@expect("refused", databases="scoped")
async def undeclared_class(a: Attacker) -> object:
    return await a.rows(select(a.shop.Log))
