from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.postgres import APP, OWNER, psql_program

if TYPE_CHECKING:
    from tests.commands.conftest import Command
    from tests.conftest import ProjectFolder
    from tests.postgres import Postgres

SCHEMA = """
    create table users (id serial primary key, tenant_id text not null, name text);
    create table plans (id serial primary key);
    insert into users (tenant_id, name) values ('acme', 'Ann'), ('globex', 'Bob')
"""

MODELS = """
    print("imported")
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

    class Base(DeclarativeBase):
        pass

    class User(Base):
        __tablename__ = "users"
        id: Mapped[int] = mapped_column(primary_key=True)
        tenant_id: Mapped[str]

    class Plan(Base):
        __tablename__ = "plans"
        id: Mapped[int] = mapped_column(primary_key=True)
"""

ENABLE = "enable-row-security"


class Newsletter:
    """The shop with a database on PostgreSQL, which the role `app` uses and `app_owner` owns."""

    def __init__(self, shop: ProjectFolder, postgres: Postgres, database: str) -> None:
        self._shop = shop
        self.postgres = postgres
        self.database = database
        self.model("models", MODELS)

    def configure(self, settings: str, user: str | None = OWNER, url: str | None = None) -> None:
        """Write the database's settings."""
        url = url or self.postgres.url(self.database, user)
        self._shop.configure(f'[tool.pinstripe.database]\nurl = "{url}"\n{settings}')

    def model(self, name: str, source: str) -> None:
        """Write a module of models."""
        self._shop.file(f"{name}.py", source)

    def execute(self, sql: str) -> None:
        """Execute SQL as the owner."""
        self.postgres.execute_now(sql, database=self.database, user=OWNER)

    @property
    def seen(self) -> list[object]:
        """Whom a transaction for acme sees."""
        with psycopg.connect(self.postgres.url(self.database, APP)) as connection:
            connection.execute("select set_config('pinstripe.tenant', 'acme', true)")
            return [name for (name,) in connection.execute("select name from users")]


@pytest.fixture
def newsletter(shop: ProjectFolder, postgres: Postgres, postgres_database: str) -> Newsletter:
    postgres.execute_now(SCHEMA, database=postgres_database, user=OWNER)
    return Newsletter(shop, postgres, postgres_database)


@pytest.mark.parametrize("models", ["", 'models = "models"\nshared_tables = ["plans"]'])
def test_it_protects_every_tenant_table_and_says_so(newsletter: Newsletter, pinstripe: Command, models: str) -> None:
    newsletter.configure(models)
    assert newsletter.seen == ["Ann", "Bob"]
    answer = pinstripe(ENABLE)
    assert (answer.code, answer.err) == (0, "imported\n" * bool(models))
    assert re.search(r"^public\.users +protected$", answer.out, re.MULTILINE)
    assert "select set_config('pinstripe.tenant', 'ID', true);" in answer.out
    assert "plans" not in answer.out
    assert newsletter.seen == ["Ann"]
    again = pinstripe(ENABLE)
    assert (again.code, again.out.split()) == (0, ["TABLE", "STATUS", "public.users", "already", "protected"])


def test_json_tells_the_same(newsletter: Newsletter, pinstripe: Command) -> None:
    newsletter.configure("")
    newsletter.execute("create policy p on users using (true)")
    answer = pinstripe(ENABLE, "--json")
    assert answer.code == 1
    assert answer.json["tables"] == [{"table": "public.users", "status": "protected"}]
    (problem,) = answer.json["problems"]
    assert problem["remedy"] == ["drop policy p on public.users"]
    assert answer.json["notes"] == []


def test_what_lets_rows_out_all_the_same_is_exit_code_1(newsletter: Newsletter, pinstripe: Command) -> None:
    newsletter.configure("")
    newsletter.execute("create policy p on users using (true)")
    answer = pinstripe(ENABLE)
    assert answer.code == 1
    assert "\nProblem: table public.users has the permissive policy p too" in answer.out
    newsletter.execute("\n".join(re.findall(r"^    (drop .*;)$", answer.out, re.MULTILINE)))
    assert pinstripe(ENABLE).code == 0


def test_a_superuser_is_told_that_it_does_not_hold_for_him(newsletter: Newsletter, pinstripe: Command) -> None:
    newsletter.configure("", user=None)
    answer = pinstripe(ENABLE)
    assert answer.code == 0
    assert re.search(r"^Note: role .* is a superuser, whom no policy holds", answer.out, re.MULTILINE)
    assert newsletter.seen == ["Ann"]


def test_a_table_that_is_not_made_yet_is_told_of(newsletter: Newsletter, pinstripe: Command) -> None:
    newsletter.configure('models = "later"')
    model = '\n    class Post(Base):\n        __tablename__ = "posts"\n'
    fields = "        id: Mapped[int] = mapped_column(primary_key=True)\n        tenant_id: Mapped[str]\n"
    newsletter.model("later", MODELS + model + fields)
    answer = pinstripe(ENABLE)
    assert (answer.code, re.search(r"^posts +not in the database$", answer.out, re.MULTILINE) is None) == (0, False)


