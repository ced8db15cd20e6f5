"""Backing up one tenant: a database file of its own, looked through before it counts."""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from newsletter.places import PROJECT

SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""Tenant ids that can be file names."""

Contents = dict[str, tuple[int, str]]
"""How many rows each table has, and the SHA-256 of them."""


class BackupDamaged(RuntimeError):
    """The file doesn't have what was to be backed up."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A finished backup: its file, and how many rows it has."""

    path: Path
    rows: int


def back_up(database: Path, tenant: str, folder: Path) -> Backup:
    """Write what `tenant` has in `database` to `<tenant>.db` in `folder`, which takes the place of an older one.

    All tables are read in one transaction, so they fit together although the application goes on writing. Until the
    new file has been verified, the older one stays. Raises `BackupDamaged`, or `ValueError` when the id can't be a file
    name.
    """
    if not SAFE_NAME.fullmatch(tenant):
        message = f"expected a tenant id of letters, digits, '.', '_' and '-', since it names a file; got {tenant!r}"
        raise ValueError(message)
    folder.mkdir(parents=True, exist_ok=True)
    path, partial = folder / f"{tenant}.db", folder / f"{tenant}.db.partial"
    partial.unlink(missing_ok=True)
    try:
        contents = _copy(database, tenant, partial)
        verify(partial, tenant, contents)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    _flush(folder)
    return Backup(path, sum(count for count, _ in contents.values()))


def verify(path: Path, tenant: str, expected: Contents) -> None:
    """Read the backup at `path` again and compare it with what it should have. Raises `BackupDamaged`."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            [(verdict,), *_] = connection.execute("pragma integrity_check")
            found = contents_of(connection, "main", tenant)
    except sqlite3.DatabaseError as error:
        message = f"the backup {path} can't be read: {error}"
        raise BackupDamaged(message) from error
    if verdict != "ok":
        message = f"the backup {path} is damaged: {verdict}"
        raise BackupDamaged(message)
    different = [table for table in expected if found.get(table) != expected[table]]
    if different:
        table = different[0]
        message = (
            f"the backup {path} differs from the database in {', '.join(different)}: "
            f"expected {expected[table][0]} rows of {table}, found {found.get(table, (0, ''))[0]}, or others"
        )
        raise BackupDamaged(message)


def _copy(database: Path, tenant: str, partial: Path) -> Contents:
    with closing(
        sqlite3.connect(f"{partial.absolute().as_uri()}?mode=rwc", uri=True, isolation_level=None)
    ) as connection:
        connection.executescript((PROJECT / "newsletter" / "schema.sql").read_text(encoding="utf-8"))
        connection.execute("attach ? as source", (f"{database.absolute().as_uri()}?mode=ro",))
        connection.execute("begin")
        for table, condition in _tables(connection, "main"):
            sql = f"insert into main.{table} select * from source.{table} where {condition}"  # noqa: S608 - own names
            connection.execute(sql, {"tenant": tenant})
        contents = contents_of(connection, "source", tenant)
        connection.execute("commit")  # to the disk, not only to the system's memory: SQLite's own default here
    return contents


def contents_of(connection: sqlite3.Connection, schema: str, tenant: str) -> Contents:
    """Count and digest what `tenant` has in each table of an opened database, whose `schema` is "main" or attached."""
    contents = {}
    for table, condition in _tables(connection, schema):
        rows = connection.execute(f"select * from {schema}.{table} where {condition}", {"tenant": tenant})  # noqa: S608
        digest = hashlib.sha256()
        count = 0
        for row in sorted(rows):
            digest.update(repr(row).encode())
            count += 1
        contents[table] = (count, digest.hexdigest())
    return contents


def _tables(connection: sqlite3.Connection, schema: str) -> Iterator[tuple[str, str]]:
    """Give each table, so also one that is new since this was written, with the condition for the tenant's rows."""
    names = connection.execute(f"select name from {schema}.sqlite_schema where type = 'table' order by rowid")  # noqa: S608
    for (name,) in names.fetchall():
        columns = {
            column for (column,) in connection.execute("select name from pragma_table_info(?, ?)", (name, schema))
        }
        if name == "tenants":
            yield name, "id = :tenant"
        else:
            yield name, "tenant_id = :tenant" if "tenant_id" in columns else "true"


def _flush(folder: Path) -> None:
    """Make the new name in `folder` survive power loss, as fsync(2) says for directories."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
