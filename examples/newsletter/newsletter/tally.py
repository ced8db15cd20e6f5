"""Compares what the mail server received with who should get it: `python -m newsletter.tally received.tsv`.

Exits with 1 when they differ.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from newsletter.database import open_database
from newsletter.models import Account, User
from newsletter.places import database_path


@dataclass(frozen=True, slots=True)
class Tally:
    """What came, and what should have come."""

    received: int
    doubled: int
    subscribers: int
    """Subscribed users of active tenants."""
    missing: int
    """How many of the subscribers got nothing."""

    @property
    def right(self) -> bool:
        """Whether every subscriber got one message, and nobody else got any."""
        return not self.doubled and not self.missing and self.received == self.subscribers


def tally(database: Path, received: Path) -> Tally:
    """Count the lines of `received`, as the mail server wrote them, and the subscribers in `database`."""
    lines = received.read_text(encoding="utf-8").splitlines()
    wanted = select(User.email).join(Account, Account.id == User.tenant_id).where(User.subscribed, Account.active)
    with open_database(database, "ro").connect() as connection:
        subscribers = connection.scalars(wanted).all()
    reached = {line.partition("\t")[0] for line in lines}
    return Tally(
        received=len(lines),
        doubled=len(lines) - len(set(lines)),
        subscribers=len(subscribers),
        missing=sum(email not in reached for email in subscribers),
    )


def main() -> int:
    """Say how the two compare."""
    if len(sys.argv) != 2:  # noqa: PLR2004 - the program and its argument
        print("usage: python -m newsletter.tally RECEIVED", file=sys.stderr)
        return 2
    found = tally(database_path(), Path(sys.argv[1]))
    print(f"messages received by the mail server: {found.received:,} ({found.doubled:,} of them twice)")
    print(f"subscribers of active tenants:        {found.subscribers:,} ({found.missing:,} of them without a message)")
    return 0 if found.right else 1


if __name__ == "__main__":
    sys.exit(main())
