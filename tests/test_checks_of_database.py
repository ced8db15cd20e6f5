from __future__ import annotations

import sqlite3
from contextlib import closing
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from pinstripe.checks import look

if TYPE_CHECKING:
    from tests.conftest import ProjectFolder
    from tests.postgres import Postgres

pytestmark = pytest.mark.anyio

MODELS = """
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

    class Base(DeclarativeBase): ...

    class User(Base):
        __tablename__ = "users"
        id: Mapped[int] = mapped_column(primary_key=True)
        tenant_id: Mapped[str]

    class Note(Base):
        __tablename__ = "notes"
        id: Mapped[int] = mapped_column(primary_key=True)
        tenant_id: Mapped[str]

    class Plan(Base):
        __tablename__ = "plans"
        id: Mapped[int] = mapped_column(primary_key=True)
"""

TABLES = """
    create table tenants (id text primary key);
    insert into tenants values ('acme');
    create table users (id integer primary key, tenant_id text not null);
    create table notes (id integer primary key, tenant_id text not null);
    create table plans (id integer primary key);
"""


async def found(folder: ProjectFolder) -> list[tuple[str, str]]:
    return [(problem.where.removeprefix(f"{folder.path}/"), problem.reason) for problem in await look(folder.path)]


def make(folder: ProjectFolder, sql: str = TABLES, settings: str = "") -> None:
    with closing(sqlite3.connect(folder.path / "app.db")) as connection:
        connection.executescript(sql)
    configure(folder, f"url = 'sqlite:///app.db'\nshared_tables = ['plans', 'tenants']\n{settings}")


def configure(folder: ProjectFolder, settings: str, rest: str = "") -> None:
    folder.file("pyproject.toml", f"[tool.pinstripe]\n{rest}\n[tool.pinstripe.database]\n{settings}\n")


async def test_a_right_database_has_no_problems(project_folder: ProjectFolder) -> None:
    make(project_folder)
    assert await found(project_folder) == []


async def test_the_table_that_tenants_come_from_need_not_be_shared(project_folder: ProjectFolder) -> None:
    make(project_folder)
    configure(project_folder, "url = 'sqlite:///app.db'\nshared_tables = ['plans']")
    assert await found(project_folder) == []


async def test_tables_that_say_nothing_of_tenants_are_named_once_each(project_folder: ProjectFolder) -> None:
    make(project_folder, TABLES + "create table logs (id); create table old (id); create table alembic_version (id);")
    problems = await found(project_folder)
    assert [where for where, _ in problems] == ["database", "database"]
    assert ["'logs' can't be used: it has no column" in problems[0][1], "'old'" in problems[1][1]] == [True, True]


async def test_a_tenant_column_that_may_be_null(project_folder: ProjectFolder) -> None:
    make(project_folder, TABLES + "create table visits (id integer primary key, tenant_id text);")
    ((where, reason),) = await found(project_folder)
    assert where == "database"
    assert reason.startswith("column 'tenant_id' of table 'visits' may be null; rows in which it is belong to nobody")


async def test_models_that_say_more_than_the_database_has(project_folder: ProjectFolder) -> None:
    project_folder.file("models.py", MODELS)
    sql = TABLES.replace("users (id integer primary key, tenant_id text not null)", "users (id integer primary key)")
    make(project_folder, sql.replace("table notes", "table remarks"), "models = 'models'")
    configure(project_folder, "url = 'sqlite:///app.db'\nshared_tables = ['plans']\nmodels = 'models'")
    project_folder.file("shop.py", "tenants = ['acme']\n")
    with (project_folder.path / "pyproject.toml").open("a") as file:
        file.write("[tool.pinstripe.tenants]\nsource = 'shop:tenants'\n")
    assert await found(project_folder) == [
        ("database", "the database has no table 'notes', which a model declares; expected it to be made (migrated)"),
        ("database", "table 'users' has no column 'tenant_id' in the database, which its model declares"),
    ]


async def test_a_class_that_reads_rows_of_all_tenants_by_itself(project_folder: ProjectFolder) -> None:
    counted = "User.notes = column_property(select(func.count(Note.__table__.c.id)).scalar_subquery())"
    head = "from sqlalchemy import func, select\nfrom sqlalchemy.orm import column_property\n"
    project_folder.file("models.py", f"{head}{dedent(MODELS)}\n{counted}\n")
    make(project_folder, settings="models = 'models'")
    configure(project_folder, "url = 'sqlite:///app.db'\nshared_tables = ['plans']\nmodels = 'models'")
    project_folder.file("shop.py", "tenants = ['acme']\n")
    with (project_folder.path / "pyproject.toml").open("a") as file:
        file.write("[tool.pinstripe.tenants]\nsource = 'shop:tenants'\n")
    ((where, reason),) = await found(project_folder)
    assert where == "database"
    assert reason.startswith("User.notes reads table 'notes' where nothing would keep it to the tenant; write it with")


async def test_an_unknown_shared_table(project_folder: ProjectFolder) -> None:
    make(project_folder)
    configure(project_folder, "url = 'sqlite:///app.db'\nshared_tables = ['tenants', 'plan']")
    ((where, reason),) = await found(project_folder)
    assert where == "setting database.shared_tables"
    assert "there is no table 'plan'; the nearest is plans" in reason


async def test_models_that_cannot_be_imported_are_told_once(project_folder: ProjectFolder) -> None:
    project_folder.file("models.py", "import nothing_of_the_kind\n")
    make(project_folder, settings="models = 'models'")
    ((where, reason),) = await found(project_folder)
    assert where == "setting database.models"
    assert "models can't be used: ModuleNotFoundError: No module named 'nothing_of_the_kind'" in reason


