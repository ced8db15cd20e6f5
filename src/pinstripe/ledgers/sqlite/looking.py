"""A look at the ledger's file with fresh eyes: for whoever asks whether the ledger can be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import apsw

from pinstripe.errors import LedgerError
from pinstripe.ledger import Look
from pinstripe.ledgers.hosts import host
from pinstripe.ledgers.sqlite import schema
from pinstripe.ledgers.sqlite.connection import connect, translated
from pinstripe.ledgers.sqlite.statements import statement
from pinstripe.ledgers.sqlite.writer import identity

if TYPE_CHECKING:
    from pathlib import Path

_TROUBLE: tuple[tuple[type[BaseException], str], ...] = (
    (apsw.BusyError, "it is locked"),
    (apsw.LockedError, "it is locked"),
    (apsw.CantOpenError, "it can't be opened"),
    (apsw.NotADBError, "it is not a sound SQLite file"),
    (apsw.CorruptError, "it is not a sound SQLite file"),
)
"""What is said of each complaint, without the path: whoever asks may be anybody."""


def look(path: Path, opened: tuple[int, int] | None, *, lock_wait: float) -> Look:
    """Open the file anew and read it, whatever this process has open; `opened` is which file that is."""
    found = identity(path)
    if found is None:
        return Look("its file can't be found")
    if opened is not None and found != opened:
        return Look("its file was replaced")
    try:
        connection = connect(path, write=False, lock_wait=lock_wait)
        try:
            with translated(path):
                return _read(connection, path)
        finally:
            connection.close()
    except LedgerError as error:
        cause = error.__cause__
        return Look(next((said for kind, said in _TROUBLE if isinstance(cause, kind)), "it can't be read"))


def _read(connection: apsw.Connection, path: Path) -> Look:
    try:
        if not schema.is_made(connection, path) or not schema.is_current(connection, path):
            return Look()
    except LedgerError:  # somebody else's database, or one of a newer version
        return Look()
    rows = connection.execute(statement("heard_workers"), {"host": host()})
    return Look(is_current=True, workers=tuple((int(pid), int(beat)) for pid, beat in rows))
