"""A tortured ledger in a database: workers reach it from several hosts, whose clocks are minutes apart."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.databases import LEDGER, postgres
from benchmarks.torture import clocks
from benchmarks.torture.outages import Outages
from benchmarks.torture.places import Place
from benchmarks.torture.reading import PostgreSQL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from random import Random

    from benchmarks.torture.harness import Plan

AHEAD = (0.0, 600.0, -600.0)
"""Seconds that the clocks of the hosts are ahead of the database's."""


class Apart(NamedTuple):
    """A host of its own name, with a clock of its own."""

    name: str
    clocks: Path
    ahead: float

    def command(self, words: Sequence[str]) -> list[str]:
        """Give the command line that executes this one there, in the process that is started."""
        return ["unshare", "--uts", "sh", "-c", f'hostname {self.name} && exec "$@"', "sh", *words]

    def variables(self, given: Mapping[str, str]) -> Mapping[str, str]:
        """Give the variables of a process there."""
        return clocks.ahead(self.clocks, self.ahead, given)


@contextmanager
def in_database(folder: Path, plan: Plan, dice: Random) -> Iterator[Place]:
    """Give a ledger in a new database of a server that is the torture's own; its outages begin at once."""
    with ExitStack() as stack:
        server = stack.enter_context(postgres())
        url = stack.enter_context(server.database())
        place = clocks.make(folder)
        hosts = [Apart(f"host-{number}", place, ahead) for number, ahead in enumerate(AHEAD)]
        name = url.rpartition("/")[2]
        outages = Outages(server, name, [], dice, every=plan.outages, lease=plan.lease)
        stack.callback(outages.calm)
        yield Place({LEDGER: url}, PostgreSQL(url), hosts, outages)
