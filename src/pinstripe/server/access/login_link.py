"""The login link that `start-server --dashboard` prints: its code lets in once, within ten minutes."""

from __future__ import annotations

import hmac
import secrets
import time
from typing import TYPE_CHECKING

from pinstripe.server.access.bearers import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable

LASTS = 600.0
"""Seconds that a code lasts."""


class LoginLink:
    """One code, of this process alone."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """Make the code; `now` tells the time, in seconds."""
        self._now = now
        self.code = secrets.token_urlsafe(24)
        self._digest: bytes | None = digest_of(self.code)
        self._ends = now() + LASTS

    def use(self, code: str) -> bool:
        """Tell whether that is the code, and it is its first use, in time."""
        if self._digest is None or self._now() >= self._ends:
            return False
        if not hmac.compare_digest(self._digest, digest_of(code)):
            return False
        self._digest = None
        return True