def test_the_script_of_models_needs_no_database(newsletter: Newsletter, pinstripe: Command) -> None:
    newsletter.configure('models = "models"', url="postgresql://nobody@192.0.2.1:9/nowhere")
    answer = pinstripe(ENABLE, "--print")
    assert (answer.code, answer.err) == (0, "imported\n")
    assert "alter table users force row level security;\n" in answer.out
    assert newsletter.seen == ["Ann", "Bob"]
    psql(newsletter, answer.out)
    assert newsletter.seen == ["Ann"]


def test_a_table_that_no_policy_can_protect_is_left_out_of_the_script(
    newsletter: Newsletter, pinstripe: Command
) -> None:
    newsletter.configure('models = "staff"')
    model = (
        '    class Staff(User):\n        __tablename__ = "staff"\n'
        '        id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)\n'
    )
    newsletter.model("staff", "    from sqlalchemy import ForeignKey\n" + MODELS + "\n" + model)
    answer = pinstripe(ENABLE, "--print")
    assert answer.code == 0
    assert "Warning: table staff has no tenant column of its own, so it is left out\n" in answer.err
    assert "staff" not in answer.out


def test_without_models_the_script_is_of_what_is_there(newsletter: Newsletter, pinstripe: Command) -> None:
    newsletter.execute("create view listing as select tenant_id, name from users")
    newsletter.configure("", user=APP)  # who reads the script needn't be allowed to run it
    answer = pinstripe(ENABLE, "--print")
    assert (answer.code, answer.err) == (0, "")
    assert "listing" not in answer.out
    assert newsletter.seen == ["Ann", "Bob"]
    psql(newsletter, answer.out)
    assert newsletter.seen == ["Ann"]


def psql(newsletter: Newsletter, script: str) -> None:
    program = psql_program()
    url = newsletter.postgres.url(newsletter.database, OWNER)
    done = subprocess.run([program, "-Xq", url], input=script, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_who_does_not_own_the_tables_is_told_who_does(
    newsletter: Newsletter, pinstripe: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    newsletter.configure("", user=APP)
    answer = pinstripe(ENABLE)
    assert (answer.code, answer.out) == (2, "")
    assert "table public.users belongs to app_owner; role app can't change what isn't its own" in answer.err
    assert "pinstripe enable-row-security --print | psql --username app_owner" in answer.err
    assert newsletter.seen == ["Ann", "Bob"]
    monkeypatch.setenv("PINSTRIPE_DATABASE_URL", newsletter.postgres.url(newsletter.database, OWNER))
    assert pinstripe(ENABLE).code == 0
    assert newsletter.seen == ["Ann"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("", "there is no [tool.pinstripe.database]"),
        ("database.url = 'sqlite:///app.db'", "row-level security is PostgreSQL's, SQLite has none"),
        ("database.isolation = 'schemas'", "setting database.isolation is 'schemas'; expected 'rows'"),
        ("database.isolation = 'none'", "setting database.isolation is 'none'; expected 'rows'"),
        ("database.isolation = 'rows'", "setting database.url: expected where the database is"),
        ("database.models = 'nowhere'", "setting database.models: nowhere can't be used: ModuleNotFoundError"),
        ("setup = 'nowhere:now'\ndatabase.models = 'm'", "setting `setup`: expected"),
    ],
)
def test_what_it_is_not_for_is_refused(shop: ProjectFolder, pinstripe: Command, settings: str, said: str) -> None:
    shop.configure(settings)
    answer = pinstripe(ENABLE)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err
    assert not (shop.path / "app.db").exists()


def test_models_without_a_tenants_table_have_nothing_to_print(newsletter: Newsletter, pinstripe: Command) -> None:
    newsletter.configure('models = "models"\ntenant_column = "account"')
    assert "nothing to protect" in pinstripe(ENABLE, "--print").err
    assert "nothing to protect" in pinstripe(ENABLE).err


def test_an_unreachable_database_is_exit_code_4(newsletter: Newsletter, pinstripe: Command) -> None:
    newsletter.configure("", url=f"postgresql://app:secret@127.0.0.1:1/{newsletter.database}")
    answer = pinstripe(ENABLE)
    assert (answer.code, answer.out) == (4, "")
    assert "secret" not in answer.err


def test_what_postgresql_refuses_is_exit_code_4(newsletter: Newsletter, pinstripe: Command) -> None:
    newsletter.configure("")
    newsletter.execute(f'alter role {OWNER} in database "{newsletter.database}" set default_transaction_read_only = on')
    answer = pinstripe(ENABLE)
    assert (answer.code, answer.out) == (4, "")
    assert (
        "PostgreSQL refused, and nothing was changed: cannot execute ALTER TABLE in a read-only transaction"
        in answer.err
    )


def test_sql_and_json_are_not_printed_at_once(newsletter: Newsletter, pinstripe: Command) -> None:
    newsletter.configure("")
    assert pinstripe(ENABLE, "--print", "--json").code == 2


def test_its_help_imports_no_database(shop: ProjectFolder) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    program = "-X", "importtime", "-m", "pinstripe", ENABLE, "--help"
    done = subprocess.run([sys.executable, *program], capture_output=True, text=True, check=True, env=environment)
    assert "BYPASSRLS" in done.stdout
    assert "sqlalchemy" not in done.stderr
