"""An issue made ready for sending."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr
from typing import TYPE_CHECKING, Self

from newsletter.models import Article, Issue, User

if TYPE_CHECKING:
    from newsletter.database import Database


class NothingPublished(LookupError):
    """The tenant has no issue for that segment."""


@dataclass(frozen=True, slots=True)
class Edition:
    """An issue with the message that all its subscribers get; only the first two headers differ.

    Writing a message takes ten times as long as sending it does, so what is the same for all is written once.
    """

    issue: Issue
    sender: str
    message: bytes
    """All of the message but `To` and `Message-ID`."""

    @classmethod
    async def newest(cls, database: Database, segment: str) -> Self:
        """Read the newest issue of `segment` ("all": of any) and its articles. Raises `NothingPublished`."""
        issues = database.issues if segment == "all" else database.issues.where(segment=segment)
        issue = max(await issues.all(), key=lambda issue: (issue.published_at, issue.id), default=None)
        if issue is None:
            message = f"tenant {database.tenant!r} has published no issue for the segment {segment!r}"
            raise NothingPublished(message)
        articles = await database.articles.where(issue_id=issue.id).all()
        sender = Address("", "news", f"{database.tenant}.example")
        return cls(issue, sender.addr_spec, _common_part(issue, articles, sender))

    def message_to(self, user: User) -> bytes:
        """Give the message for `user`, ready for the mail server. Raises `InvalidAddress`."""
        user.check_address()
        domain = self.sender.partition("@")[2]
        headers = (
            f"To: {formataddr((' '.join(user.name.split()), user.email))}\r\n"  # no line break gets into a header
            f"Message-ID: <issue-{self.issue.id}.user-{user.id}@{domain}>\r\n"
        )
        return headers.encode("ascii") + self.message


def _common_part(issue: Issue, articles: list[Article], sender: Address) -> bytes:
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["Subject"] = issue.subject
    message["Date"] = format_datetime(datetime.fromisoformat(issue.published_at))
    message.set_content(
        "\n\n".join(f"{article.headline}\n{'-' * len(article.headline)}\n{article.body}" for article in articles)
    )
    return message.as_bytes()
