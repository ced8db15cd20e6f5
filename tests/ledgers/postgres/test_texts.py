"""What can't be kept in PostgreSQL as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe.errors import TenantSourceFailed
from pinstripe.ledgers.postgres.texts import LONGEST_TENANT, check_tenants, writable
from tests.ledgers.moves import new_run
from tests.ledgers.queue.moves import drain, enqueue, enqueue_selecting, new_work, tenants_of

if TYPE_CHECKING:
    from pinstripe.ledger import Ledger

pytestmark = pytest.mark.anyio

TOO_LONG = "ü" * (LONGEST_TENANT // 2) + "x"


@given(st.text(st.characters(codec=None, exclude_categories=[]), max_size=30))
def test_any_text_can_be_kept(text: str) -> None:
    kept = writable(text)
    assert "\0" not in kept
    assert kept.encode().decode() == kept
    assert writable(kept) == kept


def test_what_can_be_kept_stays_as_it_is() -> None:
    assert writable("größer 🙂\n") == "größer 🙂\n"
    assert writable(None) is None


async def test_the_longest_tenant(ledger: Ledger) -> None:
    await ledger.queue.join(10)
    longest = TOO_LONG[:-1]
    run = await enqueue(ledger, longest, schedule="s" * 100, scheduled_for=1, overlap="skip", job="j" * 200)
    assert tenants_of(await drain(ledger)) == [longest]
    assert (await ledger.find_run(run.id)).finished


async def test_a_longer_tenant_is_refused_with_what_was_expected(ledger: Ledger) -> None:
    """The index would refuse it, each time anew: a selection would begin again for ever."""
    await ledger.queue.join(10)
    expected = r"has 1,001 bytes; a ledger on PostgreSQL keeps ids of at most 1,000"
    with pytest.raises(TenantSourceFailed, match=expected):
        await ledger.queue.enqueue([new_work("a"), new_work(TOO_LONG)])
    by_hand = await ledger.create(new_run())
    with pytest.raises(TenantSourceFailed, match=expected):
        await ledger.add(by_hand.id, ["a", TOO_LONG])
    await enqueue_selecting(ledger)
    selected = await ledger.queue.take_selection()
    assert selected is not None
    with pytest.raises(TenantSourceFailed, match=expected):
        await ledger.queue.add(selected, ["a", TOO_LONG])
    assert await drain(ledger) == []


def test_a_million_characters_are_shown_in_part() -> None:
    with pytest.raises(TenantSourceFailed) as raised:
        check_tenants(["x" * 1_000_000])
    assert len(str(raised.value)) < 250
