"""When a job runs by itself: a cron line with its zone, its arguments and its policies. Pure; it reads no clock."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any, Literal

from pinstripe.duration import parse_duration, write_duration
from pinstripe.redaction import shown
from pinstripe.time_zones import find_zone

if TYPE_CHECKING:
    from collections.abc import Iterator

TENANT_ZONE = "tenant"
"""The `time_zone` of a schedule that fires in each tenant's own zone."""


@dataclass(frozen=True, slots=True, init=False)
class Schedule:
    """A cron line, with what belongs to it. It is checked when it is made.

    `cron` is kept with its alias expanded and its names in capitals. `time_zone` is an IANA name, `"tenant"` for each
    tenant's own, or None for the project's. `args` and `kwargs` are the run's arguments. `catch_up` says what becomes
    of missed fires: `"latest"` fires the last of them once, late; `"none"` lets them go. `spread` is the window in
    which each tenant has an offset of its own. Nobody is shown the arguments that are `redacted`, by position and name,
    since its job says so.
    """

    cron: str
    name: str | None
    args: tuple[Any, ...] = field(hash=False)
    kwargs: Mapping[str, Any] = field(hash=False)
    time_zone: str | None
    catch_up: Literal["none", "latest"]
    spread: timedelta | None
    redacted: tuple[int | str, ...] = field(compare=False, repr=False)

    def __init__(
        self,
        cron: str,
        *,
        name: str | None = None,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        time_zone: str | None = None,
        catch_up: Literal["none", "latest"] = "latest",
        spread: str | timedelta | None = None,
    ) -> None:
        """Take the `cron` line: five fields, or six with the seconds in front, or an alias such as `@hourly`.

        `spread` is a duration (`"30m"` or a `timedelta`). Raises `ValueError`, which names what is wrong and why, for
        a line that is not cron or never fires, an unknown zone, arguments that aren't JSON, or a bad policy.
        """
        from pinstripe.cron import check_cron

        if catch_up not in ("none", "latest"):  # it may be anything, also what no set can have
            message = f"catch_up of the schedule {cron!r}: expected 'none' or 'latest', got {_short(catch_up)}"
            raise ValueError(message)
        values = {
            "cron": check_cron(cron),
            "name": _checked_name(cron, name),
            "args": tuple(_json(cron, "args", args, Sequence)),
            "kwargs": _json(cron, "kwargs", {} if kwargs is None else kwargs, Mapping),
            "time_zone": _checked_zone(cron, time_zone),
            "catch_up": catch_up,
            "spread": _checked_spread(cron, spread),
            "redacted": (),
        }
        for attribute, value in values.items():
            object.__setattr__(self, attribute, value)

    @classmethod
    def of(cls, value: str | Schedule | Sequence[str | Schedule] | None) -> tuple[Schedule, ...]:
        """Give the schedules that a job's `schedule` attribute stands for: none, one, or several.

        Raises `ValueError` for anything that is no schedule, for two of one name, and for two without a name that are
        the same.
        """
        if value is None:
            return ()
        if isinstance(value, str | Schedule):
            return (cls._one(value),)
        if not isinstance(value, list | tuple):
            message = f"schedule: expected a cron line, a Schedule or a list of them, got {value!r}"
            raise ValueError(message)  # noqa: TRY004 - one kind of error for whatever is wrong with a schedule
        schedules = tuple(cls._one(item) for item in value)
        check_apart(schedules, zone=None)
        return schedules

    @classmethod
    def _one(cls, value: object) -> Schedule:
        if isinstance(value, Schedule):
            return value
        if isinstance(value, str):
            return cls(value)
        message = f"schedule: expected a cron line or a Schedule, got {value!r}"
        raise ValueError(message)

    def redacting(self, redacted: tuple[int | str, ...]) -> Schedule:
        """Give the same schedule, of whose arguments these are shown to nobody."""
        if not redacted:
            return self
        schedule = copy(self)
        object.__setattr__(schedule, "redacted", redacted)
        return schedule

    def shown(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Give the arguments as they may be shown."""
        return shown(self.args, self.kwargs, self.redacted)

    def identity(self, zone: str) -> str:
        """Write what the schedule is but for its name: its cron line, its zone and its arguments.

        `zone` is the project's, in which it is where it names none.
        """
        parts = [self.cron, self.time_zone or zone]
        if self.args or self.kwargs:
            written = json.dumps([self.args, dict(self.kwargs)], sort_keys=True)
            parts.append(hashlib.blake2b(written.encode(), digest_size=8).hexdigest())
        return " ".join(parts)

    def key(self, zone: str) -> str:
        """Give what it is known by among the schedules of its job: its name, or else its `identity`."""
        return self.identity(zone) if self.name is None else f"name:{self.name}"

    def in_words(self) -> str:
        """Say it in English: `every Monday at 09:00, Europe/Paris time, spread over 30m`."""
        from pinstripe.cron_words import in_words

        words = in_words(self.cron)
        if self.time_zone == TENANT_ZONE:
            words += ", in each tenant's zone"
        elif self.time_zone is not None:
            words += f", {self.time_zone} time"
        if self.spread is not None:
            words += f", spread over {write_duration(self.spread)}"
        return words

    def fires(self, after: datetime, zone: str | tzinfo | None = None) -> Iterator[datetime]:
        """Iterate the instants after `after` at which it fires, as aware UTC datetimes, each later than the last.

        `zone` is where the cron line is read when the schedule names no zone itself (the project's, else UTC), or names
        `"tenant"` (the tenant's, which must then be given). `spread` is not applied, since it is each tenant's own.
        Daylight saving as in Debian's cron(8): see `pinstripe.cron.fires`. Raises `ValueError` for a naive `after`, an
        unknown zone, or a missing one.
        """
        from pinstripe.cron import fires

        given: object = after
        if not isinstance(given, datetime):
            message = f"fires(): expected an aware datetime, got {after!r}"
            raise ValueError(message)  # noqa: TRY004 - one kind of error for whatever is wrong with a schedule
        if after.utcoffset() is None:
            message = f"fires(): expected an aware datetime, got the naive {after!r}; add tzinfo=datetime.UTC"
            raise ValueError(message)
        if not MINYEAR < after.year < MAXYEAR:
            message = f"fires(): expected a time from the year {MINYEAR + 1} to {MAXYEAR - 1}, got {after!r}"
            raise ValueError(message)
        chosen = zone if self.time_zone in {None, TENANT_ZONE} else self.time_zone
        if chosen is None and self.time_zone == TENANT_ZONE:
            message = "fires(): this schedule fires in each tenant's zone; give one, as zone='Europe/Paris'"
            raise ValueError(message)
        return fires(self.cron, after, UTC if chosen is None else _zone(chosen))


def check_apart(schedules: Sequence[Schedule], zone: str | None) -> None:
    """Check that the schedules of one job differ, in their names or else in what they are (see `Schedule.key`).

    `zone` is the project's, if it is known. Raises `ValueError`.
    """
    known = set()
    for schedule in schedules:
        key = schedule.key(zone or "the project's zone")
        if key not in known:
            known.add(key)
            continue
        if schedule.name is not None:
            message = f"schedule: two schedules of one job have the name {schedule.name!r}; give each a name of its own"
        else:
            where = schedule.time_zone or zone or "the project's zone"
            message = (
                f"schedule: two schedules of one job are the same: {schedule.cron!r} in {where}, with the same "
                "arguments; take one away, or give each a name"
            )
        raise ValueError(message)


def offset(job: str, tenant: str, spread: int) -> int:
    """Give the place of a tenant in the window of a schedule of `job`: less than `spread`, in microseconds.

    It is the same at each fire, on each machine: a hash of the job's name and the tenant's id. Whole seconds, unless
    the window is shorter than one.
    """
    place = int.from_bytes(hashlib.blake2b(f"{job}\0{tenant}".encode(), digest_size=8).digest(), "big")
    return place % (spread // _SECOND) * _SECOND if spread >= _SECOND else place % spread


_SECOND = 1_000_000
"""In microseconds."""


def _zone(given: str | tzinfo) -> tzinfo:
    zone: object = find_zone(given) if isinstance(given, str) else given
    # A zone of pytz's can't be put into a datetime: it would be the one of a hundred years ago.
    if not isinstance(zone, tzinfo) or hasattr(zone, "localize"):
        message = f"fires(): expected zone as a name or a zoneinfo.ZoneInfo, got {given!r}"
        raise ValueError(message)
    return zone


def _json(cron: str, what: str, value: Any, kind: type) -> Any:
    """Copy arguments through JSON, so that they are what the ledger will hold and nobody can change them."""
    plain: Any = list(value) if isinstance(value, tuple) else value
    copy: Any = None
    if isinstance(value, kind) and not isinstance(value, str | bytes):
        try:
            copy = json.loads(json.dumps(plain, allow_nan=False))
        except (TypeError, ValueError, RecursionError):
            copy = None
    # A tuple or a number as a key would come back as something else: `copy` is then not what was given.
    if copy is None or copy != plain:
        form = "a list of JSON values" if kind is Sequence else "JSON values by name"
        message = f"{what} of the schedule {cron!r}: expected {form}, got {_short(value)}"
        raise ValueError(message)
    return copy


def _checked_name(cron: str, name: object) -> str | None:
    if name is None or (isinstance(name, str) and name.strip() and name.isprintable() and len(name) <= _LONGEST_NAME):
        return name
    message = (
        f"name of the schedule {cron!r}: expected a text of one line that is not empty, of at most {_LONGEST_NAME} "
        f"characters, got {_short(name)}"
    )
    raise ValueError(message)


_LONGEST_NAME = 200


def _checked_zone(cron: str, name: object) -> str | None:
    if name is None or name == TENANT_ZONE:
        return None if name is None else TENANT_ZONE
    why = ""
    if isinstance(name, str):
        try:
            find_zone(name)
        except ValueError as error:
            why = f" ({error})"
        else:
            return name
    message = f"time_zone of the schedule {cron!r}: expected an IANA zone or 'tenant', got {_short(name)}{why}"
    raise ValueError(message)


def _checked_spread(cron: str, value: str | timedelta | None) -> timedelta | None:
    if value is None:
        return None
    try:
        spread = parse_duration(value)
    except ValueError as error:
        message = f"spread of the schedule {cron!r}: {error}"
        raise ValueError(message) from None
    if not timedelta(0) < spread <= _WIDEST:
        message = f"spread of the schedule {cron!r}: expected more than nothing and at most 365d, got {value!r}"
        raise ValueError(message)
    return spread


_WIDEST = timedelta(days=365)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


_SHOWN = 200
"""How many characters of what is wrong stand in a message."""
