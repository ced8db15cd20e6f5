from __future__ import annotations

from datetime import timedelta

import pytest

from pinstripe.queue import Held, Process
from pinstripe.views.waits import count_bots, has_worker, held_in_words, of_one

LEASE = timedelta(seconds=60)
NOW = 1_000_000_000


def process(concurrency: int | None = 20, *, stopping: bool = False, silent: int = 0, bot: bool = False) -> Process:
    return Process(1, "web-1", 4711, "0.1.0", NOW - silent * 1_000_000, None, 0, concurrency, stopping, bot)


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ({}, []),
        ({Held.DUE: 1}, ["1 waits for its time at 1970-01-01 00:00:00Z"]),
        ({Held.DUE: 1_200}, ["1,200 wait for their time, the next at 1970-01-01 00:00:00Z"]),
        ({Held.PAUSED: 1, Held.LIMIT: 2}, ["2 wait for their job's limit", "1 is paused"]),
        ({Held.TENANT_LIMIT: 1, Held.OVERLAP: 1, Held.DUE: 0},
         ["1 waits for its job's limit per tenant", "1 waits for an earlier fire"]),
    ],
)  # fmt: skip
def test_what_is_held_is_told_in_words(held: dict[Held, int], words: list[str]) -> None:
    assert held_in_words(held, 0, now=-1) == words


def test_what_is_due_already_waits_since_then() -> None:
    assert held_in_words({Held.DUE: 1}, 0, now=0) == ["1 is due since 1970-01-01 00:00:00Z"]
    assert held_in_words({Held.DUE: 2}, 0, now=0) == ["2 wait for their time, the first since 1970-01-01 00:00:00Z"]


def test_without_the_next_due_none_is_told() -> None:
    assert held_in_words({Held.DUE: 2}, None, now=0) == ["2 wait for their time"]


def test_what_waits_for_a_worker_that_has_its_job_is_told_apart() -> None:
    assert held_in_words({Held.DUE: 1}, 0, now=0, lacking=1) == ["1 waits for a worker that has its job"]
    assert held_in_words({Held.DUE: 3, Held.PAUSED: 1}, 0, now=0, lacking=2) == [
        "2 wait for a worker that has their job",
        "1 waits for its time",
        "1 is paused",
    ]
    assert held_in_words({}, None, now=0, lacking=1) == [
        "1 waits for a worker that has its job"
    ]  # it changes meanwhile


@pytest.mark.parametrize("reason", Held)
def test_of_one_no_number_is_told(reason: Held) -> None:
    (words,) = held_in_words({reason: 1}, None, now=0)
    assert "1" not in of_one(words)
    assert of_one(words)


@pytest.mark.parametrize(
    ("processes", "there"),
    [
        ([], False),
        ([process()], True),
        ([process(None)], False),
        ([process(stopping=True)], False),
        ([process(silent=61)], False),
        ([process(silent=60)], True),
        ([process(None), process()], True),
    ],
)
def test_a_worker_takes_work_and_was_heard_of(processes: list[Process], there: bool) -> None:
    assert has_worker(processes, NOW, LEASE) is there


def test_a_bot_was_heard_of_and_does_not_stop() -> None:
    bots = [process(bot=True), process(None, bot=True), process(bot=True, silent=61), process(bot=True, stopping=True)]
    assert count_bots([*bots, process()], NOW, LEASE) == 2
    assert count_bots([], NOW, LEASE) == 0