async def test_a_file_that_is_missing_is_told_once(project_folder: ProjectFolder) -> None:
    configure(project_folder, "url = 'sqlite:///app.db'")
    ((where, reason),) = await found(project_folder)
    assert where == "database"
    assert f"{project_folder.path}/app.db" in reason
    assert not (project_folder.path / "app.db").exists()


async def test_a_file_that_is_missing_is_no_fault_of_the_source_that_is_kept_in_it(
    project_folder: ProjectFolder,
) -> None:
    models = """
        class Tenant(Base):
            __tablename__ = "tenants"
            id: Mapped[str] = mapped_column(primary_key=True)
    """
    project_folder.file("models.py", dedent(MODELS) + dedent(models))
    configure(project_folder, "url = 'sqlite:///app.db'\nmodels = 'models'\nshared_tables = ['plans', 'tenants']")
    ((where, reason),) = await found(project_folder)
    assert where == "database"
    assert reason.endswith("make it, or mend `url` (or `tenant_url`) under [tool.pinstripe.database]")


async def test_a_server_that_is_not_there(project_folder: ProjectFolder) -> None:
    configure(project_folder, "url = 'postgresql://app:geheim@127.0.0.1:1/app'")
    ((where, reason),) = await found(project_folder)
    assert where == "database"
    assert "127.0.0.1" in reason
    assert "geheim" not in reason


@pytest.mark.parametrize(
    ("settings", "where", "reason"),
    [
        ("models = 'models'", "setting database.url", "expected where the database is"),
        ("url = 'sqlite:///app.db'\nisolation = 'schemas'", "setting database.isolation", "SQLite has no schemas"),
        ("url = 'sqlite:///app.db'\nisolation = 'databases'", "setting database.tenant_url", "expected where each"),
        ("url = 'mysql://app/app'", "settings", "mysql"),
    ],
)
async def test_settings_that_do_not_go_together(
    project_folder: ProjectFolder, settings: str, where: str, reason: str
) -> None:
    make(project_folder)
    configure(project_folder, settings)
    ((found_where, found_reason),) = await found(project_folder)
    assert found_where == where
    assert reason in found_reason


async def test_a_service_that_hides_the_database(project_folder: ProjectFolder) -> None:
    make(project_folder)
    project_folder.service("database", "def database():\n    return None\n")
    ((where, reason),) = await found(project_folder)
    assert where == "lib/services/database.py"
    assert "it hides the database of [tool.pinstripe.database]" in reason


async def test_the_database_of_the_first_tenant_is_looked_at(project_folder: ProjectFolder) -> None:
    make(project_folder)
    project_folder.file("shop.py", "tenants = ['acme', 'globex']\n")
    project_folder.file(
        "pyproject.toml",
        """
        [tool.pinstripe.database]
        isolation = 'databases'
        tenant_url = 'sqlite:///{id}.db'
        [tool.pinstripe.tenants]
        source = 'shop:tenants'
        """,
    )
    ((where, reason),) = await found(project_folder)
    assert where == "database"
    assert "acme.db" in reason
    (project_folder.path / "app.db").rename(project_folder.path / "acme.db")
    assert await found(project_folder) == []


async def test_row_level_security_that_does_not_hold_is_told_with_what_mends_it(
    project_folder: ProjectFolder, postgres: Postgres, postgres_database: str
) -> None:
    await postgres.execute(
        TABLES.replace("text primary", "varchar primary"), database=postgres_database, user="app_owner"
    )
    url = postgres.url(postgres_database, "app")
    configure(project_folder, f"url = '{url}'\nshared_tables = ['plans', 'tenants']")
    assert await found(project_folder) == []
    await postgres.execute("alter table users enable row level security", database=postgres_database, user="app_owner")
    ((where, reason),) = await found(project_folder)
    assert where == "database"
    assert "row-level security" in reason or "row level security" in reason
    assert "alter table" in reason
    await postgres.execute("alter table users disable row level security", database=postgres_database, user="app_owner")
    await postgres.execute(
        "alter table users alter column tenant_id drop not null", database=postgres_database, user="app_owner"
    )
    ((_, reason),) = await found(project_folder)
    assert reason.endswith("alter table users alter column tenant_id set not null;")


@pytest.mark.parametrize("tenants", [["acme"], []])
async def test_tables_are_looked_for_in_the_database_that_has_them(
    project_folder: ProjectFolder, tenants: list[str]
) -> None:
    project_folder.file("models.py", MODELS)
    project_folder.file("shop.py", f"tenants = {tenants}\n")
    project_folder.file(
        "pyproject.toml",
        """
        [tool.pinstripe.database]
        isolation = 'databases'
        url = 'sqlite:///common.db'
        tenant_url = 'sqlite:///{id}.db'
        models = 'models'
        shared_tables = ['plans']
        [tool.pinstripe.tenants]
        source = 'shop:tenants'
        """,
    )
    own = "create table users (id integer primary key, tenant_id text);"
    for name, sql in (("common", "create table plans (id integer primary key);"), ("acme", own)):
        with closing(sqlite3.connect(project_folder.path / f"{name}.db")) as connection:
            connection.executescript(sql)
    missing = "the database has no table 'notes', which a model declares; expected it to be made (migrated)"
    assert await found(project_folder) == [("database", missing) for _ in tenants]
