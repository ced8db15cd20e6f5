"""Time zones by their IANA names."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import tzinfo


def find_zone(name: str) -> tzinfo:
    """Give the time zone with the IANA name `name`, such as `"Europe/Paris"`.

    Raises `ValueError`, with the nearest names, where there is none.
    """
    if name == "UTC":
        return UTC  # the common case, without the several milliseconds that importing zoneinfo takes
    try:
        return _zone(name)
    except ValueError as error:
        raise ValueError(_unknown(name)) from error


def is_zone(name: str) -> bool:
    """Tell whether there is a time zone with the IANA name `name`, without looking for names that are like it."""
    try:
        return name == "UTC" or bool(_zone(name))
    except ValueError:
        return False


_NOT_IANA = frozenset({"localtime", "posix", "posixrules", "right"})
"""What lies beside the zones on some systems: the zone of the machine, and zones whose clocks count leap seconds."""


def _zone(name: str) -> tzinfo:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    if name.partition("/")[0] in _NOT_IANA:
        raise ValueError(name)
    try:
        return ZoneInfo(name)
    # A folder of the database ("Europe") is an OSError, a path out of it ("../x") a ValueError.
    except (ZoneInfoNotFoundError, OSError) as error:
        raise ValueError(str(error)) from error


def _unknown(name: str) -> str:
    from zoneinfo import available_timezones

    from pinstripe.names import nearest

    near = nearest(name, available_timezones() - _NOT_IANA)
    return f"there is no time zone {name!r}" + (f"; nearest: {', '.join(near)}" if near else "")
