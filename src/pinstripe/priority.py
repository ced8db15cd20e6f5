"""How urgent waiting work is: three bands, of which a lower one starts only while the higher ones have nothing."""

from __future__ import annotations

from enum import StrEnum


class Priority(StrEnum):
    """The band that an enqueued run waits in. Whoever chooses a low one chooses to wait for all above it."""

    INTERACTIVE = "interactive"
    DEFAULT = "default"
    BULK = "bulk"

    @property
    def band(self) -> int:
        """The band's number in the ledger: the lowest goes first."""
        return _BANDS[self]

    @classmethod
    def of_band(cls, band: int) -> Priority:
        """Give the priority whose band has that number."""
        return tuple(cls)[band]


_BANDS = {priority: band for band, priority in enumerate(Priority)}
