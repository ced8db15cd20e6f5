"""The application's tables, as SQLAlchemy's models.

Every table with a `tenant_id` belongs to tenants row by row; `plans` and `tenants` are shared, as pyproject.toml says.
What belongs to a row of a tenant names that row together with the tenant, so that not even the database itself would
take a row that belongs to another tenant's.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine
from contextlib import suppress
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Boolean, ForeignKey, ForeignKeyConstraint, Index, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from newsletter import moments
from newsletter.edition import Edition
from newsletter.mail import Mailer
from pinstripe import database_of

ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
"""An e-mail address that can be sent to: the form of HTML's `input type=email`, with a dot in the domain."""


class InvalidAddress(ValueError):
    """A subscriber's e-mail address can't be sent to."""


class Base(DeclarativeBase):
    """What all models have in common."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: Text,
        bool: Boolean(create_constraint=True),
        datetime: moments.Moment,
    }


class OfTenant:
    """What belongs to a tenant. Pinstripe sets `tenant_id`, and nobody sees a row but its tenant."""

    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"))


class Plan(Base):
    """What a tenant can pay for."""

    __tablename__ = "plans"
    __table_args__ = ({"sqlite_strict": True},)

    name: Mapped[str] = mapped_column(primary_key=True)
    monthly_price: Mapped[int]
    """In cents."""


class Account(Base):
    """A tenant, as the application keeps it: where Pinstripe learns which tenants there are."""

    __tablename__ = "tenants"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    plan: Mapped[str] = mapped_column(ForeignKey("plans.name"))
    active: Mapped[bool]
    time_zone: Mapped[str]
    owner_email: Mapped[str]


class User(OfTenant, Base):
    """Somebody who reads a tenant's newsletters, or has stopped to."""

    __tablename__ = "users"
    __table_args__ = (UniqueConstraint("tenant_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    email: Mapped[str]
    subscribed: Mapped[bool]
    joined_at: Mapped[datetime]

    async def send_newsletter(self, mailer: Mailer, segment: str = "all") -> bool:
        """Send the newest issue of `segment`, unless it was sent to this user before; tell whether it was sent now.

        The delivery is written down after the mail server has taken the message. Only a crash between the two sends a
        message twice, and then under the same Message-ID, by which mail programs know it again.
        Raises `InvalidAddress`, and `NothingPublished`.
        """
        database = database_of(self)
        edition = await Edition.newest(database, segment)
        if self.id in edition.sent_to:
            return False
        message = edition.message_to(self)

        async def deliver() -> None:
            await mailer.send(edition.sender, self.email, message)
            await database[Delivery].insert(issue_id=edition.issue_id, user_id=self.id, sent_at=moments.now())
            edition.sent_to.add(self.id)

        await _finish(deliver())
        return True

    def check_address(self) -> None:
        """Raise `InvalidAddress` when the user's e-mail address can't be sent to."""
        if not ADDRESS.fullmatch(self.email):
            message = f"expected user {self.id} ({self.name}) to have an address like name@domain, got {self.email!r}"
            raise InvalidAddress(message)


class Issue(OfTenant, Base):
    """One number of a tenant's newsletter."""

    __tablename__ = "issues"
    __table_args__ = (
        UniqueConstraint("tenant_id", "id"),
        UniqueConstraint("tenant_id", "segment", "number"),
        {"sqlite_strict": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    segment: Mapped[str]
    number: Mapped[int]
    subject: Mapped[str]
    published_at: Mapped[datetime]


class Article(OfTenant, Base):
    """One piece in an issue."""

    __tablename__ = "articles"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "issue_id"], ["issues.tenant_id", "issues.id"]),
        Index("articles_of_issue", "tenant_id", "issue_id"),
        {"sqlite_strict": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    issue_id: Mapped[int]
    headline: Mapped[str]
    body: Mapped[str]


class Delivery(OfTenant, Base):
    """That an issue was sent to a user: what makes sending it again safe."""

    __tablename__ = "deliveries"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "issue_id"], ["issues.tenant_id", "issues.id"]),
        ForeignKeyConstraint(["tenant_id", "user_id"], ["users.tenant_id", "users.id"]),
        {"sqlite_strict": True, "sqlite_with_rowid": False},
    )

    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    issue_id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(primary_key=True)
    sent_at: Mapped[datetime]


class Session(OfTenant, Base):
    """That a user is signed in."""

    __tablename__ = "sessions"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "user_id"], ["users.tenant_id", "users.id"]),
        Index("sessions_of_tenant", "tenant_id", "last_accessed_at"),
        {"sqlite_strict": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int]
    last_accessed_at: Mapped[datetime]


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
