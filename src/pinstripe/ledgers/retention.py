"""Up to when what a ledger keeps is past its time; each ledger removes that in its own way."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from pinstripe.clock import to_datetime

if TYPE_CHECKING:
    from pinstripe.config import RetentionSettings

LOCAL_FIRES = timedelta(days=3)
"""How long it is kept which tenants have had which local time: nobody moves further than a day through the zones."""

GONE = timedelta(days=30)
"""How long a schedule is kept that no code has any more, and a zone that no tenant is in."""

TALLIES = timedelta(days=2)
"""How long it is kept what ended in each minute; the totals stay."""

AUDIT = timedelta(days=90)
"""How long it is kept who did what."""


class Past(NamedTuple):
    """What is older than this goes: runs by how they ended, logs, what is gone of schedules, in microseconds UTC.

    `local_time` is the same on a tenant's wall clock, as it is kept who has had which; `minute` is one of the tallies',
    and `audit` is of the audit trail's entries.
    """

    succeeded: int
    failed: int
    logs: int
    gone: int
    local_time: str
    minute: int
    audit: int


def past(settings: RetentionSettings, now: int) -> Past:
    """Tell what is past its time `now`, in microseconds UTC."""
    local_time = to_datetime(_before(now, LOCAL_FIRES)).replace(tzinfo=None).isoformat(timespec="seconds")
    return Past(
        succeeded=_before(now, settings.succeeded),
        failed=_before(now, settings.failed),
        logs=_before(now, settings.logs),
        gone=_before(now, GONE),
        local_time=local_time,
        minute=_before(now, TALLIES) // 60_000_000,
        audit=_before(now, AUDIT),
    )


def _before(now: int, kept: timedelta) -> int:
    return now - int(kept.total_seconds() * 1_000_000)
