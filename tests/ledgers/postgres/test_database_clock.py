from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe.ledgers.postgres.database_clock import DRIFT, JUMP, KEPT, STALE, DatabaseClock
from tests.ledgers.conftest import START, HandClock

MINUTE = 60_000_000


def ask(clock: DatabaseClock, hand: HandClock, now: int, *, there: float = 0.0, back: float = 0.0) -> None:
    """Let a clock hear that it is `now`, on a way that takes some seconds there, and back."""
    sent = hand.seconds
    hand.advance(timedelta(seconds=there + back))
    clock.follow(now, sent, hand.seconds)


def test_it_tells_the_machine_s_time_until_it_hears_another() -> None:
    hand = HandClock()
    clock = DatabaseClock(hand)
    assert clock.now() == START + 1_000
    ask(clock, hand, START + 10 * MINUTE)
    assert clock.now() == START + 10 * MINUTE
    hand.advance(timedelta(seconds=1.5))
    assert clock.now() == START + 10 * MINUTE + 1_500_000
    assert clock.monotonic() == 1.5


def test_the_machine_s_own_clock_by_default() -> None:
    clock = DatabaseClock()
    before = clock.monotonic()
    clock.follow(START, before, before)
    assert START <= clock.now() < START + MINUTE
    assert before <= clock.monotonic() < before + 60


def test_machines_whose_clocks_are_apart_agree() -> None:
    ahead, behind = HandClock(START + 10 * MINUTE, 500.0), HandClock(START - 10 * MINUTE, 3.0)
    clocks = DatabaseClock(ahead), DatabaseClock(behind)
    ask(clocks[0], ahead, START, there=0.002, back=0.001)
    ask(clocks[1], behind, START, there=0.001, back=0.001)
    assert abs(clocks[0].now() - clocks[1].now()) <= 1_000


def test_a_clock_that_is_set_does_not_matter() -> None:
    hand = HandClock()
    clock = DatabaseClock(hand)
    ask(clock, hand, START)
    hand.jump(timedelta(hours=-3))
    assert clock.now() == START


def test_the_shortest_way_there_and_back_tells_it_best() -> None:
    hand = HandClock()
    clock = DatabaseClock(hand)
    ask(clock, hand, START + 50_000, there=0.05, back=0.25)  # 100 ms off
    assert clock.now() != START + 300_000
    ask(clock, hand, START + 300_500, there=0.0005, back=0.0005)
    assert clock.now() == START + 301_000
    ask(clock, hand, START + 601_000, there=0.3, back=0.1)
    assert clock.now() == START + 701_000


def test_the_longer_ago_it_was_heard_the_less_it_counts() -> None:
    hand = HandClock()
    clock = DatabaseClock(hand)
    ask(clock, hand, START, there=0.001, back=0.001)
    hours = 4.0
    hand.advance(timedelta(hours=hours))
    slow = int(hours * 3_600 * DRIFT / 2 * 1_000_000)  # as two clocks run apart
    told = clock.now()
    ask(clock, hand, told + slow, there=0.01, back=0.01)
    assert clock.now() == told + slow + 10_000


def test_what_contradicts_it_is_the_truth() -> None:
    hand = HandClock()
    clock = DatabaseClock(hand)
    ask(clock, hand, START)
    hand.advance(timedelta(seconds=10))
    ask(clock, hand, START + 10_500_000, there=0.1, back=0.1)  # somebody set it by half a second
    assert clock.now() == START + 10_600_000
    hand.advance(timedelta(seconds=10))
    ask(clock, hand, START - 60 * MINUTE, there=0.2, back=0.2)
    assert clock.now() == START - 60 * MINUTE + 200_000


def test_it_is_stale_after_a_while_and_when_the_machine_slept_or_was_set() -> None:
    hand = HandClock()
    clock = DatabaseClock(hand)
    assert clock.is_stale
    for change in (
        lambda: hand.advance(timedelta(seconds=STALE + 1)),
        lambda: hand.jump(timedelta(hours=1)),  # so sleep looks, too: only this clock goes on
        lambda: hand.jump(timedelta(hours=-1)),
    ):
        ask(clock, hand, START)
        assert not clock.is_stale
        hand.advance(timedelta(seconds=STALE - 1))
        assert not clock.is_stale
        change()
        assert clock.is_stale


@given(
    ways=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 600)), min_size=1, max_size=3 * KEPT),
    drift=st.floats(-DRIFT / 2, DRIFT / 2),
)
def test_it_is_never_wronger_than_half_of_the_last_way_there_and_back(
    ways: list[tuple[float, float, float]], drift: float
) -> None:
    hand = HandClock(seconds=1_000.0)
    clock = DatabaseClock(hand)
    for there, back, pause in ways:
        hand.seconds += pause
        sent = hand.seconds
        hand.seconds += there
        truth = START + hand.seconds * (1 + drift) * 1_000_000
        hand.seconds += back
        clock.follow(int(truth), sent, hand.seconds)
        now = START + hand.seconds * (1 + drift) * 1_000_000
        assert abs(clock.now() - now) <= ((there + back) / 2 + (there + back) * DRIFT) * 1_000_000 + 10


@pytest.mark.parametrize("jump", [-2 * JUMP, 2 * JUMP])
def test_a_jump_of_a_server_that_answers_at_once_is_heard(jump: float) -> None:
    hand = HandClock()
    clock = DatabaseClock(hand)
    for second in range(20):
        hand.advance(timedelta(seconds=1))
        ask(clock, hand, START + second * 1_000_000)
    hand.advance(timedelta(seconds=1))
    ask(clock, hand, START + 20_000_000 + int(jump * 1_000_000))
    assert clock.now() == START + 20_000_000 + int(jump * 1_000_000)
