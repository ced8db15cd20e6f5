"""Guessing tokens is slow: after some wrong ones, who guesses has to wait, longer and longer."""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

FREE = 5
"""How many wrong tokens from one address cost nothing."""

LONGEST = 300.0
"""Seconds that an address waits at most."""

FORGOTTEN = 900.0
"""Seconds without a wrong token after which an address is as any other."""

FREE_IN_ALL = 100
"""How many wrong tokens, from wherever they come, cost nothing; one is given back each second."""

REMEMBERED = 10_000
"""How many addresses are remembered, and how many that a right token came from."""

_TRUSTED = 86_400.0


class _Misses(NamedTuple):
    misses: int
    last: float
    until: float


class Throttle:
    """Counts wrong tokens, by address and in all."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """Take what tells the time, in seconds."""
        self._now = now
        self._addresses: OrderedDict[str, _Misses] = OrderedDict()
        self._in_all = 0.0
        self._counted_at = now()
        self._right: OrderedDict[Hashable, float] = OrderedDict()

    def wait(self, address: str) -> int:
        """Tell how many seconds an address has to wait before its next token is looked at; 0 is not at all."""
        now = self._now()
        misses = self._addresses.get(network_of(address))
        alone = 0.0 if misses is None else misses.until - now
        self._drain(now)
        return math.ceil(max(alone, self._in_all - FREE_IN_ALL, 0.0))

    def failed(self, address: str) -> int:
        """Count a wrong token; give how many seconds the address has to wait now."""
        now, network = self._now(), network_of(address)
        misses = self._addresses.pop(network, None)
        count = 1 if misses is None or now - misses.last > FORGOTTEN else misses.misses + 1
        delay = 0.0 if count <= FREE else min(LONGEST, 2.0 ** min(count - FREE - 1, 20))
        self._addresses[network] = _Misses(count, now, now + delay)
        _bound(self._addresses)
        self._drain(now)
        self._in_all = min(self._in_all + 1, FREE_IN_ALL + LONGEST)
        return self.wait(address)

    def remember(self, address: str, digest: bytes) -> None:
        """Remember that a right token came from there: it is let in from there also while others guess."""
        key = (network_of(address), digest)
        self._right.pop(key, None)
        self._right[key] = self._now()
        _bound(self._right)

    def remembers(self, address: str, digest: bytes) -> bool:
        """Tell whether that token came from there within the last day, and was right."""
        at = self._right.get((network_of(address), digest))
        return at is not None and self._now() - at <= _TRUSTED

    def _drain(self, now: float) -> None:
        self._in_all = max(0.0, self._in_all - (now - self._counted_at))
        self._counted_at = now


def network_of(address: str) -> str:
    """Give whom an address belongs to: itself, or for IPv6 its network of 64 bits, of which one has all."""
    try:
        number = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if number.version == 4:  # noqa: PLR2004 - the number that IPv4 has
        return str(number)
    if number.ipv4_mapped is not None:
        return str(number.ipv4_mapped)
    return str(ipaddress.ip_network((int(number), 64), strict=False).network_address)


def _bound(kept: OrderedDict[object, object] | OrderedDict[str, _Misses] | OrderedDict[Hashable, float]) -> None:
    while len(kept) > REMEMBERED:
        kept.popitem(last=False)
