"""Whoever waits ready gets the same share as any other who does, however much each has, and whenever it came.

The law is that of start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996, theorem 1): in any interval in which
a flow waits, no other is served more than it by 1/w + 1/w', which is 2 for equal shares. It holds for one slot at a
time; several slots loosen it by as many executions as are in flight.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import permutations
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinstripe.limits import Limits
from pinstripe.priority import Priority
from pinstripe.run import RunStatus
from tests.ledgers.queue.moves import claim, claim_one, ended, enqueue, enqueue_each, new_work, settle, tenants_of
from tests.thoroughness import examples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pinstripe.ledger import Ledger
    from pinstripe.queue import Started
    from tests.ledgers.stores import NewStore, Store

BOUND = 2
TENANTS = ["a", "b", "c"]
ONE = Limits(total=1)

MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("enqueue"), st.sampled_from(TENANTS), st.integers(1, 20)),
        st.tuples(st.just("enqueue_for_none"), st.sampled_from(["clean_up", "narrow"]), st.integers(1, 15)),
        st.tuples(st.just("fan_out"), st.booleans(), st.integers(2, 20)),
        st.tuples(st.just("pause"), st.sampled_from(TENANTS), st.booleans()),
        st.tuples(st.just("serve"), st.booleans(), st.integers(1, 12)),
        st.tuples(st.just("let_end"), st.none(), st.integers(0, 3)),
    ),
    min_size=8,
    max_size=40,
)


def flow_of(started: Started) -> str:
    """Name whom an execution is served for: its fan-out, its tenant, or its job where it has none."""
    if started.run.total > 1:
        return started.run.id
    return started.tenant or started.run.job


class Step(NamedTuple):
    """One start: who waited ready just before it, and who was served."""

    ready: frozenset[str]
    served: str


class Served:
    """What was served by a queue, beside a count of what waits."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.waiting: Counter[str] = Counter()
        self.paused: set[str] = set()
        self.narrow: set[str] = set()
        self.running: list[Started] = []
        self.over: list[Started] = []
        self.steps: list[Step] = []
        self.fan_outs = 0

    @property
    def ready(self) -> frozenset[str]:
        """Who may be served now: of a narrow job one execution goes on at once, and each is a flow of its own."""
        full = {flow_of(one) for one in (*self.running, *self.over)} & self.narrow
        return frozenset(flow for flow, many in self.waiting.items() if many) - self.paused - full

    async def enqueue(self, tenant: str, many: int) -> None:
        await enqueue_each(self.ledger, [tenant] * many)
        self.waiting[tenant] += many

    async def enqueue_for_none(self, job: str, many: int) -> None:
        limits = ONE if job == "narrow" else None
        await self.ledger.queue.enqueue([new_work(job=job, limits=limits) for _ in range(many)])
        self.waiting[job] += many
        if limits:
            self.narrow.add(job)

    async def fan_out(self, narrow: bool, many: int) -> None:
        self.fan_outs += 1
        tenants = [f"t{n}" for n in range(many)]
        limits = ONE if narrow else None
        run = await enqueue(self.ledger, *tenants, job=f"fan_out_{self.fan_outs}", limits=limits)
        self.waiting[run.id] = many
        if limits:
            self.narrow.add(run.id)

    async def pause(self, tenant: str, on: bool) -> None:
        if on:
            await self.ledger.queue.pause(None, tenant)
            self.paused.add(tenant)
        else:
            await self.ledger.queue.resume(None, tenant)
            self.paused.discard(tenant)

    async def serve(self, stay: bool, many: int, slots: int = 1) -> None:
        """Let `many` turns start something; each ends what the one before started, but what is to `stay` goes on."""
        for _ in range(many):
            over, self.over = self.over, []
            started = await claim(self.ledger, slots, [ended(one) for one in over])
            for one in started:
                flow = flow_of(one)
                self.steps.append(Step(self.ready, flow))
                assert flow in self.ready
                self.waiting[flow] -= 1
                self.over.append(one)
            assert len(started) == slots or not self.ready, "nobody waits while a slot is free"
        if stay:
            self.running += self.over
            self.over = []

    async def let_end(self, _: None, place: int) -> None:
        if place < len(self.running):
            await settle(self.ledger, ended(self.running.pop(place)))


def unfairness(steps: Sequence[Step]) -> int:
    """Give the most, over all pairs and all intervals in which the one waits, that another was served more than it.

    The other may wait too, or come and go: who asks again and again for a little gets no more than who asks at once.
    """
    flows = {flow for step in steps for flow in step.ready}
    return max((_lead(steps, one, other) for one, other in permutations(flows, 2)), default=0)


def _lead(steps: Sequence[Step], waiting: str, other: str) -> int:
    most = ahead = 0
    for step in steps:
        if waiting in step.ready:
            ahead = max(ahead, 0) + (step.served == other) - (step.served == waiting)
            most = max(most, ahead)
        else:
            ahead = 0
    return most


