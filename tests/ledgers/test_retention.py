from __future__ import annotations

from datetime import timedelta

from pinstripe.config import RetentionSettings
from pinstripe.ledgers.retention import Past, past
from tests.ledgers.conftest import START

DAY = 86_400_000_000


def test_what_is_past_its_time() -> None:
    settings = RetentionSettings(succeeded=timedelta(days=30), failed=timedelta(days=90), logs=timedelta(hours=12))
    assert past(settings, START) == Past(
        succeeded=START - 30 * DAY,
        failed=START - 90 * DAY,
        logs=START - DAY // 2,
        gone=START - 30 * DAY,
        local_time="2026-09-18T14:13:20",
        minute=(START - 2 * DAY) // 60_000_000,
        audit=START - 90 * DAY,
    )
