from __future__ import annotations

import email
import email.policy
import smtplib
import socket
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from newsletter.mail import Mailer
    from pinstripe import Project
    from tests.examples.conftest import MailServer

pytestmark = pytest.mark.anyio


async def test_messages_arrive_over_one_connection(mailer: Mailer, mail_server: MailServer) -> None:
    for number in range(3):
        await mailer.send("news@a.example", f"reader{number}@a.example", f"Subject: {number}\r\n\r\n.hidden?".encode())

    assert mail_server.connections == 1
    assert mail_server.recipients == [f"reader{number}@a.example" for number in range(3)]
    sender, _, content = mail_server.messages[0]
    assert sender == "news@a.example"
    assert content.rstrip() == b"Subject: 0\r\n\r\n.hidden?"


async def test_nothing_is_connected_before_the_first_message(mailer: Mailer, mail_server: MailServer) -> None:
    await mailer.close()

    assert mail_server.connections == 0


async def test_a_refused_recipient_is_an_error_and_the_next_message_goes_out(
    mailer: Mailer, mail_server: MailServer
) -> None:
    mail_server.refused = "gone@a.example"

    with pytest.raises(smtplib.SMTPRecipientsRefused, match="no such mailbox"):
        await mailer.send("news@a.example", "gone@a.example", b"Subject: x\r\n\r\n")
    await mailer.send("news@a.example", "here@a.example", b"Subject: x\r\n\r\n")

    assert mail_server.recipients == ["here@a.example"]
    assert mailer.sent == 1


async def test_no_server_is_an_error() -> None:
    from newsletter.mail import Mailer

    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionRefusedError, match="no mail server at 127"):
            await Mailer("127.0.0.1", taken.getsockname()[1]).send("a@a.example", "b@b.example", b"")


async def test_the_message_can_be_read_by_the_books(project: Project, mailer: Mailer, mail_server: MailServer) -> None:
    async with project.workspace(tenant="harbour-books") as workspace:
        users = workspace.database.users.where(subscribed=True, email__contains="@")
        user = await users.first()
        assert user is not None
        await users.where(id=user.id).update(name='Zoë "Zed" García,\r\nBcc: x@y.example')
        [user] = await users.where(id=user.id).all()

        assert await user.send_newsletter(mailer, "weekly")
        assert not await user.send_newsletter(mailer, "weekly")

    assert len(mail_server.messages) == 1
    message = email.message_from_bytes(mail_server.messages[0][2], policy=email.policy.default)
    [address] = message["To"].addresses
    assert address.addr_spec == user.email
    assert address.display_name == 'Zoë "Zed" García, Bcc: x@y.example'
    assert message["Bcc"] is None
    assert message["From"] == "news@harbour-books.example"
    assert message["Subject"].startswith("This week at Harbour Books: ")
    assert message["Message-ID"].endswith("@harbour-books.example>")
    assert message["Date"].datetime is not None
    assert len(message.get_content()) > 500


@pytest.mark.parametrize("text", ["localhost", ":25", "localhost:smtp", "localhost:"])
def test_a_mail_server_is_host_and_port(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    from newsletter.places import smtp_address

    monkeypatch.setenv("NEWSLETTER_SMTP", text)

    with pytest.raises(ValueError, match="expected NEWSLETTER_SMTP to be host:port"):
        smtp_address()
