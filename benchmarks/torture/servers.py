"""A tortured ledger in a database: workers reach it from several hosts, whose clocks are minutes apart."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.databases import LEDGER, postgres
from benchmarks.torture import clocks
from benchmarks.torture.networks import Network, lacking
from benchmarks.torture.outages import Outages
from benchmarks.torture.places import Here, Place
from benchmarks.torture.reading import PostgreSQL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from random import Random

    from benchmarks.torture.harness import Plan
    from benchmarks.torture.places import Host

AHEAD = (0.0, 600.0, -600.0)
"""Seconds that the clocks of the hosts are ahead of the database's."""


class Apart(NamedTuple):
    """A host whose clock is ahead of others'."""

    host: Host
    clocks: Path
    ahead: float

    @property
    def name(self) -> str:
        """Its name."""
        return self.host.name

    def command(self, words: Sequence[str]) -> list[str]:
        """Give the command line that executes this one there, in the process that is started."""
        return self.host.command(words)

    def variables(self, given: Mapping[str, str]) -> Mapping[str, str]:
        """Give the variables of a process there."""
        return clocks.ahead(self.clocks, self.ahead, self.host.variables(given))


@contextmanager
def in_database(folder: Path, plan: Plan, dice: Random) -> Iterator[Place]:
    """Give a ledger in a new database of a server that is the torture's own; its outages begin at once.

    Where no other hosts can be made, workers are on this one, with clocks that are apart all the same.
    """
    with ExitStack() as stack:
        network = _network(stack)
        addresses = ("127.0.0.1",) if network is None else (network.address, "127.0.0.1")
        server = stack.enter_context(postgres(addresses, own=True))
        url = stack.enter_context(server.database())
        place = clocks.make(folder)
        hosts: Sequence[Host] = [Here()] * len(AHEAD) if network is None else network.hosts
        apart = [Apart(host, place, ahead) for host, ahead in zip(hosts, AHEAD, strict=True)]
        outages = Outages(
            server,
            url.rpartition("/")[2],
            [] if network is None else network.hosts,
            dice,
            every=plan.outages,
            lease=plan.lease,
        )
        stack.callback(outages.calm)
        yield Place({LEDGER: url}, PostgreSQL(url), apart, outages, (lacking() or "") if network is None else "")


def _network(stack: ExitStack) -> Network | None:
    if lacking() is not None:
        return None
    network = Network(len(AHEAD))
    stack.callback(network.remove)
    return network
