"""The databases that are attacked: the same rows of two tenants, in each way to keep them apart."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from operator import is_not
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import MetaData, Table, Text, cast, create_engine, delete, func, insert, make_url, select, text
from sqlalchemy.schema import ForeignKeyConstraint

from pinstripe.database.access import DatabaseAccess
from pinstripe.tenants import Tenant
from tests.database.attacks import shop_in_schemas, shop_of_integers, shop_of_text, shop_of_uuids, shop_under_policies
from tests.database.settings import database_settings
from tests.postgres import APP, OWNER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from sqlalchemy import Engine, Select

    from pinstripe.database.catalog import Isolation
    from tests.postgres import Postgres

CANARY = "secret"
"""What every value of tenant B's has in it, and none of tenant A's."""

Rows = dict[Table, list[dict[str, Any]]]

Seen = dict[str, list[str]]
"""The rows of each table, as text."""


class Place:
    """One database, or one schema of it, as somebody sees it who may see everything."""

    def __init__(self, engine: Engine, rows: Rows) -> None:
        """Take the engine and the rows that are there at first."""
        self._engine = engine
        self._rows = rows
        self._tables = [table for table in rows if "view of" not in table.info]
        self._shown: Any = None
        self._seen: list[tuple[Table, Any]] = []

    def make(self, kept: Path | None = None) -> None:
        """Make the tables, without foreign keys: the database shall not do what is to be done here."""
        copy = MetaData()
        for table in self._tables:
            made = table.to_metadata(copy)
            for constraint in [one for one in made.constraints if isinstance(one, ForeignKeyConstraint)]:
                made.constraints.discard(constraint)
        with self._engine.begin() as connection:
            copy.create_all(connection)
            for table in self._rows:
                if "view of" in table.info:
                    secure = " with (security_invoker = true)" if connection.dialect.name == "postgresql" else ""
                    schemas = connection.get_execution_options().get("schema_translate_map", {})
                    of = f"{schemas[table.schema]}." if table.schema in schemas else ""
                    columns = ", ".join(column.name for column in table.columns)
                    connection.execute(
                        text(
                            f"create view {of}{table.name}{secure} as select {columns} from {of}{table.info['view of']}"
                        )
                    )
        self.restore()

    def restore(self) -> None:
        """Put the first rows back, and nothing else."""
        with self._engine.begin() as connection:
            for table in self._tables:
                connection.execute(delete(table))
                if self._rows[table]:
                    connection.execute(insert(table), self._rows[table])

    def look(self) -> list[tuple[Table, Any]]:
        """Give every row with its table: the same list as before, where nothing has changed since."""
        with self._engine.connect() as connection:
            shown = connection.execute(self._everything).one()
            if shown != self._shown:
                self._seen = [(table, row) for table in self._tables for row in connection.execute(select(table))]
                self._shown = shown
        return self._seen

    @cached_property
    def _everything(self) -> Select[Any]:
        """Give what selects all rows of all tables as text, in one query: it is asked for after every attack."""

        def shown(column: Any) -> Any:
            if self._engine.dialect.name == "sqlite":
                return func.quote(column, type_=Text)
            return func.quote_nullable(cast(column, Text), type_=Text)

        def rows_of_table(table: Table) -> Any:
            first, *others = map(shown, table.columns)
            row = sum(("," + each for each in others), start=first)
            return select(func.aggregate_strings(row, ";")).select_from(table).scalar_subquery()

        return select(*map(rows_of_table, self._tables))

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


@dataclass
class World:
    """One way to keep tenants apart, on one kind of database. `ours` and `other` are the tenants' values of columns."""

    name: str
    shop: Any
    folder: Path
    isolation: Isolation
    settings: Mapping[str, object]
    places: list[Place]
    ours: Any
    other: Any
    _told: tuple[list[list[tuple[Table, Any]]], tuple[list[str], list[str]]] | None = field(default=None, init=False)

    @property
    def tenants(self) -> tuple[Tenant, Tenant]:
        """Tenant A and tenant B."""
        return Tenant(str(self.ours)), Tenant(str(self.other))

    @asynccontextmanager
    async def access(self) -> AsyncIterator[DatabaseAccess]:
        """Give the service."""
        settings = database_settings(self.folder, isolation=self.isolation, **self.settings)
        access = DatabaseAccess(settings, self.folder, self.isolation)
        try:
            yield access
        finally:
            await access.close()

    def restore(self) -> None:
        """Put everything back."""
        for place in self.places:
            place.restore()

    def look(self) -> tuple[list[str], list[str]]:
        """Give tenant A's rows, and everybody else's; both as text, in order."""
        seen = [place.look() for place in self.places]
        if self._told is None or any(map(is_not, self._told[0], seen)):
            self._told = seen, self._tell(seen)
        ours, theirs = self._told[1]
        return [*ours], [*theirs]

    def _tell(self, seen: list[list[tuple[Table, Any]]]) -> tuple[list[str], list[str]]:
        ours, theirs = [], []
        for number, found in enumerate(seen):
            for table, row in found:
                values = row._mapping  # noqa: SLF001 - a documented name of SQLAlchemy's Row
                whose = values.get("tenant_id") if self.isolation == "rows" else (self.ours if number == 0 else None)
                if table.name in ("plans", "managers") or (whose is not None and whose == self.ours):
                    if table.name == "managers" and CANARY in str(row):
                        theirs.append(f"{table.name} {tuple(row)}")
                    else:
                        ours.append(f"{table.name} {dict(values)}")
                else:
                    theirs.append(f"{number} {table.name} {tuple(row)}")
        return sorted(ours), sorted(theirs)


