"""What is paused, for whoever wants to start something. Functions of a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinstripe.ledgers.pauses import Pauses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pinstripe.ledgers.postgres.transaction import Transaction


async def read_pauses(tx: Transaction) -> Pauses:
    """Read all pauses, once a transaction."""
    return Pauses(await tx.rows("pauses"))


async def part_paused(tx: Transaction, job: str, tenants: Sequence[str]) -> tuple[list[str], list[str]]:
    """Part `tenants` into those for whom a job is paused, and the others."""
    pauses = await read_pauses(tx)
    parts: tuple[list[str], list[str]] = [], []
    for tenant in tenants:
        parts[not pauses.holds(job, tenant)].append(tenant)
    return parts
