"""The daily report to a tenant's owner."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Self

from newsletter import moments
from pinstripe import Database


@dataclass(frozen=True, slots=True)
class Report:
    """What happened at a tenant on the day before `until`."""

    until: datetime
    users: int
    subscribers: int
    joined: int
    sent: int

    @classmethod
    async def read(cls, database: Database, until: datetime) -> Self:
        """Count in `database` what the report tells."""
        since = until - timedelta(days=1)
        return cls(
            until=until,
            users=await database.users.count(),
            subscribers=await database.users.where(subscribed=True).count(),
            joined=await database.users.where(joined_at__ge=since, joined_at__lt=until).count(),
            sent=await database.deliveries.where(sent_at__ge=since, sent_at__lt=until).count(),
        )

    def message(self, tenant: str, recipient: str) -> bytes:
        """Write it as a message to `recipient`, the owner of the `tenant` with that name."""
        message = EmailMessage(policy=SMTP)
        message["From"] = "reports@newsletter.example"
        message["To"] = recipient
        message["Subject"] = f"{tenant}: {self.joined} new, {self.sent} newsletters sent"
        message["Date"] = format_datetime(self.until)
        message.set_content(
            f"In the 24 hours before {moments.written(self.until)}:\n\n"
            f"  {self.joined:6} joined\n"
            f"  {self.sent:6} newsletters were sent\n\n"
            f"{self.subscribers} of {self.users} users are subscribed.\n"
        )
        return message.as_bytes()
