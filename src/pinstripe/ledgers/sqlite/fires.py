"""The fires of the SQLite ledger: the protocol of `pinstripe.fires`, each method a transaction."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pinstripe.fires import Registered
from pinstripe.ledgers.schedules import KeptSchedule, left_behind, read_state
from pinstripe.ledgers.sqlite import enqueueing
from pinstripe.ledgers.sqlite.statements import statement

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import apsw

    from pinstripe.fires import Fire, KnownSchedule, LateWork, ScheduleState
    from pinstripe.ledgers.sqlite.store import Store

_INLINE = 250
"""How many rows a transaction may write on the event loop's own thread; more is done on the writer's."""


class SQLiteFires:
    """What a ledger's file keeps of schedules; see `pinstripe.fires.Fires` for what its methods do."""

    def __init__(self, store: Store) -> None:
        """Take the file, which need not be open yet."""
        self._store = store

    async def join(self) -> None:
        """Be a bot: this process gets an owner's row that says so."""
        while True:
            values = {"owner": await self._store.register()}
            rows = self._store.rows("bot_row", values)
            if rows and rows[0][0]:
                return
            if await self._store.write(lambda tx: _changes(tx, "join_bot", values)):  # noqa: B023 - awaited here
                return
            self._store.ours().forget(values["owner"])  # taken for dead meanwhile: it goes on under a new number

    async def register(self, schedules: Sequence[KnownSchedule], *, keep: Collection[str], now: int) -> Registered:
        """Say what schedules the code of this process has; give what is kept of them."""
        bot = await self._store.register()

        def register(tx: apsw.Connection) -> Registered:
            numbers = _Registration(tx, bot, now).take(schedules, keep)
            ours = {*numbers}
            states = map(read_state, tx.execute(statement("schedule_states")))
            rows: list[Any] = tx.execute(statement("last_looks")).fetchall()
            looks = dict(rows)
            there = [state for state in states if state.schedule in ours and not state.gone]
            return Registered(numbers, [looks[number] for number in numbers], there)

        return await self._store.write(register, long=True)

    async def affirm(self, schedules: Mapping[int, KnownSchedule], *, keep: Collection[str], now: int) -> None:
        """Say again what schedules this process has."""
        bot = await self._store.register()
        if left_behind(self._store.rows("all_schedules"), schedules, keep, bot):  # mostly none, and nothing is locked
            await self._store.write(lambda tx: _affirm(tx, bot, schedules, keep, now), long=True)

    async def set_zones(self, schedule: int, zones: Collection[str], *, since: int, now: int) -> list[ScheduleState]:
        """Say in which zones the tenants of a schedule are; give what is kept for each, but for what is gone."""
        known = {zone for (zone,) in self._store.rows("zones_of_schedule", (schedule,))}
        if known != {*zones}:  # mostly nobody has moved, and nothing is locked
            await self._store.write(lambda tx: _set_zones(tx, schedule, zones, since, now))
        states = map(read_state, self._store.rows("states_of_schedule", (schedule,)))
        return [state for state in states if not state.gone]

    async def looked(self, schedules: Collection[int], at: int) -> None:
        """Say that it was looked at a time in which zones the tenants of these are."""
        values = at, json.dumps([*schedules])
        await self._store.write(lambda tx: tx.execute(statement("looked"), values))

    async def fire(self, fires: Sequence[Fire]) -> list[bool]:
        """Turn due times into runs, in one transaction; tell of each whether it was new."""
        now = self._store.clock.now()

        def fire(tx: apsw.Connection) -> list[bool]:
            new = [_note(tx, fire) for fire in fires]
            works = [fire.work for fire, is_new in zip(fires, new, strict=True) if is_new and fire.work is not None]
            if works:
                gathered = enqueueing.Enqueueing(tx, self._store.engine, now, works[0])
                for work in works:
                    gathered.add(work)
                gathered.write()
            return new

        new = await self._store.write(fire, long=len(fires) > _INLINE)
        if any(new):
            self._store.engine.wake()
        return new

    async def states(self) -> list[ScheduleState]:
        """Give what is kept of all schedules in all zones, also of what is gone."""
        return [read_state(row) for row in self._store.rows("schedule_states")]

    async def late(self, before: int, limit: int) -> list[LateWork]:
        """Give up to `limit` of what scheduled runs should have started `before` then, by due time."""
        from pinstripe.ledgers.sqlite import late_work

        return late_work.read_late(self._store, before, limit)


