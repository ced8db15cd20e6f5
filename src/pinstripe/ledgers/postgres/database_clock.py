"""The time of the database's server: what all processes of a ledger have in common, whatever their own clocks say."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from pinstripe.clock import SystemClock

if TYPE_CHECKING:
    from pinstripe.clock import Clock
    from pinstripe.ledgers.postgres.transaction import Transaction

KEPT = 8
"""Of how many samples the best is believed: the stages of NTP's clock filter (RFC 5905, section 10)."""

DRIFT = 100e-6
"""How many seconds a sample gets worse by in a second: more than two clocks run apart that nobody sets."""

JUMP = 1.0
"""From how many seconds on a clock has not drifted but jumped."""

STALE = 60.0
"""Seconds after which it is time to hear the database's time once more."""


class _Sample(NamedTuple):
    """At `at` of our monotonic seconds it was `now` in the database, in microseconds UTC, but for `error` seconds."""

    now: int
    at: float
    error: float

    def told(self, at: float) -> float:
        """Give the server's time in microseconds at another monotonic second."""
        return self.now + (at - self.at) * 1_000_000

    def doubt(self, at: float) -> float:
        """Give how many seconds that may be wrong by."""
        return self.error + abs(at - self.at) * DRIFT


class DatabaseClock:
    """A clock that tells the database's time, once it has heard it; see `pinstripe.clock.Clock`. Of any thread.

    Machines whose clocks are minutes apart agree to some milliseconds, and it doesn't matter when one of those is set.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        """Take the machine's `clock`: it tells how time goes on, and the time itself until something is heard."""
        self._clock = clock or SystemClock()
        self._samples: list[_Sample] = []
        self._best: _Sample | None = None
        self._heard: tuple[float, int] | None = None
        self._lock = threading.Lock()

    def now(self) -> int:
        """Give the database's time in microseconds since 1970-01-01 UTC."""
        best = self._best
        return self._clock.now() if best is None else round(best.told(self._clock.monotonic()))

    def monotonic(self) -> float:
        """Give seconds of the machine's clock that never goes back."""
        return self._clock.monotonic()

    @property
    def is_stale(self) -> bool:
        """Whether it is time to hear the database's time: since long ago, or this machine slept, or was set."""
        if self._heard is None:
            return True
        passed = self._clock.monotonic() - self._heard[0]
        return passed > STALE or abs((self._clock.now() - self._heard[1]) / 1_000_000 - passed) > JUMP

    def follow(self, now: int, sent: float, received: float) -> None:
        """Hear that it was `now` in the database between two monotonic seconds: when it was asked, and had answered.

        Of the last samples the one with the shortest way there and back is believed, but the longer ago it is, the
        less. One that contradicts it is the truth: the server's clock was set, or this machine slept.
        """
        new = _Sample(now, (sent + received) / 2, max(0.0, received - sent) / 2)
        with self._lock:
            self._heard = received, self._clock.now()
            best = self._best
            if best is not None:
                apart = abs(new.now - best.told(new.at)) / 1_000_000
                if apart > new.error + best.doubt(new.at):
                    self._samples.clear()
            self._samples = [*self._samples[1 - KEPT :], new]
            self._best = min(self._samples, key=lambda each: each.doubt(received))


async def follow(clock: Clock, tx: Transaction, *, when_stale: bool = False) -> None:
    """Let a `clock` that follows the database's hear that, if it is one; or only where it is stale."""
    if isinstance(clock, DatabaseClock) and (clock.is_stale or not when_stale):
        sent = clock.monotonic()
        clock.follow(await tx.value("now"), sent, clock.monotonic())
