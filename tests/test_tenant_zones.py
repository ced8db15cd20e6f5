from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from enum import StrEnum
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from pinstripe.errors import TenantSourceFailed
from pinstripe.tenant_zones import MISSING, REMEMBERED, TenantZones, show_value
from pinstripe.tenants import Tenant


class Places(StrEnum):
    PARIS = "Europe/Paris"


class Named(tzinfo):
    """A zone of another library, which calls its name `zone`."""

    zone = "Asia/Tokyo"

    def utcoffset(self, _: datetime | None) -> timedelta:
        return timedelta(hours=9)

    def dst(self, _: datetime | None) -> timedelta:
        return timedelta(0)

    def tzname(self, _: datetime | None) -> str:
        return "JST"


def zones() -> TenantZones:
    return TenantZones("time_zone", "America/Lima")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Europe/Paris", "Europe/Paris"),
        ("UTC", "UTC"),
        pytest.param(Places.PARIS, "Europe/Paris", id="a text of another type"),
        (ZoneInfo("Europe/Paris"), "Europe/Paris"),
        (UTC, "UTC"),
        (Named(), "Asia/Tokyo"),
    ],
)
def test_what_names_a_zone(value: object, expected: str) -> None:
    found = zones().find(value)
    assert (found, type(found)) == (expected, str)
    assert zones().of(Tenant("acme", {"time_zone": value})) == expected
    assert not zones().is_unknown(value)


@pytest.mark.parametrize(
    "value",
    [
        "Mars/Phobos", "Europe", "europe/paris ", " ", "../UTC", "/etc/localtime", "\0", "\ud800", "x" * 5_000, 5, 0,
        False, ["UTC"], {}, timezone(timedelta(hours=1)), object(), float("nan"), b"UTC",
    ],
)  # fmt: skip
def test_what_is_set_and_names_none(value: object) -> None:
    assert zones().find(value) is None
    assert zones().is_unknown(value)
    assert zones().of(Tenant("acme", {"time_zone": value})) == "America/Lima"


@pytest.mark.parametrize("value", [None, "", MISSING])
def test_what_says_nothing(value: object) -> None:
    assert zones().find(value) is None
    assert not zones().is_unknown(value)


@pytest.mark.parametrize("item", [None, {}, {"zone": "Europe/Paris"}, SimpleNamespace(), {"time_zone": None}])
def test_a_tenant_without_a_zone_is_in_the_default_one(item: object) -> None:
    assert zones().of(Tenant("acme", item)) == "America/Lima"


def test_an_attribute_that_cannot_be_read_is_told_with_the_tenant() -> None:
    class Account:
        @property
        def time_zone(self) -> str:
            raise OSError("postgresql://app:secret@db/shop is gone")

    with pytest.raises(TenantSourceFailed, match="'time_zone' of tenant 'acme' can't be read: OSError") as caught:
        zones().of(Tenant("acme", Account()))
    assert "secret" not in str(caught.value)


def test_each_name_is_looked_up_once_and_no_more_are_remembered_than_there_are_zones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def look(name: str) -> ZoneInfo:
        asked.append(name)
        return ZoneInfo(name)

    monkeypatch.setattr(zoneinfo, "ZoneInfo", look)
    known = zones()
    for _ in range(3):
        assert [known.find(name) for name in ("Asia/Tokyo", "Mars/Phobos")] == ["Asia/Tokyo", None]
    assert asked == ["Asia/Tokyo", "Mars/Phobos"]
    for number in range(5 * REMEMBERED):
        assert known.find(f"shop-{number}") is None
    assert len(asked) < REMEMBERED
    assert known.find("Europe/Paris") == "Europe/Paris"  # found all the same
    assert known.find("Asia/Tokyo") == "Asia/Tokyo"


def test_names_that_are_known_elsewhere_are_zones() -> None:
    """The machine that selects tenants may have an older database of zones than the one that fired."""
    assert TenantZones("time_zone", "UTC", known=["Mars/Phobos"]).find("Mars/Phobos") == "Mars/Phobos"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("Mars", "'Mars'"),
        ("x\n" * 50, repr("x\n" * 30 + "…")),
        (5, "a value of the type int"),
        (Any, "a value of the type"),
    ],
)
def test_values_are_shown_shortly(value: object, shown: str) -> None:
    assert show_value(value).startswith(shown)
    assert show_value(str(value)).startswith("'")
