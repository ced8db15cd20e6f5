from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pinstripe.server.access.bearers import digest_of
from pinstripe.server.access.throttle import FREE, FREE_IN_ALL, LONGEST, REMEMBERED, Throttle, network_of
from tests.server.access.conftest import OTHER, READ, TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.ledgers.conftest import HandClock
    from tests.server.access.conftest import Gate


class Seconds:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def throttle(seconds: Seconds) -> Throttle:
    return Throttle(seconds)


def test_an_address_waits_longer_and_longer(throttle: Throttle, seconds: Seconds) -> None:
    waits = []
    for _ in range(FREE + 12):
        waits.append(throttle.failed("203.0.113.7"))
        seconds.now += waits[-1]
    assert waits == [0] * FREE + [1, 2, 4, 8, 16, 32, 64, 128, 256, *[int(LONGEST)] * 3]
    assert throttle.wait("203.0.113.7") == 0
    assert throttle.wait("203.0.113.8") == 0


def test_what_is_long_ago_is_forgotten(throttle: Throttle, seconds: Seconds) -> None:
    for _ in range(FREE + 3):
        throttle.failed("203.0.113.7")
    assert throttle.wait("203.0.113.7") == 4
    seconds.now += 901
    assert throttle.failed("203.0.113.7") == 0


def test_who_has_a_whole_network_is_one(throttle: Throttle) -> None:
    for number in range(FREE + 1):
        throttle.failed(f"2001:db8:1:2:{number}::1")
    assert throttle.wait("2001:db8:1:2::ffff") == 1
    assert throttle.wait("2001:db8:1:3::1") == 0
    assert network_of("::ffff:203.0.113.7") == network_of("203.0.113.7")
    assert len(network_of("x" * 10_000)) == 64


def test_guesses_from_everywhere_are_slow_in_all(throttle: Throttle, seconds: Seconds) -> None:
    for number in range(FREE_IN_ALL + 10):
        throttle.failed(f"198.51.{number // 250}.{number % 250}")
    assert throttle.wait("203.0.113.7") == 10
    seconds.now += 10
    assert throttle.wait("203.0.113.7") == 0
    for number in range(10_000):
        throttle.failed(f"203.{number // 250}.1.{number % 250}")
    assert throttle.wait("192.0.2.1") <= LONGEST


def test_its_memory_is_bounded(throttle: Throttle) -> None:
    for number in range(REMEMBERED + 1_000):
        address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        throttle.failed(address)
        throttle.remember(address, digest_of(str(number)))
    assert len(throttle._addresses) == len(throttle._right) == REMEMBERED  # noqa: SLF001 - what is kept is what counts


def test_a_token_that_was_right_is_known_there_for_a_day(throttle: Throttle, seconds: Seconds) -> None:
    digest = digest_of(TOKEN)
    assert not throttle.remembers("203.0.113.7", digest)
    throttle.remember("203.0.113.7", digest)
    assert throttle.remembers("203.0.113.7", digest)
    assert not throttle.remembers("203.0.113.8", digest)
    assert not throttle.remembers("203.0.113.7", digest_of(OTHER))
    seconds.now += 86_400
    assert throttle.remembers("203.0.113.7", digest)
    seconds.now += 1
    assert not throttle.remembers("203.0.113.7", digest)


@pytest.mark.anyio
async def test_guessing_by_the_api_is_slow_and_harms_nobody_who_was_there_before(
    gate: Gate, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await gate.bearer(TOKEN)).status_code == 200
    for number in range(FREE + 2):
        await gate.bearer(f"{OTHER}-{number}")
    wrong = await gate.bearer(OTHER)
    assert wrong.status_code == 429
    assert wrong.headers["retry-after"] == "1"
    assert wrong.json()["type"] == "/_pinstripe/api/#problem-too-many-wrong-tokens"
    assert (await gate.bearer(READ)).status_code == 429, "a right one that nobody has seen there yet waits too"
    assert (await gate.bearer(TOKEN)).status_code == 200
    assert (await gate.ask("/", cookie=gate.cookie())).status_code == 200
    assert (await gate.ask("/metrics", cookie=gate.cookie())).status_code == 200
    gate.address = "203.0.113.8"
    assert (await gate.bearer(READ)).status_code == 200
    gate.address = "203.0.113.7"
    clock.seconds += 1
    assert (await gate.bearer(READ)).status_code == 200
    assert caplog.text.count("a wrong token was presented to the HTTP API from 203.0.113.7") == FREE + 1
    assert OTHER not in caplog.text


@pytest.mark.anyio
async def test_what_is_no_address_is_nobody_in_particular(gate: Gate, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(FREE + 1):
        gate.address = f"\x1b[2J{number}"
        await gate.bearer(OTHER)
    assert (await gate.bearer(OTHER)).status_code == 429
    assert "\x1b" not in caplog.text
    assert "from unknown" in caplog.text


@pytest.mark.anyio
async def test_without_any_header_nobody_guesses(make_gate: Callable[..., Gate]) -> None:
    gate = make_gate()
    for _ in range(FREE + 10):
        assert (await gate.ask("/api/v1/jobs")).status_code == 401
    assert (await gate.bearer(TOKEN)).status_code == 200
