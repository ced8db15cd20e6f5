"""A shop's database in each of the ways that an application may have one, filled with the rows of two tenants.

Every value of a tenant's row begins with the tenant's id, so that a row of the other one is seen at once.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_mock_engine

from pinstripe.database.access import DatabaseAccess
from pinstripe.tenants import Tenant
from tests.database import shop_models
from tests.database.settings import database_settings

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.schema import ExecutableDDLElement

    from pinstripe.config import DatabaseSettings
    from pinstripe.database.catalog import Isolation
    from pinstripe.database.service import Database, Work

MODELS = shop_models.__name__

ROWS = """
insert into users (id, tenant_id, name, plan, age) values
    (1, 'acme', 'acme Ann', 'pro', 30), (2, 'acme', 'acme Bob', null, 40), (3, 'acme', 'acme Cid', 'free', null),
    (4, 'globex', 'globex Ann', 'pro', 30), (5, 'globex', 'globex Bob', null, 40);
insert into posts (id, tenant_id, user_id, title, likes) values
    (1, 'acme', 1, 'acme one', 1), (2, 'acme', 1, 'acme two', 2), (3, 'acme', 2, 'acme three', 3),
    (4, 'globex', 4, 'globex one', 1), (5, 'globex', 1, 'globex under a user of acme', 9);
insert into lines (order_no, line_no, tenant_id, text) values
    (1, 1, 'acme', 'acme 1.1'), (1, 2, 'acme', 'acme 1.2'), (1, 3, 'globex', 'globex 1.3'), (2, 1, 'acme', 'acme 2.1'),
    (2, 2, 'globex', 'globex 2.2');
insert into items (id, tenant_id, kind, title) values
    (1, 'acme', 'item', 'acme cup'), (2, 'acme', 'book', 'acme book'), (3, 'globex', 'book', 'globex book');
insert into books (id, pages) values (2, 200), (3, 300);
insert into plans (id, name) values (1, 'free'), (2, 'pro');
insert into logs (id, line) values (1, 'anybody''s');
insert into "session" (id, tenant_id) values (1, 'acme'), (2, 'globex');
insert into "transaction" (id, tenant_id) values (1, 'acme'), (2, 'globex');
insert into tenant (id, tenant_id) values (1, 'acme'), (2, 'globex');
insert into visits (tenant_id, path, seconds) values ('acme', 'acme /', 1), ('acme', 'acme /', 1), ('globex', 'globex /', 1);
create view grown as select id, tenant_id, name from users where age >= 40;
"""  # noqa: E501 - rows

SEQUENCES = "".join(
    f"select setval(pg_get_serial_sequence('{table}', 'id'), 100);"
    for table in ("users", "posts", "items", "plans", "logs")
)
"""On PostgreSQL, keys that were given don't move the sequence."""


class Shop:
    """An application's database. Everything that is opened by `open` is closed by `close`."""

    def __init__(self, settings: DatabaseSettings, folder: Path, *, declared: bool, isolation: Isolation) -> None:
        self.settings = settings
        self.declared = declared
        self.access = DatabaseAccess(settings, folder, isolation)
        self._open: list[Work] = []

    @property
    def sqlite(self) -> bool:
        """Whether it is SQLite."""
        return self.access.dialect == "sqlite"

    def open(self, tenant: str | None = "acme") -> Database:
        """Give the database of a workspace."""
        work = self.access.open(None if tenant is None else Tenant(tenant))
        self._open.append(work)
        return work.database

    async def everything(self, table: str) -> list[Any]:
        """Read all tenants' rows of a table, by the first two columns."""
        async with self.access.unscoped(None, "to see what became of all", "a test") as database:
            return sorted((tuple(row) for row in await _plain(database, table)), key=repr)

    async def close(self) -> None:
        """Close everything."""
        for work in self._open:
            await work.close()
        await self.access.close()


async def _plain(database: Database, table: str) -> list[Any]:
    from sqlalchemy import text

    rows = await database.session.execute(text(f'select * from "{table}"'))
    return list(rows.all())


def sqlite_shop(folder: Path, *, models: bool, rows: str = ROWS, isolation: Isolation = "rows", **more: Any) -> Shop:
    """Make the shop in a SQLite file."""
    make_sqlite(folder / "shop.db", rows)
    return open_shop(folder, "sqlite:///shop.db", models=models, isolation=isolation, **more)


def make_sqlite(path: Path, rows: str = ROWS) -> None:
    """Make the tables, and the rows, in a SQLite file."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"begin; {ddl('sqlite')} {rows} commit;")


def postgres_sql() -> str:
    """Write what makes the tables, and the rows, in a PostgreSQL database."""
    return ddl("postgresql") + ROWS + SEQUENCES


def open_shop(folder: Path, url: str, *, models: bool, isolation: Isolation, **more: Any) -> Shop:
    """Open the shop that is in a database; `more` is of the settings."""
    values = {"url": url, "isolation": isolation, "shared_tables": ["plans"], **more}
    if models:
        values["models"] = MODELS
    return Shop(database_settings(folder, **values), folder, declared=models, isolation=isolation)


@cache
def ddl(dialect: str) -> str:
    """Write the statements that make the tables."""
    written: list[str] = []

    def write(statement: ExecutableDDLElement, *_arguments: object, **_options: object) -> None:
        written.append(f"{statement.compile(dialect=engine.dialect)};")

    driver = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+psycopg"}[dialect]
    engine = create_mock_engine(f"{driver}://", write)
    shop_models.Base.metadata.create_all(engine, checkfirst=False)
    return "\n".join(written).replace("%%", "%")
