"""Mends malformed e-mail addresses: `python -m newsletter.mend`. Exits with 1 when there is one that it can't mend."""

from __future__ import annotations

import sys
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.database import open_database
from newsletter.models import ADDRESS, User
from newsletter.places import database_path


def mend(path: Path) -> list[tuple[str, str, str]]:
    """Write "@" where a subscriber's address in the database at `path` has "(at)"; change nothing else.

    Give the tenant, the old and the new address of every malformed one; they are the same where it stays malformed.
    """
    found = []
    with Session(open_database(path, "rw")) as session, session.begin():
        for user in session.scalars(select(User).order_by(User.id)):
            if ADDRESS.fullmatch(user.email):
                continue
            old, better = user.email, user.email.replace("(at)", "@")
            if ADDRESS.fullmatch(better):
                user.email = better
            found.append((user.tenant_id, old, user.email))
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