class _Registration:
    """The schedules of one process's code, compared with what a ledger has, in one transaction."""

    def __init__(self, connection: apsw.Connection, bot: int, now: int) -> None:
        self._connection = connection
        self._bot = bot
        self._now = now
        self._zones: dict[int, set[str]] = {}
        for schedule, zone in connection.execute(statement("zones_of_schedules")):
            self._zones.setdefault(schedule, set()).add(zone)

    def take(self, schedules: Sequence[KnownSchedule], keep: Collection[str]) -> list[int]:
        """Write what is other than it was; give the numbers of `schedules`."""
        rows = [KeptSchedule(*row) for row in self._connection.execute(statement("all_schedules"))]
        known = {(row.job, row.key): row for row in rows}
        numbers = [self._take(schedule, known.get((schedule.job, schedule.key))) for schedule in schedules]
        ours = {*numbers}
        for row in rows:
            if row.is_nobodys(ours, keep, self._bot):
                self._connection.execute(statement("schedule_gone"), (self._now, row.id))
        values = {"now": self._now, "schedules": json.dumps(numbers)}
        self._connection.execute(statement("known_by_now"), values)
        return numbers

    def _take(self, schedule: KnownSchedule, row: KeptSchedule | None) -> int:
        tx, zone = self._connection, schedule.zone
        facts = _facts(schedule, self._bot)
        if row is None:
            values = *facts, schedule.job, schedule.key, self._now
            made: list[Any] = tx.execute(statement("add_schedule"), values).fetchall()
            id_: int = made[0][0]
        else:
            id_ = row.id
            is_new = row.is_new_as(schedule)
            if is_new:
                tx.execute(statement("known_anew"), (self._now, id_))
                tx.execute(statement("looked"), (self._now, f"[{id_}]"))
            if is_new or row.bot is None:
                tx.execute(statement("have_schedule"), (*facts, id_))
        if zone is not None and self._zones.get(id_, set()) != {zone}:
            _set_zones(tx, id_, [zone], self._now, self._now)
        return id_


def _facts(schedule: KnownSchedule, bot: int) -> tuple[str, str, int, int]:
    return schedule.edition, schedule.cron, int(schedule.zone is None), bot


def _affirm(
    tx: apsw.Connection, bot: int, schedules: Mapping[int, KnownSchedule], keep: Collection[str], now: int
) -> None:
    for row in left_behind(tx.execute(statement("all_schedules")), schedules, keep, bot):
        schedule = schedules.get(row.id)
        if schedule is None:
            tx.execute(statement("schedule_gone"), (now, row.id))
            continue
        tx.execute(statement("have_schedule"), (*_facts(schedule, bot), row.id))
        if schedule.zone is not None:
            _set_zones(tx, row.id, [schedule.zone], now, now)


def _set_zones(tx: apsw.Connection, schedule: int, zones: Collection[str], since: int, now: int) -> None:
    known = {zone for (zone,) in tx.execute(statement("zones_of_schedule"), (schedule,))}
    for zone in sorted({*zones} - known):
        tx.execute(statement("add_zone"), (schedule, zone, since))
    for zone in known - {*zones}:
        tx.execute(statement("zone_gone"), (now, schedule, zone))


def _note(tx: apsw.Connection, fire: Fire) -> bool:
    """Move the mark of a schedule up to a due time; tell whether that was still to be done."""
    values = {"schedule": fire.schedule, "zone": fire.zone, "at": fire.at, "let_go": fire.work is None}
    return _changes(tx, "note_fire", values) > 0


def _changes(connection: apsw.Connection, name: str, values: dict[str, Any]) -> int:
    connection.execute(statement(name), values)
    return connection.changes()
