from collections.abc import AsyncIterator

from newsletter.mail import Mailer
from newsletter.places import smtp_address


async def mailer() -> AsyncIterator[Mailer]:
    """Give a connection to the mail server; it is made when the first message is sent."""
    mailer = Mailer(*smtp_address())
    try:
        yield mailer
    finally:
        await mailer.close()
