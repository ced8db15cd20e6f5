"""Ledgers on PostgreSQL that are made ahead, since to make a schema takes longer than most tests do.

A database has several, is copied from another one with all that is in them, and is dropped when they have been used.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from pinstripe.ledgers.postgres.ledger import PostgresLedger
from tests.ledgers.stores import RETENTION, Hand

if TYPE_CHECKING:
    from pinstripe.clock import Clock
    from tests.postgres import Postgres

_AT_ONCE = 12
"""How many a database has: copying one more takes less than making and dropping a database."""


class Ready(NamedTuple):
    """One that nobody has used: where it is, its schema, and a superuser's connection to its database."""

    url: str
    schema: str
    hand: Hand


class ReadyLedgers:
    """Gives them, one after another."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._template: str | None = None
        self._left: list[Ready] = []
        self._databases: list[tuple[str, Hand]] = []

    def take(self, clock: Clock) -> Ready:
        """Give the next one. The clock is any: nothing that it tells is in a ledger that was only made."""
        if not self._left:
            self._refill(clock)
        return self._left.pop()

    def close(self) -> None:
        """Drop all of them."""
        self._drop(keep=0)
        if self._template is not None:
            self._postgres.drop_database(self._template)

    def _refill(self, clock: Clock) -> None:
        self._drop(keep=1)  # a test may have one of the last database, and ask for another one
        if self._template is None:
            self._template = self._postgres.create_database()
            made = self._make(self._postgres.url(self._template, "app_owner"), clock)
            with ThreadPoolExecutor(1) as beside:  # the test that asks may have a loop
                beside.submit(asyncio.run, made).result()
        name = self._postgres.create_database(self._template)
        hand = Hand(self._postgres.url(name))
        self._databases.append((name, hand))
        url = self._postgres.url(name, "app_owner")
        self._left = [Ready(url, schema, hand) for schema in _SCHEMAS]

    async def _make(self, url: str, clock: Clock) -> None:
        for schema in _SCHEMAS:
            ledger = PostgresLedger(url, clock=clock, retention=RETENTION, schema=schema)
            await ledger.open()
            await ledger.close()

    def _drop(self, keep: int) -> None:
        while len(self._databases) > keep:
            name, hand = self._databases.pop(0)
            with closing(hand):
                self._postgres.drop_database(name)


_SCHEMAS = [f"ledger_{number:02}" for number in range(_AT_ONCE)]
