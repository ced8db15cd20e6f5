"""The bot: what fails for one schedule, or for the ledger, keeps nothing else from firing, and nothing fires twice."""

from __future__ import annotations

import asyncio
import logging
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, cast

import apsw
import pytest

from pinstripe.bot import BATCH, FIRST_BACKOFF, LONGEST_BACKOFF, TICKING
from pinstripe.schedule import Schedule
from tests.firing import DAY, HOUR, MINUTE, SECONDS, World, machine, scheduled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from datetime import datetime, tzinfo

    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world(project_folder: ProjectFolder) -> AsyncIterator[World]:
    async with machine(project_folder) as world:
        world.lock_wait = 0.01
        yield world


HOURLY = scheduled("0 * * * *", name="Hourly")


class Moody(Schedule):
    """A schedule of an author's own, whose times can't be told for as long as it is in a mood."""

    moods: tuple[bool, ...] = ()

    def fires(self, after: datetime, zone: str | tzinfo | None = None) -> Iterator[datetime]:
        mood, *later = type(self).moods or (False,)
        type(self).moods = tuple(later)
        if mood:
            message = "not in the mood"
            raise RuntimeError(message)
        return super().fires(after, zone)


@pytest.fixture(autouse=True)
def _good_mood() -> Iterator[None]:
    yield
    Moody.moods = ()


@contextmanager
def held(world: World) -> Iterator[apsw.Connection]:
    """Have another process write to the ledger, and not end."""
    with closing(apsw.Connection(str(world.folder.path / ".pinstripe" / "ledger.db"))) as connection:
        connection.execute("begin immediate")
        yield connection
        connection.execute("rollback")


# One schedule.


