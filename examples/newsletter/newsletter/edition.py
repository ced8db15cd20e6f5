"""An issue made ready for sending."""

from __future__ import annotations

from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from newsletter.models import Article, Issue, User
    from pinstripe import Database


class NothingPublished(LookupError):
    """The tenant has no issue for that segment."""


@dataclass(frozen=True, slots=True)
class Edition:
    """An issue with the message that all its subscribers get; only the first two headers differ.

    Writing a message takes ten times as long as sending it does, so what is the same for all is written once, and who
    has had it is read once.
    """

    issue_id: int
    sender: str
    message: bytes
    """All of the message but `To` and `Message-ID`."""
    sent_to: set[int]
    """Who has had it, by their ids."""

    @classmethod
    async def newest(cls, database: Database, segment: str) -> Self:
        """Give the newest issue of `segment` ("all": of any), read once in each workspace. Raises `NothingPublished`.

        It is kept in `info`, SQLAlchemy's place for what ends with a session: so it never reaches another tenant.
        """
        editions: dict[str, Self] = database.session.info.setdefault("editions", {})
        if segment not in editions:
            editions[segment] = await cls._read(database, segment)
        return editions[segment]

    @classmethod
    async def _read(cls, database: Database, segment: str) -> Self:
        issues = database.issues if segment == "all" else database.issues.where(segment=segment)
        issue = await issues.order_by("-published_at", "-id").first()
        if issue is None:
            message = f"no issue has been published for the segment {segment!r}"
            raise NothingPublished(message)
        articles = await database.articles.where(issue_id=issue.id).order_by("id").all()
        sent_to = {delivery.user_id async for delivery in database.deliveries.where(issue_id=issue.id)}
        sender = Address("", "news", f"{issue.tenant_id}.example")
        return cls(issue.id, sender.addr_spec, _common_part(issue, articles, sender), sent_to)

    def message_to(self, user: User) -> bytes:
        """Give the message for `user`, ready for the mail server. Raises `InvalidAddress`."""
        user.check_address()
        domain = self.sender.partition("@")[2]
        headers = (
            f"To: {formataddr((' '.join(user.name.split()), user.email))}\r\n"  # no line break gets into a header
            f"Message-ID: <issue-{self.issue_id}.user-{user.id}@{domain}>\r\n"
        )
        return headers.encode("ascii") + self.message


def _common_part(issue: Issue, articles: list[Article], sender: Address) -> bytes:
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["Subject"] = issue.subject
    message["Date"] = format_datetime(issue.published_at)
    message.set_content(
        "\n\n".join(f"{article.headline}\n{'-' * len(article.headline)}\n{article.body}" for article in articles)
    )
    return message.as_bytes()
