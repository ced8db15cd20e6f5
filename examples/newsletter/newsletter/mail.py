"""Sending e-mail."""

from __future__ import annotations

import asyncio
import smtplib
import threading


class Mailer:
    """One connection to the mail server, over which messages go one after another.

    It connects with its first message. `smtplib` waits for the network, so it does that in a thread.
    """

    def __init__(self, host: str, port: int, *, timeout: float = 30) -> None:
        """Take the server's `host` and `port`, and how long one of its answers may take, in seconds."""
        self._host = host
        self._port = port
        self._timeout = timeout
        self._smtp: smtplib.SMTP | None = None
        self._turn = threading.Lock()
        self.sent = 0

    async def send(self, sender: str, recipient: str, message: bytes) -> None:
        """Send `message`, complete with its headers, to one `recipient`.

        Raises `OSError` (which `smtplib.SMTPException` is too) when the server can't be reached or refuses it.
        """
        await asyncio.to_thread(self._send, sender, recipient, message)

    async def close(self) -> None:
        """Finish what is being sent, and take leave of the server."""
        if self._smtp is not None:
            await asyncio.to_thread(self._close)

    def _send(self, sender: str, recipient: str, message: bytes) -> None:
        with self._turn:
            if self._smtp is None:
                self._smtp = self._connect()
            self._smtp.sendmail(sender, [recipient], message)
            self.sent += 1

    def _connect(self) -> smtplib.SMTP:
        try:
            # A name of our own: without it smtplib asks the name server, which can take seconds.
            return smtplib.SMTP(self._host, self._port, local_hostname="localhost", timeout=self._timeout)
        except ConnectionRefusedError as error:
            message = f"no mail server at {self._host}:{self._port}; start one, or set NEWSLETTER_SMTP to its host:port"
            raise ConnectionRefusedError(error.errno, message) from None

    def _close(self) -> None:
        with self._turn:
            smtp, self._smtp = self._smtp, None
            if smtp is None:
                return
            try:
                smtp.quit()
            except smtplib.SMTPException:
                smtp.close()  # the server was gone already