async def test_one_whose_times_cannot_be_told_leaves_the_others_and_goes_on(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    process = await world.start(scheduled(Moody("0 * * * *"), name="Moody"), HOURLY)
    world.pass_to(process.bot.next_due or 0)
    Moody.moods = (True,)
    await world.tick()
    assert await process.fired() == ["hourly 11-20 13:00"]
    (record,) = caplog.records
    assert record.getMessage() == "moody: its schedule 0 * * * * UTC failed, and goes on with its next time"
    await world.go(HOUR)
    assert await process.fired() == ["hourly 11-20 13:00", "hourly 11-20 14:00", "moody 11-20 14:00"]


async def test_one_whose_next_time_cannot_be_told_has_fired_and_leaves_the_others(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = [HOURLY, scheduled(Moody("0 * * * *"), name="Moody"), scheduled("0 * * * *", name="Zebra")]
    process = await world.start(*jobs)
    world.pass_to(process.bot.next_due or 0)
    world.clock.advance(HOUR + MINUTE)
    # What follows the first, what is late, what was missed, what comes after that; and then its next time.
    Moody.moods = (False, False, False, False, True)
    await world.tick()
    Moody.moods = ()
    await world.go(HOUR)
    assert [line for line in await process.fired() if "moody" not in line] == [
        f"{job} 11-20 {hour}:00" for hour in (14, 15) for job in ("hourly", "zebra")
    ]
    assert "moody 11-20 14:00" in await process.fired()
    assert "can't tell its next time" in caplog.text


async def test_one_that_can_never_fire_leaves_the_others(world: World, caplog: pytest.LogCaptureFixture) -> None:
    Moody.moods = (True,)
    process = await world.start(scheduled(Moody("0 * * * *"), name="Moody"), HOURLY)
    assert "moody: its schedule 0 * * * * UTC can't fire in UTC" in caplog.text
    await world.go(HOUR)
    assert await process.fired() == ["hourly 11-20 13:00"]


async def test_arguments_that_cannot_be_written_leave_the_others(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    schedule = Schedule("0 * * * *", args=[[]])
    jobs = [scheduled("0 * * * *", name=f"Job{n}") for n in range(5)]
    process = await world.start(*jobs, scheduled(schedule, name="Job2b"))
    changed: list[Any] = schedule.args[0]
    changed.append(object())
    await world.go(HOUR)
    assert await process.fired() == [f"job{n} 11-20 13:00" for n in range(5)]
    (record,) = caplog.records
    assert record.getMessage() == "job2b: its schedule {} failed, and goes on with its next time".format(
        Schedule("0 * * * *", args=[[]]).identity("UTC")
    )
    changed.clear()
    await world.go(HOUR)
    assert len(await process.fired()) == 11


async def test_arguments_that_cannot_be_written_while_the_ledger_fails(world: World) -> None:
    schedule = Schedule("0 * * * *", args=[[]])
    jobs = [scheduled("0 * * * *", name=f"Job{n}") for n in range(5)]
    process = await world.start(scheduled(schedule), *jobs)
    changed: list[Any] = schedule.args[0]
    changed.append(object())
    world.pass_to(process.bot.next_due or 0)
    with closing(apsw.Connection(str(world.folder.path / ".pinstripe" / "ledger.db"))) as connection:
        connection.execute(
            "create trigger full before insert on runs when new.job = 'job3' begin select raise(abort, 'full'); end"
        )
        assert not await process.bot.tick(world.clock.microseconds)
        assert await process.fired() == [f"job{n} 11-20 13:00" for n in range(3)]
        connection.execute("drop trigger full")
    world.clock.advance(SECONDS)
    await world.tick()
    assert await process.fired() == [f"job{n} 11-20 13:00" for n in range(5)]


async def test_a_log_that_fails_leaves_all_as_it_is(world: World) -> None:
    class Raises(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(record.msg)
            raise OSError

    told: list[str] = []
    logger, handler = logging.getLogger("pinstripe"), Raises()
    jobs = [HOURLY, scheduled(Moody("0 * * * *"), name="Moody"), scheduled("0 * * * *", name="Zebra")]
    process = await world.start(*jobs)
    world.pass_to(process.bot.next_due or 0)
    Moody.moods = (True,)
    logger.addHandler(handler)
    try:
        await world.tick()
        world.clock.jump(MINUTE)
        with held(world):
            await world.go(HOUR)
        world.clock.advance(MINUTE)
        await world.tick()
    finally:
        logger.removeHandler(handler)
    assert len(told) == 4
    fired = [f"{job} 11-20 {hour}:00" for hour in (13, 14) for job in ("hourly", "zebra")]
    assert await process.fired() == [*fired[:3], "moody 11-20 14:00", fired[3]]


# The ledger.


@pytest.mark.parametrize("count", [1, BATCH + 50])
async def test_what_the_ledger_cannot_take_fires_once_it_can(
    world: World, caplog: pytest.LogCaptureFixture, count: int
) -> None:
    process = await world.start(*(scheduled("0 * * * *", name=f"Job{n}") for n in range(count)))
    world.pass_to(process.bot.next_due or 0)
    with held(world):
        assert not await process.bot.tick(world.clock.microseconds)
        assert not process.bot.is_ticking
        world.clock.advance(SECONDS)
        assert not await process.bot.tick(world.clock.microseconds)
    (record,) = caplog.records
    assert record.getMessage().startswith("the ledger can't be used, so that no schedule fires until it can: ")
    world.clock.advance(SECONDS)
    await world.tick()
    assert process.bot.is_ticking
    assert len(await process.fired()) == count
    await world.go(HOUR)
    assert len(await process.fired()) == 2 * count
    assert len(caplog.records) == 1


async def test_a_ledger_that_fails_in_the_midst_of_a_pass(world: World) -> None:
    process = await world.start(*(scheduled("0 * * * *", name=f"Job{n:03}") for n in range(2 * BATCH + 50)))
    world.pass_to(process.bot.next_due or 0)
    assert await process.bot.tick(world.clock.microseconds)
    with held(world):
        assert not await process.bot.tick(world.clock.microseconds)
    assert len(await process.fired()) == BATCH
    world.clock.advance(SECONDS)
    await world.tick()
    fired = await process.fired()
    assert (len(fired), len(set(fired))) == (2 * BATCH + 50, 2 * BATCH + 50)


async def test_a_ledger_that_was_away_for_long_has_missed_times(world: World) -> None:
    process = await world.start(HOURLY, scheduled(Schedule("0 * * * *", catch_up="none"), name="Strict"))
    with held(world):
        for _ in range(11):
            await world.go(30 * MINUTE)
    await world.go(MINUTE)
    assert await process.fired() == ["hourly 11-20 17:00"]
    assert await process.missed() == ["strict 11-20 17:00"]
    await world.go(HOUR)
    assert await process.fired() == ["hourly 11-20 17:00", "hourly 11-20 18:00", "strict 11-20 18:00"]


async def test_a_ledger_that_fails_is_tried_again_ever_less_often(world: World) -> None:
    process = await world.start(HOURLY)
    world.pass_to(process.bot.next_due or 0)
    tried: list[float] = []
    with held(world) as connection:
        for _ in range(500):
            before = world.clock.seconds
            await world.tick()
            if process.bot._backoff != (tried[-1] if tried else 0.0):  # noqa: SLF001 - how long it waits now
                tried.append(process.bot._backoff)  # noqa: SLF001
            world.clock.advance(SECONDS / 10)
            assert before < world.clock.seconds
        assert connection.in_transaction
    assert tried[:3] == [FIRST_BACKOFF, 2 * FIRST_BACKOFF, 4 * FIRST_BACKOFF]
    assert tried[-1] == LONGEST_BACKOFF
    assert len(tried) == 8


async def test_what_is_no_error_of_the_ledger_loses_nothing(world: World) -> None:
    """A pass that is cancelled, as where the process ends, leaves all for the next process."""
    process = await world.start(*(scheduled("0 * * * *", name=f"Job{n}") for n in range(150)))
    world.pass_to(process.bot.next_due or 0)
    ticking = asyncio.create_task(process.bot.tick(world.clock.microseconds))
    await asyncio.sleep(0)
    ticking.cancel()
    await asyncio.wait([ticking])
    await world.end(process)
    process = await world.start(*(scheduled("0 * * * *", name=f"Job{n}") for n in range(150)))
    await world.tick()
    fired = await process.fired()
    assert (len(fired), len(set(fired))) == (150, 150)


async def test_a_pass_that_is_cancelled_leaves_all_to_the_next_one(world: World) -> None:
    world.lock_wait = 10.0
    jobs = [scheduled("0 * * * *", name=f"Job{n}") for n in range(3)]
    process = await world.start(*jobs)
    world.pass_to(process.bot.next_due or 0)
    with held(world):
        ticking = asyncio.create_task(process.bot.tick(world.clock.microseconds))
        await asyncio.sleep(0)
        ticking.cancel()
    await asyncio.wait([ticking])
    assert ticking.cancelled()
    await world.go(HOUR)
    assert await process.fired() == [f"job{n} 11-20 {hour}:00" for hour in (13, 14) for n in range(3)]


async def test_a_ledger_that_fails_while_each_of_a_pass_is_written_by_itself_loses_none(world: World) -> None:
    """Arguments that can't be written make each of their pass a transaction of its own: some then fail."""
    written: list[object] = []

    class Unwritable(dict[str, object]):
        def items(self) -> Any:
            written.append(self)
            raise TypeError

    class Locking(Schedule):
        def fires(self, after: datetime, zone: str | tzinfo | None = None) -> Iterator[datetime]:
            if written and not other.in_transaction:  # after its own transaction: it looks for what comes next
                other.execute("begin immediate")
            return super().fires(after, zone)

    unwritable = Schedule("0 * * * *", kwargs={"a": {}})
    locking = [scheduled(Locking("0 * * * *"), name=f"Job{n}") for n in range(5)]
    process = await world.start(scheduled(unwritable), *locking)
    cast("dict[str, object]", unwritable.kwargs)["a"] = Unwritable(b=1)
    with closing(apsw.Connection(str(world.folder.path / ".pinstripe" / "ledger.db"))) as other:
        world.pass_to(process.bot.next_due or 0)
        world.clock.advance(HOUR + MINUTE)  # so that none has looked yet for what comes next
        await world.tick()
        assert await process.fired() == ["job0 11-20 14:00"]
        other.execute("rollback")
        written.clear()
        world.clock.advance(SECONDS)
        await world.tick()
    assert await process.fired() == [f"job{n} 11-20 14:00" for n in range(5)]


async def test_it_ticks_for_as_long_as_it_is_asked_to(world: World) -> None:
    process = world.make(HOURLY)
    assert not process.bot.is_ticking
    await process.project.open()
    await process.bot.open()
    await world.tick()
    assert process.bot.is_ticking
    world.clock.advance(TICKING * SECONDS)
    assert not process.bot.is_ticking
    await world.tick()
    assert process.bot.is_ticking


async def test_what_is_never_due_again_is_forgotten(world: World) -> None:
    process = await world.start(scheduled("0 12 29 2 *"))
    assert process.bot.next_due is not None
    world.pass_to(253_370_764_800_000_000)  # 9999-01-01
    await world.tick()
    assert await process.missed() == ["job 02-29 12:00"]
    assert process.bot.next_due is None
    await world.go(DAY)
