"""Which of the chunks that are next are to be served, and how many executions of each."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pinstripe.engine import Ticket


class Pick(NamedTuple):
    """How many executions are to be taken from a ticket's chunk."""

    ticket: Ticket
    many: int

    @property
    def is_whole(self) -> bool:
        """Whether that is all there are in it."""
        return self.many >= self.ticket.until - self.ticket.tag


def merge(tickets: Sequence[Ticket], most: int) -> list[Pick]:
    """Pick up to `most` executions from chunks, always the next from the one with the lowest band, tag and id.

    The chunks are given in that order, the `most` first of all: no other can have a part in it.
    """
    if len(tickets) == 1:
        ticket = tickets[0]
        return [Pick(ticket, min(most, ticket.until - ticket.tag))]
    heads = [(ticket.band, ticket.tag, ticket.chunk, place) for place, ticket in enumerate(tickets)]
    counts: dict[int, int] = {}
    for _ in range(most):
        if not heads:
            break
        band, tag, chunk, place = heads[0]
        counts[place] = counts.get(place, 0) + 1
        if tag + 1 < tickets[place].until:
            heapq.heapreplace(heads, (band, tag + 1, chunk, place))
        else:
            heapq.heappop(heads)
    return [Pick(tickets[place], count) for place, count in counts.items()]
