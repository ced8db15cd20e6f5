"""The PostgreSQL that is measured: durable, with its own defaults, and a fresh database for each round."""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg

from benchmarks.figures import Figure, Missing
from benchmarks.workers import family_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgres_server import Server

LEDGER = "PINSTRIPE_LEDGER"
"""The environment variable that names the ledger of every process of a project."""

_DECISIVE = ("fsync", "synchronous_commit", "full_page_writes", "autovacuum", "shared_buffers", "max_wal_size")
"""The settings that decide most what is measured."""


class Postgres:
    """A server. `server` is None where it is somebody else's, named by `PINSTRIPE_TEST_POSTGRES`."""

    def __init__(self, url: str, server: Server | None = None) -> None:
        """Take the URL by which a superuser reaches it, with a database that stays."""
        self.url = url
        self.server = server

    @contextmanager
    def database(self) -> Iterator[str]:
        """Give the URL of a new database, which is dropped afterwards, whoever is connected to it."""
        name = f"pinstripe_benchmark_{secrets.token_hex(4)}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'create database "{name}"'.encode())
        try:
            yield with_database(self.url, name)
        finally:
            with psycopg.connect(self.url, autocommit=True) as connection:
                connection.execute(f'drop database if exists "{name}" with (force)'.encode())

    @contextmanager
    def ledger(self) -> Iterator[str]:
        """Let the projects of this process, and of those that it starts, keep their ledger in a new database."""
        before = os.environ.get(LEDGER)
        with self.database() as url:
            os.environ[LEDGER] = url
            try:
                yield url
            finally:
                del os.environ[LEDGER]
                if before is not None:
                    os.environ[LEDGER] = before

    def seconds(self) -> float:
        """Give the seconds of a processor that all its processes have used so far, those that ended among them.

        Raises `Missing` where the server isn't one of this machine's own.
        """
        if self.server is None or self.server.pid is None:
            raise Missing("the server is somebody else's, so its processes can't be looked at")
        return family_seconds(self.server.pid)

    def figure(self) -> Figure:
        """Give the line of the table that says what server it is."""
        with psycopg.connect(self.url) as connection:
            version = connection.info.server_version
            rows = connection.execute(
                "select name, current_setting(name) from pg_settings where name = any(%s) order by name",
                (list(_DECISIVE),),
            ).fetchall()
            (full,) = connection.execute("show server_version").fetchone() or ("",)
        settings = ", ".join(f"{name} {value}" for name, value in rows)
        return Figure("PostgreSQL", version // 10_000, "", note=f"{full}: {settings}")


@contextmanager
def postgres(addresses: tuple[str, ...] = ("127.0.0.1",), *, own: bool = False) -> Iterator[Postgres]:
    """Use the server of `PINSTRIPE_TEST_POSTGRES`, or start one: the system's, or else the one that tests carry along.

    One that is started listens at `addresses`; with `own` it always is. Raises `Missing` where there is none.
    """
    from tests.postgres_server import Server

    chosen = os.environ.get("PINSTRIPE_TEST_POSTGRES", "")
    if "://" in chosen and not own:
        yield Postgres(chosen)
        return
    try:
        server = Server("wheel" if chosen == "wheel" else None, durable=True, addresses=addresses)
    except RuntimeError as error:
        raise Missing(str(error)) from error
    try:
        yield Postgres(f"postgresql://postgres:{server.password}@{addresses[0]}:{server.port}/postgres", server)
    finally:
        server.remove()


def with_database(url: str, name: str) -> str:
    """Give the URL with another database."""
    address, _, options = url.partition("?")
    parted = [*address.split("/")[:3], name]
    return "/".join(parted) + (f"?{options}" if options else "")
