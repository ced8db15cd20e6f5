"""The database as the application's own programs open it. Jobs don't: they have it as `self.database`."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Literal

from sqlalchemy import Engine, NullPool, create_engine


def open_database(path: Path, mode: Literal["ro", "rw", "rwc"]) -> Engine:
    """Give an engine for the SQLite file at `path`: to read it, to write it, or to make it where there is none.

    Connecting raises `sqlalchemy.exc.OperationalError` where the file isn't there, and the mode doesn't make it.
    """

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=30)
        connection.execute("pragma foreign_keys = on").close()
        return connection

    return create_engine("sqlite://", creator=connect, poolclass=NullPool)
