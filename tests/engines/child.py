"""A process beside the test's own, on the same ledger: `python -m tests.engines.child FILE WHAT`.

It says on a line of its own what it has done, then waits for its standard input to end.
"""

from __future__ import annotations

import asyncio
import sys
import uuid
from pathlib import Path

import apsw

from pinstripe.engines.embedded import EmbeddedEngine
from tests.engines.offices import TAKE


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def main(path: str, what: str) -> None:
    connection = apsw.Connection(path)
    engine = EmbeddedEngine(Path(f"{path}-owners"), connection, take=TAKE)
    match what:
        case "listen":  # until it has heard something, once a line
            engine.open(uuid.uuid4().hex)
            say("listening")
            while await engine.wait(30.0):
                say("heard")
        case "wake":
            engine.wake()
            say("woken")
        case "write":  # and tell nobody
            connection.execute("insert into chunks values (1, 1, 'j:hello', 2, 0, 1)")
            say("written")
        case "die":
            name = uuid.uuid4().hex
            engine.open(name)
            say(name)
            sys.stdin.read()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
