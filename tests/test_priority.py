from __future__ import annotations

import pytest

from pinstripe import Priority


def test_what_is_urgent_is_in_a_lower_band() -> None:
    assert [(priority.value, priority.band) for priority in Priority] == [
        ("interactive", 0),
        ("default", 1),
        ("bulk", 2),
    ]


@pytest.mark.parametrize("priority", Priority)
def test_a_band_gives_its_priority_back(priority: Priority) -> None:
    assert Priority.of_band(priority.band) is priority


def test_a_band_that_there_is_not() -> None:
    with pytest.raises(IndexError):
        Priority.of_band(3)


def test_it_is_written_as_its_text() -> None:
    assert f"{Priority.BULK}" == "bulk"
    assert Priority("bulk") is Priority.BULK
    with pytest.raises(ValueError, match="'urgent' is not a valid Priority"):
        Priority("urgent")
