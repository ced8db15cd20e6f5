"""The engine: what carries tickets for waiting work to workers, and wakes them. A ticket is a hint, never the truth.

Losing, doubling or delaying one can neither lose nor double work: the ledger's owners, epochs and conditional updates
decide who may execute and whose result counts.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

Connection_contra = TypeVar("Connection_contra", contravariant=True)


class Ticket(NamedTuple):
    """A ticket for a chunk of ready executions, in the order in which it is to be served: by band, then tag, then id.

    `flow` is whom it is served for, and `until` the tag at which the chunk is used up: `until - tag` are left in it.
    """

    chunk: int
    run: int
    flow: str
    band: int
    tag: int
    until: int


class Engine(Protocol[Connection_contra]):
    """What every engine does.

    `mint` and `take` are called inside a transaction of the ledger, on its connection, and are undone with it; where
    the ledger's transactions are plain functions (SQLite), so are these.
    """

    def open(self, owner: str | None = None) -> None:
        """Begin to listen, as the process that the ledger knows as `owner`; without one it only wakes others."""
        ...

    def close(self) -> None:
        """Stop listening."""
        ...

    def mint(self, connection: Connection_contra, chunks: Sequence[int]) -> None:
        """Chunks of ready executions → chunks with a ticket each. Idempotent: one that has its ticket keeps it."""
        ...

    def take(self, connection: Connection_contra, most: int) -> list[Ticket]:
        """Give up to `most` tickets, the next to be served first.

        They are consumed with their chunks: the claim deletes a chunk that it has emptied, and moves the tag of one
        that it has not.
        """
        ...

    def wake(self) -> None:
        """Tell every process that listens, this one included, that work may be ready; called after a commit."""
        ...

    def rouse(self) -> None:
        """End this process's own wait, and tell nobody else; from any thread."""
        ...

    async def wait(self, timeout: float) -> bool:  # noqa: ASYNC109 - an idle wait, not a limit of what is done
        """Wait until work may be ready, for at most `timeout` seconds; tell whether anything was heard."""
        ...


class NewTicket(NamedTuple):
    """A ticket to mint: for a `chunk`, to be served after all of a lower `band`, and in it by `tag`."""

    chunk: int
    band: int
    tag: int


class Carrier(Protocol[Connection_contra]):
    """An engine that carries tickets between machines, for a ledger whose transactions are awaited.

    It keeps the tickets itself, so that they are taken and put back. What it is told on a connection is done in that
    connection's transaction, and undone with it.
    """

    async def open(self) -> None:
        """Begin to listen. Idempotent."""
        ...

    async def close(self) -> None:
        """Stop listening."""
        ...

    async def mint(
        self,
        connection: Connection_contra,
        tickets: Sequence[NewTicket],
        *,
        anew: bool = False,
        delay: timedelta = timedelta(),
    ) -> None:
        """Chunks of ready executions → chunks with a ticket each; who listens hears of it with the commit.

        Idempotent: one that has its ticket keeps it. To mint `anew` moves those up that are served too late. Nobody is
        given the ticket before the `delay` is over; nobody hears of that.
        """
        ...

    async def take(self, connection: Connection_contra, most: int) -> list[Ticket | None]:
        """Give up to `most` tickets, the next to be served first, and consume them; None for one whose chunk is gone.

        Two transactions at once are given different ones. A chunk of which something is left is to be minted again.
        """
        ...

    async def announce(self, connection: Connection_contra) -> None:
        """Let every process that listens, this one included, hear with the commit that there is news."""
        ...

    async def tidy(self, connection: Connection_contra) -> None:
        """Remove what it has kept of tickets that were served, and see that it can order those to come."""
        ...

    @property
    def hears(self) -> bool:
        """Whether `wait` hears of all news, so that it is enough to look by oneself now and then."""
        ...

    def rouse(self) -> None:
        """End this process's own wait, and tell nobody else; from any thread."""
        ...

    async def wait(self, timeout: float) -> bool:  # noqa: ASYNC109 - an idle wait, not a limit of what is done
        """Wait until work may be ready, for at most `timeout` seconds; tell whether anything was heard."""
        ...
