"""What commands say, and exit with, where the application's database can't be used."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.commands.conftest import Command
    from tests.conftest import ProjectFolder

COUNT = """
    from pinstripe import BackgroundJob

    class Count(BackgroundJob):
        multi_tenant = {multi_tenant}

        async def run(self) -> int:
            return await self.database.users.count()
"""

MODELS = """
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

    class Base(DeclarativeBase): ...

    class Account(Base):
        __tablename__ = "accounts"
        id: Mapped[int] = mapped_column(primary_key=True)

    class User(Base):
        __tablename__ = "users"
        id: Mapped[int] = mapped_column(primary_key=True)
        tenant_id: Mapped[int]
"""

ACCOUNTS = "[tool.pinstripe.tenants]\nsource = 'models:Account'\n"


@pytest.fixture
def gone(shop: ProjectFolder) -> ProjectFolder:
    """Give a project whose database is not there."""
    for job in (shop.path / "lib" / "background_jobs").iterdir():
        job.unlink()
    shop.job("count", COUNT.format(multi_tenant=True))
    shop.job("once", COUNT.format(multi_tenant=False).replace("Count", "Once"))
    shop.file("models.py", MODELS)
    shop.file("pyproject.toml", "[tool.pinstripe.database]\nurl = 'sqlite:///app.db'\nmodels = 'models'\n")
    return shop


@pytest.mark.parametrize("command", [("run-background-job", "count"), ("list-tenants",)])
def test_a_database_that_is_gone_is_one_line_and_exit_code_4(
    gone: ProjectFolder, pinstripe: Command, command: tuple[str, ...]
) -> None:
    gone.file("pyproject.toml", "[tool.pinstripe.database]\nurl = 'sqlite:///app.db'\n")
    answer = pinstripe(*command)
    assert (answer.code, answer.out) == (4, "")
    assert answer.err.startswith(f"Error: expected a SQLite database at {gone.path}/app.db, found nothing;")
    assert answer.err.count("\n") == 1
    assert not (gone.path / "app.db").exists()


@pytest.mark.parametrize("command", [("run-background-job", "count", "--tenant", "1"), ("list-tenants",)])
def test_the_same_where_the_tenants_are_a_class_of_it(
    gone: ProjectFolder, pinstripe: Command, command: tuple[str, ...]
) -> None:
    with (gone.path / "pyproject.toml").open("a") as file:
        file.write(ACCOUNTS)
    answer = pinstripe(*command)
    assert (answer.code, answer.out) == (4, "")
    assert "DatabaseUnavailable" in answer.err
    assert answer.err.count("\n") == 1


def test_a_job_whose_own_query_finds_it_gone_has_failed(gone: ProjectFolder, pinstripe: Command) -> None:
    answer = pinstripe("run-background-job", "once")
    assert answer.code == 1
    assert "once failed" in answer.out + answer.err
    assert f"{gone.path}/app.db" in answer.out + answer.err


def test_a_database_that_is_there_serves_and_is_right(gone: ProjectFolder, pinstripe: Command) -> None:
    with closing(sqlite3.connect(gone.path / "app.db")) as connection:
        connection.executescript(
            "create table accounts (id integer primary key); insert into accounts values (1), (2);"
            "create table users (id integer primary key, tenant_id integer not null);"
            "insert into users (tenant_id) values (1), (1), (2);"
        )
    with (gone.path / "pyproject.toml").open("a") as file:
        file.write("shared_tables = ['accounts']\n" + ACCOUNTS)
    assert pinstripe("check").out == "Everything looks right.\n"
    assert pinstripe("run-background-job", "count").code == 0
    assert pinstripe("run-background-job", "count", "--tenant", "2").code == 0
    assert pinstripe("run-background-job", "count", "--tenant", "02").code == 2


def test_show_config_shows_no_password_of_the_database(gone: ProjectFolder, pinstripe: Command) -> None:
    gone.file(
        "pyproject.toml",
        """
        [tool.pinstripe.database]
        url = 'postgresql://app:geheim@localhost/app'
        tenant_url = 'postgresql://app:geheimer@localhost/{id}'
        isolation = 'databases'
        """,
    )
    answer = pinstripe("show-config")
    assert "geheim" not in answer.out
    assert "postgresql://app:***@localhost/app" in answer.out
