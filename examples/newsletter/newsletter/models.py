"""The rows of the application's tables."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from newsletter import moments
from newsletter.mail import Mailer

if TYPE_CHECKING:
    from newsletter.database import Database

ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
"""An e-mail address that can be sent to: the form of HTML's `input type=email`, with a dot in the domain."""


class InvalidAddress(ValueError):
    """A subscriber's e-mail address can't be sent to."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row, with the database that it was read from, so that it can reach what belongs to it."""

    table: ClassVar[str]
    shared: ClassVar[bool] = False
    """Whether the table is the same for all tenants; else its rows have a `tenant_id`."""

    database: Database = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class User(Row):
    """Somebody who reads a tenant's newsletters, or has stopped to."""

    table = "users"

    id: int
    name: str
    email: str
    subscribed: int
    joined_at: str

    async def send_newsletter(self, mailer: Mailer, segment: str = "all") -> bool:
        """Send the newest issue of `segment`, unless it was sent to this user before; tell whether it was sent now.

        The delivery is written down after the mail server has taken the message. Only a crash between the two sends a
        message twice, and then under the same Message-ID, by which mail programs know it again.
        Raises `InvalidAddress`.
        """
        edition = await self.database.edition(segment)
        delivery = self.database.deliveries.where(issue_id=edition.issue.id, user_id=self.id)
        if await delivery.count():
            return False
        message = edition.message_to(self)

        async def deliver() -> None:
            await mailer.send(edition.sender, self.email, message)
            await delivery.insert(sent_at=moments.written(moments.now()))

        await _finish(deliver())
        return True

    def check_address(self) -> None:
        """Raise `InvalidAddress` when the user's e-mail address can't be sent to."""
        if not ADDRESS.fullmatch(self.email):
            message = f"expected user {self.id} ({self.name}) to have an address like name@domain, got {self.email!r}"
            raise InvalidAddress(message)


@dataclass(frozen=True, slots=True)
class Issue(Row):
    """One number of a tenant's newsletter."""

    table = "issues"

    id: int
    segment: str
    number: int
    subject: str
    published_at: str


@dataclass(frozen=True, slots=True)
class Article(Row):
    """One piece in an issue."""

    table = "articles"

    id: int
    issue_id: int
    headline: str
    body: str


@dataclass(frozen=True, slots=True)
class Delivery(Row):
    """That an issue was sent to a user."""

    table = "deliveries"

    issue_id: int
    user_id: int
    sent_at: str


@dataclass(frozen=True, slots=True)
class Session(Row):
    """That a user is signed in."""

    table = "sessions"

    id: int
    user_id: int
    last_accessed_at: str


@dataclass(frozen=True, slots=True)
class Plan(Row):
    """What a tenant can pay for."""

    table = "plans"
    shared = True

    name: str
    monthly_price: int


@dataclass(frozen=True, slots=True)
class Account(Row):
    """A tenant, as the application keeps it."""

    table = "tenants"
    shared = True

    id: str
    name: str
    plan: str
    active: int
    time_zone: str
    owner_email: str


async def _finish(work: Coroutine[Any, Any, None]) -> None:
    """Wait for `work` to its end, also when the job is cancelled meanwhile, and be cancelled only then.

    So an interrupted job has written down every message that the server took.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        with suppress(Exception):  # cancelled is cancelled
            await task
        raise
