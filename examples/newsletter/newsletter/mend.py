"""Mends malformed e-mail addresses: `python -m newsletter.mend`. Exits with 1 when there is one that it can't mend."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from newsletter.models import ADDRESS
from newsletter.places import database_path


def mend(path: Path) -> list[tuple[str, str, str]]:
    """Write "@" where a subscriber's address in the database at `path` has "(at)"; change nothing else.

    Give the tenant, the old and the new address of every malformed one; they are the same where it stays malformed.
    """
    with (
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=30)) as connection,
        connection,
    ):
        found = []
        for user, tenant, email in connection.execute("select id, tenant_id, email from users").fetchall():
            if ADDRESS.fullmatch(email):
                continue
            better = email.replace("(at)", "@")
            if ADDRESS.fullmatch(better):
                connection.execute("update users set email = ? where id = ?", (better, user))
            else:
                better = email
            found.append((tenant, email, better))
        return found


def main() -> int:
    """Mend the application's database, and say what was done."""
    found = mend(database_path())
    for tenant, email, better in found:
        print(
            f"{tenant}: {email} -> {better}" if better != email else f"{tenant}: {email} is malformed; mend it by hand"
        )
    if not found:
        print("every address is well-formed")
    return int(any(email == better for _, email, better in found))


if __name__ == "__main__":
    sys.exit(main())
