from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from pinstripe.time_zones import find_zone


def test_a_zone_is_found_by_its_name() -> None:
    assert datetime(2026, 7, 1, tzinfo=find_zone("Europe/Paris")).utcoffset() == timedelta(hours=2)


def test_utc_needs_no_zone_database() -> None:
    assert find_zone("UTC") is UTC
    code = "import sys, pinstripe.time_zones as z; z.find_zone('UTC'); assert 'zoneinfo' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_zone_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(ValueError, match=r"no time zone 'Europe/Pariss'; nearest: Europe/Paris"):
        find_zone("Europe/Pariss")


@pytest.mark.parametrize(
    "name", ["", "Europe", "../zone", "/etc/localtime", "Mars/Olympus", "\0", "localtime", "right/Europe/Paris"]
)
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="there is no time zone"):
        find_zone(name)


def test_what_is_no_zone_is_not_offered_for_one() -> None:
    with pytest.raises(ValueError, match="there is no time zone 'localtim'") as raised:
        find_zone("localtim")
    assert "nearest: localtime" not in str(raised.value)
