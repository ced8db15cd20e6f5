"""The fires of the PostgreSQL ledger: the protocol of `pinstripe.fires`, each method a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinstripe.fires import Registered
from pinstripe.ledgers.postgres import registering
from pinstripe.ledgers.postgres.enqueueing import Enqueueing
from pinstripe.ledgers.postgres.queue import PostgresQueue
from pinstripe.ledgers.schedules import left_behind, read_state

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pinstripe.fires import Fire, KnownSchedule, LateWork, ScheduleState
    from pinstripe.ledgers.postgres.store import Store
    from pinstripe.ledgers.postgres.transaction import Transaction
    from pinstripe.limits import Limits


class PostgresFires:
    """What a ledger's database keeps of schedules; see `pinstripe.fires.Fires` for what its methods do."""

    def __init__(self, store: Store) -> None:
        """Take the database, which need not be open yet."""
        self._store = store
        self._queue = PostgresQueue(store)
        self._limits: dict[str, Limits] = {}

    async def join(self) -> None:
        """Be a bot: this process gets an owner's row that says so."""
        while True:
            owner = await self._store.register()
            rows = await self._store.rows("bot_row", owner)
            if rows and rows[0][0]:
                return
            if await self._store.write(lambda tx: tx.run("join_bot", owner)):  # noqa: B023 - awaited here
                return
            self._store.ours().forget(owner)  # taken for dead meanwhile: it goes on under a new number

    async def register(self, schedules: Sequence[KnownSchedule], *, keep: Collection[str], now: int) -> Registered:
        """Say what schedules the code of this process has; give what is kept of them."""
        bot = await self._store.register()

        async def register(tx: Transaction) -> Registered:
            numbers = await registering.register(tx, bot, schedules, keep, now)
            if not numbers:
                return Registered([], [], [])
            states = map(read_state, await tx.rows("states_of_schedules", numbers))
            looks = dict(await tx.rows("last_looks", numbers))
            there = [state for state in states if not state.gone]
            return Registered(numbers, [looks[number] for number in numbers], there)

        return await self._store.write(register)

    async def affirm(self, schedules: Mapping[int, KnownSchedule], *, keep: Collection[str], now: int) -> None:
        """Say again what schedules this process has."""
        bot = await self._store.register()
        if left_behind(await self._store.rows("all_schedules"), schedules, keep, bot):  # mostly none, and nothing waits
            await self._store.write(lambda tx: registering.affirm(tx, bot, schedules, keep, now))

    async def set_zones(self, schedule: int, zones: Collection[str], *, since: int, now: int) -> list[ScheduleState]:
        """Say in which zones the tenants of a schedule are; give what is kept for each, but for what is gone."""
        there = await self._zones(schedule)
        if {state.zone for state in there} != {*zones}:  # mostly nobody has moved, and nothing waits
            await self._store.write(lambda tx: registering.set_zones(tx, schedule, zones, since, now))
            there = await self._zones(schedule)
        return there

    async def looked(self, schedules: Collection[int], at: int) -> None:
        """Say that it was looked at a time in which zones the tenants of these are."""
        await self._store.write(lambda tx: registering.note_look(tx, schedules, at))

    async def fire(self, fires: Sequence[Fire]) -> list[bool]:
        """Turn due times into runs, in one transaction; tell of each whether it was new."""
        if not fires:
            return []
        await self._keep_limits(fires)
        now = self._store.clock.now()
        engine = self._store.engine

        async def fire(tx: Transaction) -> list[bool]:
            places = {place - 1 for (place,) in await tx.rows("note_fires", *_columns(fires))}
            works = [fires[place].work for place in sorted(places)]
            made = [work for work in works if work is not None]
            if made:
                await Enqueueing(tx, engine, now).put(made)
                if any(work.tenants is None for work in made):
                    await engine.announce(tx)
            if tx.again and len(places) < len(fires):
                places |= await _noted(tx, fires)
            return [place in places for place in range(len(fires))]

        return await self._store.write(fire)

    async def states(self) -> list[ScheduleState]:
        """Give what is kept of all schedules in all zones, also of what is gone."""
        return [read_state(row) for row in await self._store.rows("schedule_states")]

    async def late(self, before: int, limit: int) -> list[LateWork]:
        """Give up to `limit` of what scheduled runs should have started `before` then, by due time."""
        from pinstripe.ledgers.postgres import late_work

        return await late_work.read_late(self._store, before, limit)

    async def _keep_limits(self, fires: Sequence[Fire]) -> None:
        """Keep the limits of what fires, where this process has not said them yet, in a transaction of their own."""
        works = [fire.work for fire in fires if fire.work is not None]
        limits = {work.run.job: work.limits for work in works if work.limits is not None}
        new = {job: each for job, each in limits.items() if self._limits.get(job) != each}
        if new:
            await self._queue.set_limits(new)
            self._limits |= new

    async def _zones(self, schedule: int) -> list[ScheduleState]:
        """Give what is kept of a schedule in its zones, but for those that are gone."""
        states = map(read_state, await self._store.rows("states_of_schedules", [schedule]))
        return [state for state in states if not state.gone]


def _columns(fires: Sequence[Fire]) -> tuple[list[int], list[str], list[int], list[bool]]:
    return (
        [fire.schedule for fire in fires],
        [fire.zone for fire in fires],
        [fire.at for fire in fires],
        [fire.work is None for fire in fires],
    )


async def _noted(tx: Transaction, fires: Sequence[Fire]) -> set[int]:
    """Give the places of those whose marks this process has moved, though nobody has told it that it did."""
    schedules, zones, times, _ = _columns(fires)
    runs = [None if fire.work is None else fire.work.run.id for fire in fires]
    return {place - 1 for (place,) in await tx.rows("noted_fires", schedules, zones, times, runs)}