async def carry_out(store: Store, moves: Sequence[tuple[str, Any, int]], slots: int) -> list[Step]:
    ledger = store.ledger()
    await ledger.open()
    try:
        await ledger.queue.join(slots)
        served = Served(ledger)
        for name, first, second in moves:
            await getattr(served, name)(first, second, *([slots] if name == "serve" else []))
        await served.serve(False, 25, slots)
        return served.steps
    finally:
        await ledger.close()
        store.remove()


def try_moves(new_store: NewStore, slots: int, bound: int, many: int) -> None:
    """Try many moves, each time on an empty store."""

    @settings(max_examples=new_store.examples(examples(many)))
    @given(MOVES)
    def is_shared(moves: list[tuple[str, Any, int]]) -> None:
        assert unfairness(asyncio.run(carry_out(new_store(), moves, slots))) <= bound

    is_shared()


def test_one_slot_is_shared_within_the_bound(new_store: NewStore) -> None:
    try_moves(new_store, slots=1, bound=BOUND, many=100)


def test_several_slots_are_shared_within_the_bound_and_what_is_in_flight(new_store: NewStore) -> None:
    try_moves(new_store, slots=4, bound=BOUND + 4, many=20)


def test_the_measure_sees_what_is_unfair() -> None:
    both = frozenset("ab")
    assert unfairness([Step(both, flow) for flow in "abba"]) == BOUND
    assert unfairness([Step(both, flow) for flow in "aaab"]) == 3
    assert unfairness([Step(frozenset("a"), "a")] * 9 + [Step(both, "b")]) == 1
    assert unfairness([Step(both, "a"), Step(frozenset("b"), "b")] * 9) == 1


@pytest.mark.anyio
async def test_who_asks_again_and_again_gets_no_more_than_who_asked_at_once(worker: Ledger) -> None:
    await enqueue_each(worker, ["b"] * 50)
    served: Counter[str] = Counter()
    last = "a"
    for _ in range(40):
        if last == "a":
            await enqueue(worker, "a")
        last = (await claim_one(worker)).tenant
        served[last] += 1
    assert abs(served["a"] - served["b"]) <= BOUND


