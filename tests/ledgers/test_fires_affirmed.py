"""Which schedules there are while processes with different code come and go, as in a deploy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.ledgers.conftest import START
from tests.ledgers.queue.moves import SECOND
from tests.ledgers.schedules import PARIS, UTC, due, known, register, state

if TYPE_CHECKING:
    from pinstripe.ledger import Ledger

pytestmark = pytest.mark.anyio

LATER = START + 60 * SECOND


async def test_what_another_living_bot_has_is_not_gone(ledger: Ledger, other: Ledger) -> None:
    old, both = await register(ledger, known("old"), known("both"))
    assert await register(other, known("both"), known("new"), now=LATER) == [both, both + 1]
    assert not (await state(ledger, old)).gone
    await other.fires.affirm({both: known("both")}, keep=(), now=LATER)
    assert not (await state(ledger, old)).gone


async def test_what_only_a_bot_had_that_is_gone_is_gone(ledger: Ledger, other: Ledger) -> None:
    old, both = await register(ledger, known("old"), known("both"))
    await register(other, known("both"), now=LATER)
    await ledger.close()
    assert not (await state(other, old)).gone
    await other.fires.affirm({both: known("both")}, keep=(), now=LATER)
    assert ((await state(other, old)).gone, (await state(other, both)).gone) == (True, False)


async def test_what_cannot_be_loaded_stays_when_its_bot_is_gone(ledger: Ledger, other: Ledger) -> None:
    (old,) = await register(ledger, known("old"))
    await ledger.close()
    await other.fires.affirm({}, keep={"greet"}, now=LATER)
    assert not (await state(other, old)).gone
    await other.fires.affirm({}, keep=(), now=LATER)
    assert (await state(other, old)).gone


async def test_what_was_a_bots_that_is_gone_is_the_next_ones_and_as_old_as_it_was(
    ledger: Ledger, other: Ledger
) -> None:
    (one,) = await register(ledger, known())
    await register(other, known(), now=LATER)
    await ledger.close()
    await other.fires.affirm({one: known()}, keep=(), now=LATER)
    kept = await state(other, one)
    assert (kept.gone, kept.since) == (False, START)
    await register(other, now=LATER)  # it is this bot's now, so that it alone can call it gone
    assert (await state(other, one)).gone


async def test_old_code_that_starts_once_more_takes_nothing_from_the_new(ledger: Ledger, other: Ledger) -> None:
    new, both = await register(ledger, known("new"), known("both"))
    old = (await register(other, known("old"), known("both"), now=LATER))[0]
    await other.close()
    await ledger.fires.affirm({new: known("new"), both: known("both")}, keep=(), now=LATER)
    assert [(await state(ledger, one)).gone for one in (new, both, old)] == [False, False, True]
    assert [(await state(ledger, one)).since for one in (new, both)] == [START, START]


async def test_the_edition_is_that_of_the_bot_that_is_left(ledger: Ledger, other: Ledger) -> None:
    (one,) = await register(ledger, known(edition="new", zone=PARIS))
    await register(other, known(edition="old", cron="0 * * * *", zone=UTC), now=LATER)
    await other.close()
    await ledger.fires.affirm({one: known(edition="new", zone=PARIS)}, keep=(), now=LATER + 1)
    kept = await state(ledger, one, PARIS)
    assert (kept.gone, kept.cron) == (False, "* * * * *")
    assert (await state(ledger, one, UTC)).gone
    (again,) = (await ledger.fires.register([known(edition="new", zone=PARIS)], keep=(), now=LATER + SECOND)).states
    assert again.since == kept.since  # it is not new


async def test_a_fire_of_what_another_code_has_called_gone_is_made(ledger: Ledger, other: Ledger) -> None:
    (one,) = await register(ledger, known())
    await ledger.close()
    await register(other, now=LATER)
    assert (await state(other, one)).gone
    assert await other.fires.fire([due(one, LATER)]) == [True]
    assert (await state(other, one)).gone


async def test_affirming_writes_only_what_is_other(ledger: Ledger, other: Ledger) -> None:
    (one,) = await register(ledger, known())
    before = await ledger.fires.states()
    await ledger.fires.affirm({one: known()}, keep=(), now=LATER)
    await other.fires.affirm({one: known()}, keep=(), now=LATER)
    assert await ledger.fires.states() == before
