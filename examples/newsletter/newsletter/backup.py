"""Backing up one tenant: a database file of its own, looked through before it counts."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, insert, select
from sqlalchemy.exc import DatabaseError

from newsletter.database import open_database
from newsletter.models import Account, Base
from pinstripe import Database

SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""Tenant ids that can be file names."""

PAGE = 500
"""How many rows are read, and written, at once."""

Contents = dict[str, tuple[int, str]]
"""How many rows each table has, and the SHA-256 of them."""


class BackupDamaged(RuntimeError):
    """The file doesn't have what was to be backed up."""


class Page(NamedTuple):
    """Some rows of a table."""

    table: Table
    rows: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Backup:
    """A finished backup: its file, and how many rows it has."""

    path: Path
    rows: int


async def read_pages(database: Database, tenant: str) -> AsyncGenerator[Page, None]:
    """Read all that `tenant` has in its `database`, and what is shared but for other tenants; parents come first.

    It is read in one transaction, which in SQLite begins as of one moment: all fits together although the application
    goes on writing. Every table comes, also one that is new since this was written.
    """
    async with database.session.begin():
        for table in Base.metadata.sorted_tables:
            rows = database[table.name]
            if table is Account.__table__:
                rows = rows.where(id=tenant)
            async for page in rows.pages(PAGE):
                yield Page(table, [{column.key: getattr(row, column.key) for column in table.columns} for row in page])


def back_up(tenant: str, pages: Iterable[Page], folder: Path) -> Backup:
    """Write the `pages` of `tenant` to `<tenant>.db` in `folder`, which takes the place of an older one.

    Until the new file has been verified, the older one stays. Raises `BackupDamaged`, or `ValueError` when the id can't
    be a file name.
    """
    if not SAFE_NAME.fullmatch(tenant):
        message = f"expected a tenant id of letters, digits, '.', '_' and '-', since it names a file; got {tenant!r}"
        raise ValueError(message)
    folder.mkdir(parents=True, exist_ok=True)
    path, partial = folder / f"{tenant}.db", folder / f"{tenant}.db.partial"
    partial.unlink(missing_ok=True)
    try:
        contents = _write(pages, partial)
        verify(partial, contents)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    _flush(folder)
    return Backup(path, sum(count for count, _ in contents.values()))


def verify(path: Path, expected: Contents) -> None:
    """Read the backup at `path` again and compare it with what it should have. Raises `BackupDamaged`."""
    try:
        with open_database(path, "ro").connect() as connection:
            verdict = connection.exec_driver_sql("pragma integrity_check").scalars().first()
            found = contents_of(connection)
    except (DatabaseError, ValueError) as error:  # what SQLite finds to be wrong, and values that no column can have
        message = f"the backup {path} can't be read: {error}"
        raise BackupDamaged(message) from error
    if verdict != "ok":
        message = f"the backup {path} is damaged: {verdict}"
        raise BackupDamaged(message)
    different = [table for table in expected if found[table] != expected[table]]
    if different:
        table = different[0]
        message = (
            f"the backup {path} differs from the database in {', '.join(different)}: "
            f"expected {expected[table][0]} rows of {table}, found {found[table][0]}, or others"
        )
        raise BackupDamaged(message)


def contents_of(connection: Connection) -> Contents:
    """Count and digest what each table of a backup has."""
    digests = _Digests()
    for table in Base.metadata.sorted_tables:
        for row in connection.execute(select(table).order_by(*table.primary_key)).mappings():
            digests.add(table, dict(row))
    return digests.contents()


def _write(pages: Iterable[Page], partial: Path) -> Contents:
    digests = _Digests()
    with open_database(partial, "rwc").begin() as connection:
        Base.metadata.create_all(connection, checkfirst=False)
        for table, rows in pages:
            connection.execute(insert(table), rows)
            for row in rows:
                digests.add(table, row)
    return digests.contents()  # committed to the disk, not only to the system's memory: SQLite's own default here


class _Digests:
    """Counts and digests rows, which have to come in the order of their keys."""

    def __init__(self) -> None:
        self._found = {table.name: (0, hashlib.sha256()) for table in Base.metadata.sorted_tables}

    def add(self, table: Table, row: dict[str, Any]) -> None:
        count, digest = self._found[table.name]
        digest.update(repr(row).encode())
        self._found[table.name] = count + 1, digest

    def contents(self) -> Contents:
        return {table: (count, digest.hexdigest()) for table, (count, digest) in self._found.items()}


def _flush(folder: Path) -> None:
    """Make the new name in `folder` survive power loss, as fsync(2) says for directories."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
