"""Attacks by what criteria of the ORM can't see: SQL as text, bare tables, and what hides in a statement."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    DDL,
    MetaData,
    Table,
    column,
    exists,
    extract,
    func,
    insert,
    literal,
    literal_column,
    select,
    table,
    text,
    union,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import aliased
from sqlalchemy.sql.elements import quoted_name

from tests.database.attacks.attack import Attacker, expect


@expect("refused", databases="scoped")
async def text_statement(a: Attacker) -> object:
    return await a.rows(text("select name from users order by name"))


@expect("refused", databases="scoped")
async def text_with_columns(a: Attacker) -> object:
    return await a.rows(text("select id, name from users order by id").columns(a.shop.User.id, a.shop.User.name))


@expect("refused", databases="scoped")
async def text_that_changes(a: Attacker) -> object:
    return await a.change(text("update users set name = 'taken'"))


@expect("refused", databases="scoped")
async def from_text(a: Attacker) -> object:
    return await a.rows(select(a.shop.User).from_statement(text("select * from users order by id")))


@expect("refused", databases="scoped")
async def from_core(a: Attacker) -> object:
    return await a.rows(select(a.shop.User).from_statement(select(a.shop.User.__table__)))


@expect("refused", databases="failed", leaks=False)
async def text_in_where(a: Attacker) -> object:
    return await a.rows(select(a.shop.User.name).where(text("1 = 1) or (1 = 1")))


@expect("refused", databases="scoped")
async def text_in_order(a: Attacker) -> object:
    order = text("(select max(title) from posts), id")
    return await a.rows(select(a.shop.User.name).order_by(order))


@expect("refused", databases="scoped")
async def text_in_columns(a: Attacker) -> object:
    return await a.rows(select(a.shop.User.id, text("(select max(title) from posts)")).order_by(a.shop.User.id))


@expect("refused", databases="failed", leaks=False)
async def text_in_from(a: Attacker) -> object:
    return await a.rows(select(a.shop.Plan.name, literal_column("p.title")).select_from(a.shop.Plan, text("posts p")))


@expect("refused", databases="scoped", leaks=False)
async def text_in_group(a: Attacker) -> object:
    return await a.rows(select(func.count(a.shop.User.id)).group_by(text("(select max(title) from posts)")))


@expect("refused", databases="failed", leaks=False)
async def text_in_having(a: Attacker) -> object:
    user = a.shop.User
    having = text("1 = 1) or exists (select 1 from posts where title like 'sec%' or 1 = 1")
    return await a.rows(select(user.name).group_by(user.name).having(having))


@expect("refused", databases="failed", leaks=False)
async def text_in_exists(a: Attacker) -> object:
    return await a.rows(select(a.shop.User.name).where(exists(text("select 1 from posts"))))


@expect("refused", databases="scoped")
async def literal_in_columns(a: Attacker) -> object:
    return await a.rows(select(a.shop.User.id, literal_column("(select max(title) from posts)")))


@expect("refused", databases="scoped")
async def literal_in_function(a: Attacker) -> object:
    inner: Any = func.coalesce(literal_column("(select max(title) from posts)"), a.shop.User.name)
    return await a.rows(select(inner))


@expect("refused", databases="scoped")
async def column_named_by_a_query(a: Attacker) -> object:
    name = quoted_name("(select max(name) from users)", quote=False)
    return await a.rows(select(column(name)))


@expect("refused", databases="scoped")
async def named_table(a: Attacker) -> object:
    return await a.rows(select(column("title")).select_from(table("posts", column("title"))))


@expect("refused", leaks=False)
async def foreign_table_object(a: Attacker) -> object:
    forged = Table("posts", MetaData(), *(column._copy() for column in a.shop.Post.__table__.columns), schema="globex")  # noqa: SLF001
    return await a.rows(select(forged))


@expect("refused", databases="scoped")
async def prefix(a: Attacker) -> object:
    statement = select(a.shop.User.name).prefix_with(text("(select max(title) from posts),"))
    return await a.rows(statement)


@expect("refused", databases="scoped")
async def suffix(a: Attacker) -> object:
    return await a.rows(select(a.shop.User.name).suffix_with(text("union all select title from posts order by 1")))


@expect("refused", databases="scoped")
async def statement_hint(a: Attacker) -> object:
    return await a.rows(select(a.shop.User.name).with_statement_hint("union all select title from posts"))


@expect("refused", databases="scoped")
async def table_hint(a: Attacker) -> object:
    return await a.rows(select(a.shop.User.name).with_hint(a.shop.User, "indexed by nothing", "oracle"))


@expect("refused", databases="failed", leaks=False)
async def operator(a: Attacker) -> object:
    user = a.shop.User
    return await a.rows(select(user.name).where(user.name.op("= '' or (1 = 1)) or (1 = 1) or ('' =")("")))


@expect("refused", databases="failed", leaks=False)
async def operator_that_comments(a: Attacker) -> object:
    user = a.shop.User
    return await a.rows(select(user.name).where(user.name.op("> '' --")("x")))


@expect("refused", databases="scoped")
async def operator_that_is_a_query(a: Attacker) -> object:
    user = a.shop.User
    return await a.rows(select(user.name.op("from users union select")(user.name)))


@expect("refused", databases="scoped")
async def operator_that_binds_less_than_it_says(a: Attacker) -> object:
    user = a.shop.User
    return await a.rows(select(user.name).where((user.id > 0).op("or", precedence=100)(user.id > 0)).order_by(user.id))


@expect("scoped")
async def operator_in_words(a: Attacker) -> object:
    user = a.shop.User
    return await a.rows(select(user.name).where(user.name.op("IS DISTINCT FROM")("x")).order_by(user.id))


@expect("scoped")
async def operator_that_is_one(a: Attacker) -> object:
    user = a.shop.User
    return await a.rows(select(user.name).where(user.name.op("||")("x") != "").order_by(user.id))


@expect("refused", databases="failed", leaks=False)
async def field_of_extract(a: Attacker) -> object:
    return await a.rows(select(extract("year from now()) from users --", a.shop.User.name)))


@expect("refused", databases="scoped", databases_on_sqlite="failed", leaks=False)
async def function_that_takes_sql(a: Attacker) -> object:
    taken = func.query_to_xml("select title from posts", literal(value=True), literal(value=False), "")
    return await a.rows(select(a.shop.User.id, func.length(taken.cast(postgresql.TEXT))))


@expect("refused", databases="scoped", databases_on_sqlite="failed", leaks=False)
async def function_that_rewrites_by_a_query(a: Attacker) -> object:
    rewritten = "select 'a'::tsquery, plainto_tsquery('simple', string_agg(title, ' ')) from posts"
    return await a.rows(select(func.ts_rewrite(func.to_tsquery("simple", "a"), rewritten)))


@expect("refused", databases="scoped")
async def ddl(a: Attacker) -> object:
    return await a.change(_DDL("update users set name = 'taken'"))


@expect("refused", databases="failed", leaks=False)
async def ddl_of_table(a: Attacker) -> object:
    from sqlalchemy.schema import CreateTable

    return await a.change(CreateTable(Table("made", MetaData())))


@expect("refused", "scoped")
async def core_select(a: Attacker) -> object:
    return await a.rows(select(a.shop.User.__table__).order_by("id"))


@expect("refused", "scoped")
async def core_select_of_plain_table(a: Attacker) -> object:
    return await a.rows(select(a.shop.notes))


@expect("refused", databases="scoped")
async def core_select_of_undeclared(a: Attacker) -> object:
    return await a.rows(select(a.shop.Log.__table__))


@expect("refused", "scoped")
async def core_update(a: Attacker) -> object:
    return await a.change(update(a.shop.User.__table__).values(name="taken"))


@expect("refused", "scoped")
async def core_delete(a: Attacker) -> object:
    return await a.change(a.shop.User.__table__.delete())


@expect("refused", "scoped")
async def core_insert(a: Attacker) -> object:
    return await a.change(insert(a.shop.User.__table__).values(id=30001, tenant_id=a.other, name="taken"))


@expect("refused", "scoped")
async def core_insert_from_select(a: Attacker) -> object:
    users, posts = a.shop.User.__table__, a.shop.Post.__table__
    chosen = select(posts.c.id + 30000, literal(a.other), posts.c.title)
    return await a.change(insert(users).from_select(["id", "tenant_id", "name"], chosen))


@expect("refused", "scoped")
async def join_to_core(a: Attacker) -> object:
    user, posts = a.shop.User, a.shop.Post.__table__
    return await a.rows(select(user.name, posts.c.title).join(posts, posts.c.user_id == user.id).order_by(posts.c.id))


@expect("refused", "scoped")
async def join_to_core_alias(a: Attacker) -> object:
    user, posts = a.shop.User, a.shop.Post.__table__.alias()
    return await a.rows(select(user.name).join(posts, posts.c.user_id == user.id))


@expect("refused", "scoped")
async def core_column_beside(a: Attacker) -> object:
    return await a.rows(select(a.shop.User.name, a.shop.Post.__table__.c.title))


@expect("refused", "scoped")
async def core_column_in_where(a: Attacker) -> object:
    return await a.rows(select(a.shop.User.name).where(a.shop.Post.__table__.c.title.like("sec%")))


@expect("scoped")
async def core_column_of_same(a: Attacker) -> object:
    user = a.shop.User
    return await a.rows(select(user.name, user.__table__.c.note).where(user.__table__.c.id > 0).order_by(user.id))


@expect("refused", "scoped")
async def core_column_beside_alias(a: Attacker) -> object:
    other = aliased(a.shop.User)
    return await a.rows(select(other.name, a.shop.User.__table__.c.name).order_by(other.id))


@expect("refused", "scoped")
async def core_column_of_alias(a: Attacker) -> object:
    other = a.shop.User.__table__.alias()
    return await a.rows(select(a.shop.User.name).where(other.c.name.like("sec%")))


@expect("refused", "scoped")
async def core_column_of_subquery(a: Attacker) -> object:
    inner = select(a.shop.Post.__table__.c.title).subquery()
    return await a.rows(select(a.shop.User.name, inner.c.title))


@expect("refused", "scoped")
async def core_column_of_same_in_subquery(a: Attacker) -> object:
    user = a.shop.User
    inner = select(user.__table__.c.name).subquery()
    return await a.rows(select(user.name, inner.c.name))


@expect("refused", "scoped")
async def core_column_uncorrelated(a: Attacker) -> object:
    user = a.shop.User
    inner = select(literal(1)).where(user.__table__.c.name.like("sec%")).correlate(None).exists()
    return await a.rows(select(user.name).where(inner))


@expect("refused", "scoped")
async def core_column_in_scalar_subquery(a: Attacker) -> object:
    user, posts = a.shop.User, a.shop.Post.__table__
    return await a.rows(select(user.name, select(func.max(posts.c.title)).scalar_subquery()))


@expect("refused", "scoped")
async def core_column_in_order(a: Attacker) -> object:
    user, posts = a.shop.User, a.shop.Post.__table__
    return await a.rows(select(user.name).order_by(select(func.max(posts.c.title)).scalar_subquery(), user.id))


@expect("refused", "scoped")
async def core_part_of_joined(a: Attacker) -> object:
    return await a.rows(select(a.shop.Person.name, a.shop.Manager.__table__.c.bonus))


@expect("refused", "scoped")
async def core_part_of_union(a: Attacker) -> object:
    return await a.rows(union(select(a.shop.User.name), select(a.shop.Post.__table__.c.title)))


@expect("refused", "scoped")
async def core_in_cte(a: Attacker) -> object:
    inner = select(a.shop.Post.__table__.c.title).cte()
    return await a.rows(select(inner.c.title, a.shop.User.name))


@expect("refused", schemas="scoped", databases="failed", leaks=False)
async def change_in_cte(a: Attacker) -> object:
    user = a.shop.User
    inner = update(user).values(name="taken").returning(user.name).cte()
    return await a.rows(select(inner.c.name, a.shop.Plan.name).order_by(inner.c.name))


@expect("refused", "scoped", databases_on_sqlite="failed", leaks=False)
async def core_change_in_cte(a: Attacker) -> object:
    users = a.shop.User.__table__
    inner = update(users).values(name="taken").returning(users.c.name).cte()
    return await a.rows(select(a.shop.User.name).add_cte(inner).order_by(a.shop.User.id))


@expect("refused", "scoped", databases_on_sqlite="failed", leaks=False)
async def insert_in_cte(a: Attacker) -> object:
    user = a.shop.User
    inner = insert(user).values(id=30001, tenant_id=a.other, name="taken").returning(user.name).cte()
    return await a.rows(select(inner.c.name))


@expect("refused", "scoped")
async def upsert_that_updates(a: Attacker) -> object:
    return await a.change(_upsert(a).on_conflict_do_update(index_elements=["id"], set_={"name": "taken"}))


@expect("refused", "scoped")
async def upsert_that_does_nothing(a: Attacker) -> object:
    return await a.change(_upsert(a).on_conflict_do_nothing(index_elements=["id"]))


_DDL: Any = DDL


def _upsert(a: Attacker) -> Any:
    make = postgresql.insert if a.access.dialect == "postgresql" else sqlite.insert
    return make(a.shop.User).values(
        [{"id": 9001, "name": "taken", "tenant_id": a.ours}, {"id": 30002, "name": "x", "tenant_id": a.other}]
    )
