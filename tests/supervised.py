"""A process for a supervisor: `python -m tests.supervised SOCKET [stubborn]`; it says on the socket what happens.

It says its process id, its supervisor's and its process group's first; then it does what it is told there: it ends with
an exit code, or kills itself. It tells of each signal, and ends at a SIGTERM with 143, unless it is stubborn.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from pinstripe.supervisor import end_with, find_supervisor


async def main(address: str, *manners: str) -> None:
    supervisor = find_supervisor()
    reader, writer = await asyncio.open_unix_connection(address)
    loop = asyncio.get_running_loop()

    def end(code: int) -> None:
        os._exit(code)

    def signalled(number: signal.Signals) -> None:
        writer.write(f"{number.name}\n".encode())
        if not manners:
            end(128 + number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled, number)
    if supervisor is not None and "orphan" not in manners:
        await end_with(supervisor, lambda: end(9))
    writer.write(f"{os.getpid()} {supervisor} {os.getpgrp()} {find_supervisor()}\n".encode())
    while line := await reader.readline():
        match line.split():
            case [b"exit", code]:
                end(int(code))
            case [b"die"]:
                os.kill(os.getpid(), signal.SIGKILL)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
