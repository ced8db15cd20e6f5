"""What is noted for those who look back: tallies of what ended, and the audit trail; on every ledger alike."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pinstripe.actor import Actor, Door
from pinstripe.errors import LedgerError
from pinstripe.history import Action, AuditEntry, Tally
from pinstripe.ledgers import histories
from pinstripe.run import ExecutionStatus

if TYPE_CHECKING:
    from pinstripe.history import History
    from pinstripe.ledger import Ledger
    from tests.ledgers.stores import NewStore, Store

pytestmark = pytest.mark.anyio

SUCCEEDED, FAILED = ExecutionStatus.SUCCEEDED, ExecutionStatus.FAILED
ADA, BOB = Actor(Door.API, "ada"), Actor(Door.CLI, "bob")
HOSTILE = [
    "it's",
    'say "hi"',
    "100 %",
    "under_score",
    "back\\slash",
    "<b>bold</b>",
    "naïve ☃",
    "a/b?c=d",
    "'; drop table runs",
]


async def test_without_a_ledger_nothing_was_noted(store: Store) -> None:
    ledger = store.ledger()
    await ledger.open(write=False)
    assert not ledger.is_made
    assert await ledger.history.tallies(0) == []
    assert await ledger.history.totals() == []
    assert await ledger.history.audit() == ([], None)
    for noting in (ledger.history.add_tallies([Tally(1, "j", FAILED, 1, 1)]), ledger.history.begin_audit(entry(1))):
        with pytest.raises(LedgerError, match="not open for writing"):
            await noting


async def test_tallies_add_up(ledger: Ledger) -> None:
    history = ledger.history
    await history.add_tallies([])
    await history.add_tallies([Tally(100, "b", SUCCEEDED, 2, 30), Tally(100, "a", SUCCEEDED, 1, 5)])
    await history.add_tallies([Tally(101, "a", FAILED, 1, 2**40), Tally(100, "a", SUCCEEDED, 3, 15)])
    assert await history.tallies(0) == [
        Tally(100, "a", SUCCEEDED, 4, 20),
        Tally(100, "b", SUCCEEDED, 2, 30),
        Tally(101, "a", FAILED, 1, 2**40),
    ]
    assert await history.tallies(101) == [Tally(101, "a", FAILED, 1, 2**40)]
    assert await history.totals() == [
        Tally(0, "a", FAILED, 1, 2**40),
        Tally(0, "a", SUCCEEDED, 4, 20),
        Tally(0, "b", SUCCEEDED, 2, 30),
    ]


@pytest.mark.parametrize("job", HOSTILE)
async def test_any_name_of_a_job_is_tallied(ledger: Ledger, job: str) -> None:
    await ledger.history.add_tallies([Tally(7, job, SUCCEEDED, 1, 1)])
    assert await ledger.history.tallies(0) == [Tally(7, job, SUCCEEDED, 1, 1)]


async def test_processes_that_tally_at_once_lose_nothing_and_never_wait_in_a_circle(
    ledger: Ledger, other: Ledger
) -> None:
    jobs = [f"job {number}" for number in range(20)]
    forwards = [Tally(5, job, SUCCEEDED, 1, 1) for job in jobs]
    backwards = forwards[::-1]
    for _ in range(10):
        await asyncio.gather(ledger.history.add_tallies(forwards), other.history.add_tallies(backwards))
    assert await ledger.history.totals() == [Tally(0, job, SUCCEEDED, 20, 20) for job in sorted(jobs)]


def entry(at: int, actor: Actor = ADA, action: Action = Action.START, **given: str) -> AuditEntry:
    return AuditEntry(at, actor, action, **given)


async def note(history: History, *entries: AuditEntry) -> None:
    for each in entries:
        await history.begin_audit(each)


async def test_who_did_what_and_what_came_of_it(ledger: Ledger) -> None:
    history = ledger.history
    first = await history.begin_audit(entry(1, job="greet", tenant="acme", detail="2 arguments"))
    second = await history.begin_audit(entry(2, BOB, Action.CANCEL, run="0199"))
    told = (await history.audit()).entries
    assert [each.outcome for each in told] == [None, None]
    await history.end_audit(first, "started", run="0200")
    await history.end_audit(second, "cancelled")
    assert await history.audit() == (
        [
            AuditEntry(2, BOB, Action.CANCEL, run="0199", outcome="cancelled"),
            AuditEntry(1, ADA, Action.START, "greet", "acme", "0200", "2 arguments", "started"),
        ],
        None,
    )


async def test_the_audit_trail_is_read_in_pages(ledger: Ledger) -> None:
    entries = [entry(number) for number in range(1, 8)]
    await note(ledger.history, *entries)
    page = await ledger.history.audit(limit=3)
    assert page.entries == [*reversed(entries)][:3]
    page = await ledger.history.audit(before=page.next, limit=4)
    assert page == ([*reversed(entries)][3:], None)


@pytest.mark.parametrize("text", HOSTILE)
async def test_any_text_is_found_again(ledger: Ledger, text: str) -> None:
    given = entry(1, Actor(Door.DASHBOARD, text), Action.PAUSE, job=text, tenant=text, run=text, detail=text)
    await note(ledger.history, given, entry(2, job="other", tenant="other", run="other"), entry(3))
    for name in ("job", "tenant", "run", "name"):
        assert await ledger.history.audit(filters={name: text}) == ([given], None)
    whole = {"job": text, "tenant": text, "run": text, "name": text, "action": "pause"}
    assert await ledger.history.audit(filters=whole) == ([given], None)
    assert await ledger.history.audit(filters={**whole, "action": "resume"}) == ([], None)


async def test_what_is_no_text_does_not_keep_an_entry_from_being_written(ledger: Ledger) -> None:
    await ledger.history.end_audit(await ledger.history.begin_audit(entry(1, detail="half \ud800")), "half \udc00")
    (found,) = (await ledger.history.audit()).entries
    assert found.detail is not None
    assert found.detail.startswith("half ")


async def test_a_filter_that_there_is_not_is_refused(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="expected filters by run, tenant, name, job, action, got outcome"):
        await ledger.history.audit(filters={"outcome": "started"})


async def test_a_page_looks_at_so_many_entries_and_tells_where_to_go_on(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("sqlite", "postgres"):
        monkeypatch.setattr(f"pinstripe.ledgers.{module}.history.LOOKED", 4)
    wanted = entry(1, action=Action.LOGIN)
    await note(ledger.history, wanted, *(entry(number) for number in range(2, 8)))
    page = await ledger.history.audit(filters={"action": "login"})
    assert page.entries == []
    assert await ledger.history.audit(before=page.next, filters={"action": "login"}) == ([wanted], None)


NAMES = st.sampled_from(["a", "b", "%", "_"])
FILTERS = st.fixed_dictionaries(
    {}, optional={"run": NAMES, "tenant": NAMES, "name": NAMES, "job": NAMES, "action": st.sampled_from(Action)}
)


def told(each: AuditEntry) -> dict[str, object]:
    return {**each._asdict(), "name": each.actor.name}


@given(data=st.data())
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_pages_give_what_is_asked_for_once(new_store: NewStore, data: st.DataObject) -> None:
    store = new_store()
    store.prepare()
    ledger = store.ledger()
    await ledger.open()
    optional = st.none() | NAMES
    kinds = st.builds(
        AuditEntry,
        st.integers(1, 3),
        st.builds(Actor, st.sampled_from(Door), NAMES),
        st.sampled_from(Action),
        optional,
        optional,
        optional,
    )
    entries = data.draw(st.lists(kinds, max_size=30))
    await note(ledger.history, *entries)
    for filters in data.draw(st.lists(FILTERS, min_size=8, max_size=8)):
        expected = [
            each
            for each in reversed(entries)
            if all(
                (each.actor.name if name == "name" else getattr(each, name)) == value for name, value in filters.items()
            )
        ]
        limit = data.draw(st.integers(1, 10))
        found: list[AuditEntry] = []
        before = None
        while True:
            page = await ledger.history.audit(before=before, limit=limit, filters=filters)
            assert len(page.entries) <= limit
            found += page.entries
            before = page.next
            if before is None:
                break
        assert found == expected
    await store.close()


def test_sums_are_in_the_order_of_their_keys() -> None:
    rows = histories.summed([Tally(2, "b", FAILED, 1, 1), Tally(1, "a", FAILED, 2, 3), Tally(2, "b", FAILED, 4, 5)])
    assert rows == [
        (0, "a", "failed", 2, 3),
        (0, "b", "failed", 5, 6),
        (1, "a", "failed", 2, 3),
        (2, "b", "failed", 5, 6),
    ]
