"""A mail server for this machine, which keeps a line about each message: `python -m newsletter.mail_server`.

It stands in for the real one: what is sent to it goes nowhere else.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import signal
from pathlib import Path
from typing import TextIO

from aiosmtpd.smtp import SMTP, Envelope, Session

MESSAGE_ID = re.compile(rb"^message-id:\s*(\S+)", re.IGNORECASE | re.MULTILINE)


class Received:
    """What has been received: a line of recipient, tab, Message-ID in a file, for each recipient of each message."""

    def __init__(self, file: TextIO) -> None:
        """Write to `file`, whose lines are to be complete whenever it is read."""
        self._file = file
        self.count = 0

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: ARG002, N802 - aiosmtpd's
        """Take a message."""
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        found = MESSAGE_ID.search(content.replace(b"\r\n\r\n", b"\n\n", 1).partition(b"\n\n")[0])
        for recipient in envelope.rcpt_tos:
            self._file.write(f"{recipient}\t{found[1].decode() if found else ''}\n")
            self.count += 1
        return "250 OK"


async def serve(host: str, port: int, received: Received, *, port_file: Path | None) -> None:
    """Serve until SIGTERM or SIGINT. `port` 0 takes a free one; which it is stands in `port_file`."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(number) is not signal.SIG_IGN:  # a script's background process leaves Ctrl-C to the script
            loop.add_signal_handler(number, stop.set)
    # A name of our own: without it aiosmtpd asks the name server at every connection.
    server = await loop.create_server(lambda: SMTP(received, hostname="localhost", loop=loop), host, port)
    port = server.sockets[0].getsockname()[1]
    print(f"mail server on {host}:{port}", flush=True)
    if port_file is not None:
        partial = port_file.with_name(port_file.name + ".partial")
        partial.write_text(f"{port}\n", encoding="ascii")
        partial.replace(port_file)  # whoever waits for it never reads half of it
    await stop.wait()
    server.close()


def main() -> None:
    """Serve as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m newsletter.mail_server", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=2525, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("--port-file", type=Path, help="where to write the port, once it listens")
    parser.add_argument("--received", type=Path, default=Path("received.tsv"), help="the file for what it receives")
    options = parser.parse_args()
    with options.received.open("a", encoding="utf-8", buffering=1) as file:
        received = Received(file)
        asyncio.run(serve(options.host, options.port, received, port_file=options.port_file))
    print(f"mail server stopped; it received {received.count:,} messages")


if __name__ == "__main__":
    main()