def rows_on_sqlite(folder: Path, *, kind: str = "text", alone: bool = False) -> World:
    """Give both tenants' rows in one file; with `alone` only tenant A's."""
    module, ours, other = _OF[kind]
    folder.mkdir(exist_ok=True)
    rows = {
        table: found + ([] if alone else rows_of(module.shop, other, CANARY, 9000)[table])
        for table, found in rows_of(module.shop, ours, "acme", 0).items()
    }
    place = Place(create_engine(f"sqlite:///{folder / 'shop.db'}"), rows | _of_all(module.shop))
    place.make()
    settings = {"url": "sqlite:///shop.db", "models": module.__name__, "shared_tables": ["plans"]}
    return World(
        f"rows on sqlite{'' if kind == 'text' else ' of ' + kind}",
        module.shop,
        folder,
        "rows",
        settings,
        [place],
        ours,
        other,
    )


def rows_on_postgresql(
    folder: Path, postgres: Postgres, *, user: str = APP, protected: bool = False, alone: bool = False
) -> World:
    """Give both tenants' rows in one database of PostgreSQL, `protected` by row-level security."""
    module, ours, other = _OF["policies" if protected else "text"]
    name = postgres.create_database()
    rows = {
        table: found + ([] if alone else rows_of(module.shop, other, CANARY, 9000)[table])
        for table, found in rows_of(module.shop, ours, "acme", 0).items()
    }
    place = Place(_superuser(postgres, name), rows | _of_all(module.shop))
    place.make()
    _own(postgres, name, "public")
    if protected:
        for table in rows:
            if "view of" not in table.info and "tenant_id" in table.columns:
                from pinstripe.database.policies import protection

                postgres.execute_now("; ".join(protection(table.name, "tenant_id")), database=name)
    settings = {"url": postgres.url(name, user), "models": module.__name__, "shared_tables": ["plans"]}
    kind = f"rows on postgresql{' guarded' if protected else ''}{' owned' if user == OWNER else ''}"
    return World(kind, module.shop, folder, "rows", settings, [place], ours, other)


def schemas_on_postgresql(folder: Path, postgres: Postgres) -> World:
    """Give each tenant's rows in a schema of its own."""
    shop, ours, other = shop_in_schemas.shop, "acme", "globex"
    name = postgres.create_database()
    places = []
    for schema, word, first in ((ours, "acme", 0), (other, CANARY, 9000)):
        postgres.execute_now(f"create schema {schema}", database=name)
        engine = _superuser(postgres, name).execution_options(schema_translate_map={"tenant": schema})
        places.append(Place(engine, rows_of(shop, schema, word, first)))
    places.append(Place(_superuser(postgres, name), _of_all(shop)))
    for place in places:
        place.make()
    for schema in ("public", ours, other):
        _own(postgres, name, schema)
    settings = {"url": postgres.url(name, APP), "models": shop_in_schemas.__name__, "shared_tables": ["plans"]}
    return World("schemas on postgresql", shop, folder, "schemas", settings, places, ours, other)


def databases_on_sqlite(folder: Path) -> World:
    """Give each tenant's rows in a file of its own."""
    folder.mkdir(exist_ok=True)
    engines = [create_engine(f"sqlite:///{folder / name}.db") for name in ("acme", "globex", "shared")]
    urls = {"url": "sqlite:///shared.db", "tenant_url": "sqlite:///{id}.db"}
    return _databases("databases on sqlite", folder, engines, urls)


def databases_on_postgresql(folder: Path, postgres: Postgres) -> World:
    """Give each tenant's rows in a database of its own."""
    start = postgres.create_database()
    names = [f"{start}_acme", f"{start}_globex", start]
    for name in names[:2]:
        postgres.execute_now(f'create database "{name}" owner {OWNER}')
    engines = [_superuser(postgres, name) for name in names]
    urls = {"url": postgres.url(start, APP), "tenant_url": postgres.url(start, APP).replace(start, start + "_{id}")}
    world = _databases("databases on postgresql", folder, engines, urls)
    for name in names:
        _own(postgres, name, "public")
    return world


