"""The ledger's schema: made by migrations, looked at by every command, changed only by those that write."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pinstripe.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import apsw

CODE = 4
"""What this code's version of the schema is called; a ledger that asks for a later one is refused."""

_MIGRATIONS = Path(__file__).parent / "migrations"


_TABLES = """
select count(*), count(*) filter (where name = 'schema_version') from sqlite_schema
where type = 'table' and substr(name, 1, 7) <> 'sqlite_'
"""


def is_made(connection: apsw.Connection, path: Path) -> bool:
    """Tell whether there is a schema at all; raises `LedgerError` where the file is somebody else's database."""
    tables, made = connection.execute(_TABLES).fetchall()[0]
    if tables and not made:
        raise LedgerError(f"{path} is a database with tables of its own, not a ledger: name another file in `ledger`")
    return bool(made)


def migrate(connection: apsw.Connection, path: Path) -> None:
    """Bring the schema up to date, in one transaction; costs one read where it already is."""
    if is_made(connection, path) and not _pending(_version(connection, path)):
        return
    connection.execute("begin immediate")
    try:
        version = _version(connection, path) if is_made(connection, path) else 0
        for migration in _pending(version):
            connection.execute(migration.read_text(encoding="utf-8"))
        connection.execute("commit")
    except BaseException:
        if not connection.get_autocommit():
            connection.execute("rollback")
        raise


def is_current(connection: apsw.Connection, path: Path) -> bool:
    """Tell whether the schema, which must be made, needs no migration."""
    return not _pending(_version(connection, path))


def check(connection: apsw.Connection, path: Path) -> None:
    """Raise `LedgerError` where the schema can't be read by this code."""
    _version(connection, path)


def _version(connection: apsw.Connection, path: Path) -> int:
    row = connection.execute("select version, min_code from schema_version").fetchone()
    version, min_code = row if row is not None else (0, 0)
    if min_code > CODE:
        message = (
            f"the ledger {path} was made by a newer Pinstripe (its schema is {version} and needs at least {min_code}; "
            f"this one knows {CODE}): update Pinstripe here, or point the setting `ledger` at another file"
        )
        raise LedgerError(message)
    return int(version)


def _pending(version: int) -> Sequence[Path]:
    if version >= CODE:
        return ()
    return [file for file in sorted(_MIGRATIONS.glob("*.sql")) if int(file.name.partition("_")[0]) > version]