@pytest.mark.anyio
@pytest.mark.parametrize("slots", [1, 5])
async def test_one_of_a_quiet_tenant_is_among_the_first_beside_ten_thousand(worker: Ledger, slots: int) -> None:
    for _ in range(10):
        await enqueue_each(worker, ["a"] * 1_000)
    await enqueue(worker, "b")
    first = [one for _ in range(5 // slots) for one in await claim(worker, slots)]
    assert "b" in tenants_of(first)
    assert len(first) == 5


@pytest.mark.anyio
async def test_one_of_a_tenant_is_among_the_first_beside_a_run_of_thousands(worker: Ledger) -> None:
    await enqueue(worker, job="greet_all", tenants=None)
    taken = await worker.queue.take_selection()
    assert taken is not None
    for first in range(0, 5_000, 1_000):
        await worker.queue.add(taken, [f"t{n:05}" for n in range(first, first + 1_000)])
    await worker.queue.end_selection(taken)
    await claim(worker, 1_000)
    await enqueue(worker, "b")
    assert "b" in tenants_of([await claim_one(worker) for _ in range(5)])


@pytest.mark.anyio
async def test_who_comes_late_neither_waits_for_the_backlog_nor_is_paid_for_its_absence(worker: Ledger) -> None:
    await enqueue_each(worker, ["a"] * 1_000)
    await claim(worker, 700)
    await enqueue_each(worker, ["b"] * 1_000)
    served = Counter(tenants_of([await claim_one(worker) for _ in range(200)]))
    assert abs(served["a"] - served["b"]) <= BOUND


@pytest.mark.anyio
async def test_who_is_resumed_is_not_paid_for_its_pause(worker: Ledger) -> None:
    await enqueue_each(worker, ["a"] * 400)
    await enqueue_each(worker, ["b"] * 400)
    await worker.queue.pause(None, "a")
    assert set(tenants_of(await claim(worker, 150))) == {"b"}
    await worker.queue.resume(None, "a")
    served = Counter(tenants_of([await claim_one(worker) for _ in range(200)]))
    assert abs(served["a"] - served["b"]) <= BOUND


@pytest.mark.anyio
async def test_who_is_limited_does_not_wait_for_its_own_backlog(worker: Ledger) -> None:
    """Each time that its slot is free, its next one starts among the first, while another has no end of work."""
    await enqueue_each(worker, ["a"] * 200, job="narrow", limits=ONE)
    await enqueue_each(worker, ["b"] * 500)
    for _ in range(20):
        first = [await claim_one(worker) for _ in range(5)]
        mine = [one for one in first if one.tenant == "a"]
        assert len(mine) == 1
        await settle(worker, *(ended(one) for one in first))


@pytest.mark.anyio
async def test_those_that_are_skipped_take_no_turns_of_their_runs(worker: Ledger) -> None:
    skipped = [f"s{n:02}" for n in range(40)]
    for tenant in skipped:
        await worker.queue.pause(None, tenant)
    run = await enqueue(worker, *skipped, *(f"t{n:02}" for n in range(10)))
    await enqueue_each(worker, ["b"] * 100)
    started = [await claim_one(worker) for _ in range(20)]
    await settle(worker, *(ended(one) for one in started))
    assert (await worker.find_run(run.id)).status == RunStatus.SUCCEEDED


@pytest.mark.anyio
@pytest.mark.parametrize("fan_outs", [True, False])
async def test_those_who_share_a_limit_take_turns(worker: Ledger, fan_outs: bool) -> None:
    for tenant in "ab":
        if fan_outs:
            await enqueue(worker, *(f"{tenant}{n}" for n in range(30)), job="narrow", limits=ONE)
        else:
            await enqueue_each(worker, [tenant] * 30, job="narrow", limits=ONE)
    served = []
    started = await claim(worker, 1)
    assert await claim(worker, 1) == []  # all others are held now
    for _ in range(20):
        served += [one.tenant[0] for one in started]
        started = await claim(worker, 1, [ended(one) for one in started])
    assert len(served) == 20
    assert abs(served.count("a") - served.count("b")) <= BOUND


@pytest.mark.anyio
@pytest.mark.parametrize("fan_out", [True, False])
async def test_who_shares_a_limit_waits_for_no_backlog_that_its_band_has_left_behind(
    worker: Ledger, fan_out: bool
) -> None:
    if fan_out:
        await enqueue(worker, *(f"a{n:03}" for n in range(200)), job="narrow", limits=ONE)
    else:
        await enqueue_each(worker, ["a"] * 200, job="narrow", limits=ONE)
    started = await claim(worker, 1)
    assert await claim(worker, 1) == []
    await enqueue_each(worker, ["c"] * 1_000)
    await settle(worker, *(ended(one) for one in await claim(worker, 1_000)))
    served = Counter[str]()
    await enqueue_each(worker, ["b"] * 5, job="narrow")
    assert await claim(worker, 1) == []
    for number in range(40):  # and one comes whenever one of its own ends
        (one,) = started = await claim(worker, 1, [ended(one) for one in started])
        served[one.tenant[0]] += 1
        if number % 7 == 0:
            await enqueue(worker, "b", job="narrow")
    assert min(served["a"], served["b"]) >= 10


@pytest.mark.anyio
async def test_newcomers_to_a_limit_starve_nobody_who_waits_for_it(worker: Ledger) -> None:
    await enqueue_each(worker, ["a"] * 50, job="narrow", limits=ONE)
    started = await claim(worker, 1)
    assert await claim(worker, 1) == []
    await enqueue_each(worker, ["d"] * 1_000)
    await settle(worker, *(ended(one) for one in await claim(worker, 1_000)))
    await enqueue_each(worker, "bc", job="narrow")
    assert await claim(worker, 1) == []
    served = Counter[str]()
    for _ in range(60):
        (one,) = started = await claim(worker, 1, [ended(one) for one in started])
        served[one.tenant] += 1
        if one.tenant != "a":
            await enqueue(worker, one.tenant, job="narrow")
            assert await claim(worker, 1) == []
    assert min(served[tenant] for tenant in "abc") >= 15


@pytest.mark.anyio
@pytest.mark.parametrize("limits", [ONE, Limits(per_tenant=1), Limits(total=1, per_tenant=1)])
async def test_who_is_urgent_does_not_wait_for_a_slot_that_a_low_band_has_not_used(
    worker: Ledger, limits: Limits
) -> None:
    await enqueue_each(worker, "aa", job="narrow", limits=limits, priority=Priority.BULK)
    first = await claim_one(worker)
    assert await claim(worker) == []
    await enqueue_each(worker, ["c"] * 20)
    await settle(worker, ended(first))  # so that the other one has its slot, and its turn when nothing else waits
    urgent = await enqueue(worker, "a", job="narrow", priority=Priority.INTERACTIVE)
    started = await claim_one(worker)
    assert started.run.id == urgent.id
    status = await worker.queue.status()
    assert (sum(band.ready for band in status.waiting), sum(status.held.values())) == (20, 1)
    rest = await claim(worker, 100)
    assert tenants_of(rest) == ["c"] * 20
    last = await claim(worker, 100, [ended(started)])
    assert tenants_of(last) == ["a"]


@pytest.mark.anyio
async def test_those_that_a_limit_lets_go_together_take_turns_with_others(worker: Ledger) -> None:
    await enqueue_each(worker, ["a"] * 20, job="narrow", limits=Limits(total=5))
    first = await claim(worker)
    assert await claim(worker) == []
    await enqueue_each(worker, ["b"] * 20)
    await settle(worker, *(ended(one) for one in first))
    served = Counter(tenants_of([await claim_one(worker) for _ in range(7)]))
    assert abs(served["a"] - served["b"]) <= BOUND