def _databases(name: str, folder: Path, engines: list[Engine], urls: Mapping[str, object]) -> World:
    shop, shared = shop_of_text.shop, _of_all(shop_of_text.shop)
    places = []
    for engine, (tenant, word, first) in zip(engines, (("acme", "acme", 0), ("globex", CANARY, 9000)), strict=False):
        logs = {shop.Log.__table__: [{"id": 1, "line": f"{word}-log"}]}
        places.append(Place(engine, rows_of(shop, tenant, word, first) | logs))
    places.append(Place(engines[2], {shop.Plan.__table__: shared[shop.Plan.__table__]}))
    for place in places:
        place.make()
    settings = {**urls, "models": shop_of_text.__name__, "shared_tables": ["plans"]}
    return World(name, shop, folder, "databases", settings, places, "acme", "globex")


def rows_of(shop: Any, tenant: Any, word: str, first: int) -> Rows:
    """Give a tenant's rows: `word` is in each of their values, and their ids come after `first`.

    Some of them hang on rows of the other tenant.
    """
    other = 9000 - first

    def row(number: int, **values: Any) -> dict[str, Any]:
        return {"id": first + number, "tenant_id": tenant, **values}

    rows: dict[Any, list[dict[str, Any]]] = {
        shop.User: [row(n, name=f"{word}-user{n}", note=f"{word}-note{n}") for n in (1, 2)],
        shop.Post: [
            row(1, title=f"{word}-post1", user_id=first + 1),
            row(2, title=f"{word}-post2", user_id=first + 1),
            row(3, title=f"{word}-post3", user_id=other + 1),
        ],
        shop.Profile: [row(1, bio=f"{word}-bio", user_id=other + 1)],
        shop.Tag: [row(1, label=f"{word}-tag")],
        shop.Comment: [
            row(1, body=f"{word}-comment1", parent_id=None),
            row(2, body=f"{word}-comment2", parent_id=first + 1),
            row(3, body=f"{word}-comment3", parent_id=other + 1),
        ],
        shop.Person: [row(1, kind="person", name=f"{word}-person"), row(2, kind="manager", name=f"{word}-manager")],
        shop.Animal: [row(1, kind="animal", name=f"{word}-cat"), row(2, kind="dog", name=f"{word}-dog")],
        shop.Account: [row(1, balance=f"{word}-balance")],
        shop.Order: [{"tenant_id": tenant, "id": 1, "item": f"{word}-item"}],
        shop.Line: [{"tenant_id": tenant, "id": 1, "order_id": 1, "text": f"{word}-line"}],
        shop.UserView: [],
    }
    if hasattr(shop, "Manager"):
        rows[shop.Manager] = [{"id": first + 2, "bonus": f"{word}-bonus"}]
    return {
        **{entity.__table__: found for entity, found in rows.items()},
        shop.user_tags: [
            {"tenant_id": tenant, "user_id": first + 1, "tag_id": first + 1},
            {"tenant_id": tenant, "user_id": other + 1, "tag_id": first + 1},
            {"tenant_id": tenant, "user_id": first + 1, "tag_id": other + 1},
        ],
        shop.notes: [row(1, body=f"{word}-body")],
    }


def _of_all(shop: Any) -> Rows:
    return {shop.Plan.__table__: [{"id": 1, "name": "pro"}], shop.Log.__table__: [{"id": 1, "line": f"{CANARY}-log"}]}


def _superuser(postgres: Postgres, name: str) -> Engine:
    # Nobody else is there when it looks, and puts back: no transaction is begun and ended for each look.
    url = make_url(postgres.url(name)).set(drivername="postgresql+psycopg")
    return create_engine(url, isolation_level="AUTOCOMMIT")


def _own(postgres: Postgres, database: str, schema: str) -> None:
    """Let the owner have what is in a schema, and the application use it; new rows have keys that are nobody's."""
    postgres.execute_now(_OWN.replace("SCHEMA", schema), database=database)


_OWN = f"""
do $$ declare one record; begin
    execute 'alter schema SCHEMA owner to {OWNER}; grant usage on schema SCHEMA to {APP}';
    for one in select oid::regclass as name, relkind from pg_class
            where relnamespace = 'SCHEMA'::regnamespace and relkind in ('r', 'v') loop
        execute format('alter table %s owner to {OWNER}', one.name);
        execute format('grant select, insert, update, delete on %s to {APP}', one.name);
    end loop;
    for one in select oid::regclass as name from pg_class
            where relnamespace = 'SCHEMA'::regnamespace and relkind = 'S' loop
        execute format('grant usage, select on sequence %s to {APP}', one.name);
        perform setval(one.name, 20000);
    end loop;
end $$
"""

_OF: dict[str, tuple[Any, Any, Any]] = {
    "text": (shop_of_text, "acme", "globex"),
    "integers": (shop_of_integers, 1, 2),
    "policies": (shop_under_policies, "acme", "globex"),
    "uuids": (shop_of_uuids, UUID(int=1), UUID(int=2)),
}
