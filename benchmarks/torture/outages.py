"""What befalls the database and the network while workers execute: restarts, crashes, broken connections, cuts."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

import psycopg

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from benchmarks.databases import Postgres

AFTERMATH = 10.0
"""Seconds after an outage in which a command may still fail of it."""


class Network(Protocol):
    """A host's connection to the database's."""

    @property
    def name(self) -> str:
        """The host's name."""
        ...

    def cut(self) -> None:
        """Lose every packet from now on, both ways, without telling anyone."""
        ...

    def heal(self) -> None:
        """Let packets through again."""
        ...


class Outage(NamedTuple):
    """One that was; `host` is None where it was everybody's. Times are of the monotonic clock."""

    host: str | None
    began: float
    ended: float


class Outages:
    """One after the other, each kind as often as the others, in a thread of its own until `calm`."""

    def __init__(
        self,
        server: Postgres,
        database: str,
        networks: Sequence[Network],
        dice: Random,
        *,
        every: float,
        lease: float,
    ) -> None:
        """Begin after `every` seconds. `database` is the name of the ledger's; a cut outlives the `lease`."""
        self.done: dict[str, int] = {}
        self.faults: list[str] = []
        self._server = server
        self._database = database
        self._networks = networks
        self._dice = dice
        self._every = every
        self._lease = lease
        self._outages: list[Outage] = []
        self._calm = threading.Event()
        self._kinds: dict[str, Callable[[], str | None]] = {"connections broken": self._terminate}
        if server.server is not None:
            self._kinds |= {"database restarted": self._restart, "database killed": self._kill}
        if networks:
            self._kinds["network cut"] = self._cut
        self._thread = threading.Thread(target=self._rage, name="outages")
        self._thread.start()

    def calm(self) -> None:
        """Let the last one end, and do no more."""
        self._calm.set()
        self._thread.join()

    def touched(self, host: str | None, began: float, ended: float) -> bool:
        """Tell whether what went on at this host between two moments may have failed of an outage."""
        return any(
            (each.host is None or each.host == host) and each.began <= ended and began <= each.ended + AFTERMATH
            for each in list(self._outages)
        )

    def _rage(self) -> None:
        left: list[str] = []
        while not self._calm.wait(self._every * self._dice.uniform(0.5, 1.5)):
            if not left:
                left = sorted(self._kinds)
                self._dice.shuffle(left)
            kind = left.pop()
            # It is noted before it begins, for whoever meets it while it goes on.
            self._outages.append(Outage(None, time.monotonic(), float("inf")))
            try:
                host = self._kinds[kind]()
            except Exception as error:  # noqa: BLE001 - what this thread can't do is told at the end
                self.faults.append(f"{kind}: {error!r}")
                return
            self._outages[-1] = self._outages[-1]._replace(host=host, ended=time.monotonic())
            self.done[kind] = self.done.get(kind, 0) + 1

    def _restart(self) -> None:
        """As for a planned restart: transactions are rolled back, and clients are told."""
        if self._server.server is not None:
            self._server.server.halt(gently=True)
            self._server.server.start()

    def _kill(self) -> None:
        """As by a crash, and gone for a while."""
        if self._server.server is not None:
            self._server.server.halt()
            self._calm.wait(self._dice.uniform(0, 1.5))
            self._server.server.start()

    def _terminate(self) -> None:
        """Break all connections to the ledger's database at once, as a failover does."""
        with psycopg.connect(self._server.url, autocommit=True) as connection:
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s and pid <> pg_backend_pid()",
                [self._database],
            )

    def _cut(self) -> str:
        """Cut one host off for longer than its lease; give its name."""
        network = self._dice.choice(self._networks)
        network.cut()
        try:
            self._calm.wait(self._lease * self._dice.uniform(1.3, 2.2))
        finally:
            network.heal()
        return network.name
