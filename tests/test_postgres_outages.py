from __future__ import annotations

from pinstripe.postgres_outages import is_outage, reason


def test_codes_of_postgresql() -> None:
    assert all(is_outage(code) for code in ("08006", "28P01", "3D000", "53300", "57P01", "57P03"))
    assert not any(is_outage(code) for code in ("", "23505", "42P01", "57014", "40001", "53100"))


def test_the_drivers_words_are_one_line() -> None:
    assert reason(ValueError("<class 'asyncpg.X'>: gone\nHINT: come back")) == "gone"
    assert reason(ValueError()) == "ValueError"
    assert reason(TimeoutError()) == "no answer in time"
