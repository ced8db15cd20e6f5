"""Chunks of ready executions, and the order in which they are to be served. Functions of a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pinstripe.engine import NewTicket

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pinstripe.engines.pgqueuer import PgQueuerEngine
    from pinstripe.ledgers.postgres.transaction import Transaction

CHUNK = 50
"""How many executions a chunk has at most: few enough for several workers to share a run, many enough for a ticket."""

Flow = tuple[int, str]
"""A band, and whom in it executions are served for."""


class NewChunk(NamedTuple):
    """A chunk to make, of executions that are to be served from `tag` up to before `until`."""

    id: int
    run: int
    flow: str
    band: int
    tag: int
    until: int


async def next_tags(tx: Transaction, flows: Collection[Flow], *, in_front: bool = False) -> dict[Flow, int]:
    """Give the tag of the next chunk of each of some flows: start-time fair queueing, each execution at a cost of 1.

    It is the band's, or where the flow has been served or waits to, whichever is further; `in_front` of what the flow
    has waiting without the last. It is plainly read: who puts something in at the same time may get the same one. See
    Goyal, Vin and Cheng, "Start-time fair queueing", SIGCOMM 1996.
    """
    ordered = [*dict.fromkeys(flows)]
    if not ordered:
        return {}
    name = "front_tags" if in_front else "next_tags"
    rows = await tx.rows(name, [band for band, _ in ordered], [flow for _, flow in ordered])
    return {(band, flow): tag for band, flow, tag in rows}


async def new_ids(tx: Transaction, many: int) -> list[int]:
    """Give numbers for so many chunks."""
    return [id_ for (id_,) in await tx.rows("new_chunk_ids", many)] if many else []


async def add_chunks(tx: Transaction, engine: PgQueuerEngine, chunks: Sequence[NewChunk], now: int) -> None:
    """Write chunks whose executions are ready `now`, with their tickets."""
    if not chunks:
        return
    columns = [[*column] for column in zip(*chunks, strict=True)]
    await tx.run("add_chunks", *columns, now)
    await engine.mint(tx, [NewTicket(chunk.id, chunk.band, chunk.tag) for chunk in chunks])
