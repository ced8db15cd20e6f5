"""Runs by hand in PostgreSQL: what others do at the same moment, and commits of which nobody hears."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urldefrag

import pytest
from sqlalchemy import make_url

from pinstripe.errors import ConfigurationError, LedgerError, UnknownRun
from pinstripe.ledgers.postgres import listing, settling
from pinstripe.ledgers.postgres.ending import abandon
from pinstripe.run import Counts, RunStatus
from tests.ledgers.moves import CANCELLED, FAILED, SKIPPED, carry_out, ended, new_run, select, start
from tests.ledgers.postgres.open_transactions import kept_open, waits
from tests.ledgers.queue.moves import enqueue
from tests.ledgers.stores import ledger_at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pinstripe.ledger import Ledger
    from pinstripe.ledgers.postgres.store import Store as Process
    from pinstripe.ledgers.postgres.transaction import Transaction
    from tests.ledgers.conftest import HandClock
    from tests.ledgers.postgres.commits import Commits, Cut
    from tests.ledgers.stores import PostgresStore

pytestmark = pytest.mark.anyio

CUTS: list[list[Cut]] = [["before"], ["after"], ["after", "after"], ["before", "after"]]


@pytest.fixture
async def cut(store: PostgresStore, ledger: Ledger, commits: Commits, clock: HandClock) -> AsyncIterator[Ledger]:
    """Give the ledger of a process whose commits may be cut."""
    url, schema = urldefrag(store.address)
    through = make_url(url).set(drivername="postgresql", host="127.0.0.1", port=commits.port)
    cut = ledger_at(f"{through.render_as_string(hide_password=False)}#{schema}", clock)
    await cut.open()
    yield cut
    await cut.close()


def process_of(ledger: Ledger) -> Process:
    process: Process = ledger._store  # type: ignore[attr-defined]  # noqa: SLF001 - its transactions are at stake here
    return process


# Commits of which nobody hears.


@pytest.mark.parametrize("cuts", CUTS, ids=" ".join)
async def test_a_run_is_created_once(cut: Ledger, commits: Commits, store: PostgresStore, cuts: list[Cut]) -> None:
    await select(cut, ["a"])
    commits.cuts = [*cuts]
    run = await cut.create(new_run())
    assert (run.status, run.selecting) == (RunStatus.QUEUED, True)
    assert await cut.add(run.id, ["a"]) == 1
    assert store.fetch("select count(*) from runs") == [(2,)]
    assert commits.cuts == []


@pytest.mark.parametrize("cuts", CUTS, ids=" ".join)
async def test_tenants_are_added_once_and_counted_as_new(cut: Ledger, commits: Commits, cuts: list[Cut]) -> None:
    run = await cut.create(new_run())
    assert await cut.add(run.id, ["a", "b"]) == 2
    commits.cuts = [*cuts]
    assert await cut.add(run.id, ["b", "c", "d"]) == 2
    assert await cut.add(run.id, ["c", "d"]) == 0
    assert (await cut.end_selection(run.id)).executions == Counts(total=4, queued=4)


@pytest.mark.parametrize("cuts", CUTS, ids=" ".join)
async def test_a_selection_is_ended_once(cut: Ledger, commits: Commits, cuts: list[Cut]) -> None:
    run = await cut.create(new_run())
    commits.cuts = [*cuts]
    done = await cut.end_selection(run.id)
    assert (done.status, done.selecting) == (RunStatus.SUCCEEDED, False)


@pytest.mark.parametrize("cuts", CUTS, ids=" ".join)
async def test_a_turn_gives_what_it_started_and_counts_what_it_settled_once(
    cut: Ledger, commits: Commits, cuts: list[Cut]
) -> None:
    run = await select(cut, ["a", "b", "c"])
    first = (await start(cut, run.id, "a"))["a"]
    commits.cuts = [*cuts]
    turn = await cut.turn(run.id, [ended(first, log="a log")], ["b", "c"])
    assert [(one.tenant, one.epoch, one.attempt) for one in turn.claimed] == [("b", 1, 1), ("c", 1, 1)]
    assert turn.counts == Counts(total=3, running=2, succeeded=1)
    last = await cut.turn(run.id, [ended(one) for one in turn.claimed], [])
    assert last.counts == Counts(total=3, succeeded=3)
    assert (await cut.find_run(run.id)).status is RunStatus.SUCCEEDED


@pytest.mark.parametrize("cuts", CUTS, ids=" ".join)
async def test_what_is_left_is_ended_once(cut: Ledger, commits: Commits, cuts: list[Cut]) -> None:
    run = await select(cut, ["a", "b"])
    commits.cuts = [*cuts]
    assert (await cut.end(run.id, SKIPPED, "enough")).executions == Counts(total=2, skipped=2)


# Two at the same moment.


async def test_of_two_retries_at_once_each_tenant_is_in_one(
    store: PostgresStore, ledger: Ledger, other: Ledger
) -> None:
    run = await select(ledger, ["a", "b", "c"])
    await carry_out(ledger, run.id, dict.fromkeys("abc", FAILED))
    first, second = [await each.create(new_run(retry_of=run.id, origin=run.id)) for each in (ledger, other)]

    async def add(tx: Transaction) -> None:
        assert await listing.succeeded(tx, run.id, ["a", "b"]) == set()
        number, job = await listing.number_of(tx, first.id, "")
        assert await tx.run("add_executions", number, job, ["a", "b"]) == 2
        assert await tx.value("counted_in", number, 2) == 2

    async with kept_open(process_of(ledger), add):
        adding = asyncio.create_task(other.add(second.id, ["a", "b", "c"], retry_of=run.id))
        await waits(store, adding)
    assert await adding == 1
    assert (await other.end_selection(second.id)).executions.total == 1


async def test_a_retry_of_a_retry_waits_for_the_same(store: PostgresStore, ledger: Ledger, other: Ledger) -> None:
    run = await select(ledger, ["a"])
    await carry_out(ledger, run.id, {"a": FAILED})
    retry = await select(ledger, ["a"], retry_of=run.id, origin=run.id)
    await carry_out(ledger, retry.id, {"a": FAILED})
    third = await other.create(new_run(retry_of=retry.id, origin=run.id))

    async def look(tx: Transaction) -> None:
        assert await listing.succeeded(tx, run.id, ["a"]) == set()

    async with kept_open(process_of(ledger), look):
        adding = asyncio.create_task(other.add(third.id, ["a"], retry_of=retry.id))
        await waits(store, adding)
    assert await adding == 1


async def test_nothing_is_added_to_a_run_that_a_rescue_closes(
    store: PostgresStore, ledger: Ledger, other: Ledger
) -> None:
    run = await ledger.create(new_run())
    number = store.fetch("select n from runs")[0][0]

    async def close(tx: Transaction) -> None:
        assert await tx.run("run_abandoned", number, 1) == 1

    async with kept_open(process_of(other), close):
        adding = asyncio.create_task(ledger.add(run.id, ["a"]))
        await waits(store, adding)
    with pytest.raises(LedgerError, match="taken for dead"):
        await adding
    assert (await ledger.find_run(run.id)).executions == Counts()
    assert store.fetch("select count(*) from executions") == [(0,)]


async def test_a_rescue_closes_nothing_to_which_something_was_just_added(
    store: PostgresStore, ledger: Ledger, other: Ledger
) -> None:
    run = await ledger.create(new_run())
    number = store.fetch("select n from runs")[0][0]

    async def add(tx: Transaction) -> None:
        await tx.run("add_executions", number, "greet", ["a"])
        assert await tx.value("counted_in", number, 1) == 1

    async with kept_open(process_of(ledger), add):
        closing = asyncio.create_task(abandon(process_of(other), number))
        await waits(store, closing)
    await closing
    assert not (await ledger.find_run(run.id)).finished
    await abandon(process_of(other), number)
    assert (await ledger.find_run(run.id)).status is RunStatus.CANCELLED


async def test_a_settlement_and_an_end_at_once_are_counted_once(
    store: PostgresStore, ledger: Ledger, other: Ledger
) -> None:
    run = await select(ledger, ["a", "b"])
    claimed = await start(ledger, run.id, "a", "b")
    number = store.fetch("select n from runs")[0][0]

    async def settle(tx: Transaction) -> None:
        done = await settling.settle(tx, number, [ended(claimed["a"])], 1)
        await settling.count(tx, {number: done}, 1)

    async with kept_open(process_of(ledger), settle):
        closing = asyncio.create_task(abandon(process_of(other), number))
        await waits(store, closing)
    await closing
    assert (await ledger.find_run(run.id)).executions == Counts(total=2, succeeded=1, cancelled=1)
    counts = (await ledger.turn(run.id, [ended(one) for one in claimed.values()], [])).counts
    assert counts == Counts(total=2, succeeded=1, cancelled=1)


async def test_two_that_settle_the_last_two_at_once_close_the_run(
    store: PostgresStore, ledger: Ledger, other: Ledger
) -> None:
    runs = [await select(ledger, ["a", "b"]) for _ in range(2)]
    claimed = [await start(ledger, run.id, "a", "b") for run in runs]
    numbers = [n for (n,) in store.fetch("select n from runs order by n")]

    async def settle(tx: Transaction, tenant: str) -> None:
        done = [await settling.settle(tx, n, [ended(one[tenant])], 1) for n, one in zip(numbers, claimed, strict=True)]
        await settling.count(tx, dict(zip(numbers, done, strict=True)), 1)

    async with kept_open(process_of(ledger), partial(settle, tenant="a")):
        second = asyncio.create_task(process_of(other).write(partial(settle, tenant="b")))
        await waits(store, second)
    await second
    for run in runs:
        found = await ledger.find_run(run.id)
        assert (found.status, found.executions) == (RunStatus.SUCCEEDED, Counts(total=2, succeeded=2))


# What PostgreSQL has in another way than SQLite.


async def test_what_no_text_can_hold_is_replaced(ledger: Ledger) -> None:
    run = await select(ledger, ["a", "b"])
    claimed = await start(ledger, run.id, "a", "b")
    texts = {"error": "no\0thing", "traceback": "half \ud800", "log": "\0\udfff printed"}
    await ledger.turn(run.id, [ended(claimed["a"], FAILED, **texts), ended(claimed["b"], result='"\\u0000"')], [])
    first, second = [await ledger.find_execution(run.id, tenant) for tenant in "ab"]
    assert first is not None
    assert (first.error, first.log) == ("no\ufffdthing", "\ufffd\ufffd\ufffd\ufffd printed")
    assert first.traceback is not None
    assert first.traceback.startswith("half \ufffd")
    assert second is not None
    assert second.result == "\0"
    assert await ledger.find_execution(run.id, "a\0") is None
    assert await ledger.find_execution(run.id, "a\ud800") is None


async def test_the_reason_of_an_end_is_replaced_too(ledger: Ledger) -> None:
    run = await select(ledger, ["a"])
    assert (await ledger.end(run.id, CANCELLED, "no\0more", error="a\0nother")).error == "a\ufffdnother"
    found = await ledger.find_execution(run.id, "a")
    assert found is not None
    assert found.error == "no\ufffdmore"


async def test_no_message_has_the_password(ledger: Ledger, store: PostgresStore) -> None:
    with pytest.raises(UnknownRun) as never:
        await ledger.find_run("last")
    shown = str(never.value)
    assert "postgresql://app_owner@" in shown
    assert ":app_owner" not in shown
    store.execute("drop table logs")
    run = await select(ledger, ["a"])
    with pytest.raises(LedgerError, match="is not a ledger of this version") as broken:
        await ledger.find_execution(run.id, "a")
    assert ":app_owner" not in str(broken.value)


async def test_what_is_no_url_is_refused_by_the_name_of_its_setting(clock: HandClock) -> None:
    with pytest.raises(ConfigurationError, match="setting ledger: "):
        ledger_at("postgresql://user:pass/word@host/name", clock)


async def test_a_beat_of_a_ledger_that_is_not_open_for_writing_says_nothing(ledger: Ledger, other: Ledger) -> None:
    await other.close()
    other.beat()
    await select(ledger, ["a"])
    ledger.beat()
    assert ledger.look(1.0).trouble is None


async def test_who_only_looks_rescues_too(store: PostgresStore, ledger: Ledger) -> None:
    run = await select(ledger, ["a"])
    store.kill(ledger)
    looking = store.ledger()
    await looking.open(write=False)
    assert await looking.rescue() == 1
    assert (await looking.find_run(run.id)).status is RunStatus.CANCELLED
    assert [each.id for each in (await looking.last_runs(["greet", "never"])).values()] == [run.id]


async def test_why_a_queued_run_ends_is_replaced_too(ledger: Ledger) -> None:
    """A tenant source failed with such a text, and its selection was begun again for ever."""
    await ledger.queue.join(1)
    await enqueue(ledger, job="select", tenants=None)
    selected = await ledger.queue.take_selection()
    assert selected is not None
    assert (await ledger.queue.end_selection(selected, error="no\0 \ud800")).error == "no\ufffd \ufffd\ufffd\ufffd"
    run = await enqueue(ledger, "a")
    assert (await ledger.queue.cancel(run.id, "no\0more")).finished
    found = await ledger.find_execution(run.id, "a")
    assert found is not None
    assert found.error == "no\ufffdmore"
