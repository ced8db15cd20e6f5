"""Where the database is, and what is in it at first."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent

TABLES = """
create table tenants (
    id text primary key, email text not null, active boolean not null, time_zone text not null
);
create table heartbeats (id integer primary key, at text not null);
create table reminders (
    id integer primary key,
    tenant_id text not null references tenants (id),
    text text not null,
    sent boolean not null default 0
);
insert into tenants (id, email, active, time_zone) values
    ('acme', 'owner@acme.example', 1, 'Europe/Paris'),
    ('birch', 'owner@birch.example', 1, 'America/New_York'),
    ('cedar', 'owner@cedar.example', 0, 'Asia/Tokyo');
insert into reminders (tenant_id, text) values
    ('acme', 'Water the plants'),
    ('acme', 'Pay the rent'),
    ('birch', 'Call Ada'),
    ('cedar', 'Renew the passport');
"""


def database_path() -> Path:
    """Give the file of the database, as Pinstripe is told it: `PINSTRIPE_DATABASE_URL`, or what pyproject.toml says."""
    url = os.environ.get("PINSTRIPE_DATABASE_URL") or "sqlite:///var/bot.db"
    return PROJECT / url.removeprefix("sqlite:///")


def make_database() -> None:
    """Make the database where there is none yet, so that the example runs at once."""
    path = database_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        if not _has_tables(connection):
            connection.execute("pragma journal_mode = wal")  # stays with the file: who reads doesn't wait
            connection.execute("begin immediate")
            if not _has_tables(connection):  # nor has another process made them meanwhile
                for statement in filter(str.strip, TABLES.split(";")):
                    connection.execute(statement)
            connection.execute("commit")


def _has_tables(connection: sqlite3.Connection) -> bool:
    return connection.execute("select 1 from sqlite_master where name = 'tenants'").fetchone() is not None
