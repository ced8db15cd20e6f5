"""Where Pinstripe learns which tenants there are."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

from newsletter.places import check_database, database_path

PAGE = 1_000
"""How many tenants are read at once."""


async def tenants() -> AsyncIterator[dict[str, object]]:
    """Read all tenants, active or not, a page at a time and in the order of their ids."""
    path = database_path()
    last = ""
    while page := await asyncio.to_thread(_read_page, path, last):
        for tenant in page:
            yield tenant
        last = str(page[-1]["id"])


def _read_page(path: Path, after: str) -> list[dict[str, object]]:
    check_database(path)
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        rows = connection.execute(
            "select id, name, plan, active, time_zone, owner_email from tenants where id > ? order by id limit ?",
            (after, PAGE),
        )
        names = [column[0] for column in rows.description]
        return [dict(zip(names, row, strict=True)) | {"active": bool(row[3])} for row in rows]
