"""What the example's tests may ask for: a small database of it, the open project, and a mail server.

The example's packages are imported inside of tests and fixtures: other tests have projects with packages of the same
names.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

import pinstripe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from newsletter.mail import Mailer

PROJECT = Path(__file__).resolve().parents[2] / "examples" / "newsletter"
NOW = datetime(2026, 11, 21, 20, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Make the example importable, and keep its files apart from those of the demo."""
    monkeypatch.syspath_prepend(PROJECT)
    monkeypatch.setenv("PINSTRIPE_DATABASE_URL", f"sqlite:///{tmp_path / 'newsletter.db'}")
    monkeypatch.setenv("PINSTRIPE_LEDGER", f"sqlite:///{tmp_path / 'ledger.db'}")
    monkeypatch.setenv("NEWSLETTER_BACKUPS", str(tmp_path / "backups"))
    monkeypatch.delenv("NEWSLETTER_SMTP", raising=False)


@pytest.fixture
def database_file(_example: None, tmp_path: Path) -> Path:
    """Give the file of a database with 6 tenants, one of them inactive, and 60 users."""
    from newsletter.seed import seed

    path = tmp_path / "newsletter.db"
    seed(path, now=NOW, tenants=6, users=60)
    return path


@pytest.fixture
async def project(database_file: Path) -> AsyncIterator[pinstripe.Project]:
    """Open the example, with the small database."""
    async with pinstripe.open_project(PROJECT) as project:
        yield project


def rows(path: Path, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Execute SQL in a database file, as nobody's tenant, and commit it."""
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(sql, parameters).fetchall()


@dataclass  # without slots: aiosmtpd gets every attribute, and up to Python 3.11.2 a slotted one's __weakref__ raises
class MailServer:
    """A real mail server, with what it was sent."""

    port: int = 0
    messages: list[tuple[str | None, list[str], bytes]] = field(default_factory=list)
    connections: int = 0
    refused: str | None = None
    """A recipient that it refuses."""
    taking: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a message has come."""
    may_take: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared by who wants the answer to a message to wait."""

    @property
    def recipients(self) -> list[str]:
        return [recipient for _, recipients, _ in self.messages for recipient in recipients]

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name for it
        self, server: SMTP, session: Session, envelope: Envelope, address: str, rcpt_options: list[str]
    ) -> str:
        if address == self.refused:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        assert isinstance(envelope.content, bytes)
        self.taking.set()
        await self.may_take.wait()
        self.messages.append((envelope.mail_from, list(envelope.rcpt_tos), envelope.content))
        return "250 OK"

    def connected(self) -> SMTP:
        self.connections += 1
        return SMTP(self, hostname="localhost", loop=asyncio.get_running_loop())


@pytest.fixture
async def mail_server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MailServer]:
    """Run a mail server, which is where the example sends to."""
    received = MailServer()
    received.may_take.set()
    server = await asyncio.get_running_loop().create_server(received.connected, "127.0.0.1", 0)
    received.port = server.sockets[0].getsockname()[1]
    monkeypatch.setenv("NEWSLETTER_SMTP", f"127.0.0.1:{received.port}")
    yield received
    server.close()


@pytest.fixture
async def mailer(mail_server: MailServer) -> AsyncIterator[Mailer]:
    """Give a mailer that sends to the mail server."""
    from newsletter.mail import Mailer

    mailer = Mailer("127.0.0.1", mail_server.port)
    yield mailer
    await mailer.close()
