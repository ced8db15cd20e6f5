"""What schedules there are, and in which zones they fire: compared with what the code has, and written in few steps.

Functions of a transaction. Each that writes serialises itself with all others that do, so that bots that start at once
make each schedule once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pinstripe.ledgers.schedules import KeptSchedule, left_behind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from pinstripe.fires import KnownSchedule
    from pinstripe.ledgers.postgres.transaction import Transaction


async def register(
    tx: Transaction, bot: int, schedules: Sequence[KnownSchedule], keep: Collection[str], now: int
) -> list[int]:
    """Write what is other than it was of what `bot` has; give the numbers of `schedules`."""
    await tx.rows("lock_schedules")
    rows = [KeptSchedule(*row) for row in await tx.rows("all_schedules")]
    known = {(row.job, row.key): row for row in rows}
    ids = {place: row.id for place, row in known.items()}
    ids |= await _add(tx, bot, [each for each in schedules if (each.job, each.key) not in known], now)
    ours = {ids[each.job, each.key]: each for each in schedules}
    anew = {row.id for row in rows if row.id in ours and row.is_new_as(ours[row.id])}
    taken = {row.id: ours[row.id] for row in rows if row.id in ours and (row.id in anew or row.bot is None)}
    await _have(tx, bot, taken)
    if anew:
        await tx.run("looked", now, [*anew])
    await _let_go(tx, [row.id for row in rows if row.is_nobodys(ours, keep, bot)], now)
    wanted = {id_: _zones(schedule) for id_, schedule in ours.items()}
    await _move_zones(tx, _Move(wanted, now, now, anew=anew, latest=now))
    return [ids[each.job, each.key] for each in schedules]


async def affirm(
    tx: Transaction, bot: int, schedules: Mapping[int, KnownSchedule], keep: Collection[str], now: int
) -> None:
    """Give to `bot` those of its `schedules` of which the process is gone; what nobody has any more is gone."""
    await tx.rows("lock_schedules")
    left = left_behind(await tx.rows("all_schedules"), schedules, keep, bot)
    taken = {row.id: schedules[row.id] for row in left if row.id in schedules}
    await _have(tx, bot, taken)
    await _let_go(tx, [row.id for row in left if row.id not in schedules], now)
    await _move_zones(tx, _Move({id_: _zones(schedule) for id_, schedule in taken.items()}, now, now))


async def set_zones(tx: Transaction, schedule: int, zones: Collection[str], since: int, now: int) -> None:
    """Let a schedule fire in these zones and in no other; those that are new, or come back, are known `since` then."""
    await tx.rows("lock_schedules")
    await _move_zones(tx, _Move({schedule: zones}, since, now))


async def note_look(tx: Transaction, schedules: Collection[int], at: int) -> None:
    """Note when it was last looked in which zones the tenants of these are."""
    await tx.rows("lock_schedules")
    await tx.run("looked", at, [*schedules])


async def _add(tx: Transaction, bot: int, schedules: Sequence[KnownSchedule], now: int) -> dict[tuple[str, str], int]:
    """Write new schedules; give their numbers by their jobs and keys."""
    if not schedules:
        return {}
    jobs = [each.job for each in schedules]
    rows = await tx.rows("add_schedules", bot, now, jobs, [each.key for each in schedules], *_facts(schedules))
    return {(job, key): id_ for id_, job, key in rows}


async def _have(tx: Transaction, bot: int, schedules: Mapping[int, KnownSchedule]) -> None:
    if schedules:
        await tx.run("have_schedules", bot, [*schedules], *_facts(schedules.values()))


async def _let_go(tx: Transaction, schedules: Sequence[int], now: int) -> None:
    if schedules:
        await tx.run("schedules_gone", now, schedules)


def _facts(schedules: Iterable[KnownSchedule]) -> tuple[list[str], list[str], list[bool]]:
    """Give the columns of what may change of schedules: edition, line, and whether each fires in tenants' zones."""
    facts = [(each.edition, each.cron, each.zone is None) for each in schedules]
    return [edition for edition, _, _ in facts], [cron for _, cron, _ in facts], [each for _, _, each in facts]


def _zones(schedule: KnownSchedule) -> list[str] | None:
    return None if schedule.zone is None else [schedule.zone]


class _Zone(NamedTuple):
    """A row of the table `schedule_zones`, without its marks."""

    schedule: int
    zone: str
    since: int
    gone_at: int | None


class _Move(NamedTuple):
    """In which zones schedules are to fire, by number; None for those in which they do.

    Those that are new, or come back, are known `since` then; those in which nothing fires any more are gone `now`. All
    zones of the schedules that are known `anew` are known since now, as are those that are since later than `latest`.
    """

    wanted: Mapping[int, Collection[str] | None]
    since: int
    now: int
    anew: Collection[int] = ()
    latest: int | None = None

    def changes(self, kept: Sequence[_Zone]) -> list[_Zone]:
        """Give what is to be written."""
        moved = [self._moved(zone) for zone in kept]
        there = {(zone.schedule, zone.zone) for zone in kept}
        new = [
            _Zone(schedule, zone, self.since, None)
            for schedule, zones in self.wanted.items()
            for zone in zones or ()
            if (schedule, zone) not in there
        ]
        return [after for after, before in zip(moved, kept, strict=True) if after != before] + new

    def _moved(self, zone: _Zone) -> _Zone:
        wanted = self.wanted[zone.schedule]
        if zone.schedule in self.anew or (self.latest is not None and zone.since > self.latest):
            zone = zone._replace(since=self.now)
        if wanted is None or (zone.zone in wanted) == (zone.gone_at is None):
            return zone
        return (
            zone._replace(gone_at=self.now) if zone.gone_at is None else zone._replace(since=self.since, gone_at=None)
        )


async def _move_zones(tx: Transaction, move: _Move) -> None:
    """Write in which zones schedules fire from now on; what stays as it is isn't locked."""
    if not move.wanted:
        return
    kept = [_Zone(*row) for row in await tx.rows("zones_of_schedules", [*move.wanted])]
    touched = {zone.schedule for zone in move.changes(kept)}
    if not touched:
        return
    # A fire in a zone that was gone brings it back, and may do that at this moment.
    locked = [_Zone(*row) for row in await tx.rows("lock_zones", [*touched])]
    part = move._replace(wanted={schedule: move.wanted[schedule] for schedule in touched})
    changes = sorted(part.changes(locked))
    if changes:
        await tx.run("write_zones", *([*column] for column in zip(*changes, strict=True)))
