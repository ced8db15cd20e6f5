"""Every order of moves on a queue leaves it as a simple model is: nothing is lost, and nothing counts twice."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from pinstripe.fires import KnownSchedule
from pinstripe.ledger import NO_TENANT, RunFilter
from pinstripe.priority import Priority
from pinstripe.schedule import offset
from tests.ledgers.queue.model import LIMITS, Model, ModelExecution
from tests.ledgers.queue.moves import CANCELLED, FAILED, QUEUED, SECOND, SKIPPED, SUCCEEDED, ended, new_work
from tests.thoroughness import examples

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from pinstripe.ledger import Settlement
    from pinstripe.queue import NewWork, Started
    from tests.ledgers.stores import NewStore

TENANTS = ["a", "b", "c"]
WORKERS = [0, 1]
JOB = st.sampled_from(sorted(LIMITS))
DUE_IN = [None, None, None, 60 * SECOND]
"""Never a multiple of what the clock moves by: nothing becomes due while it is looked at."""

SPREAD = 44 * SECOND
"""Such that each tenant's place is some seconds away, and over when time has passed once."""

WORKER = st.sampled_from(WORKERS)
SELDOM = st.sampled_from([True, False, False])

ENDS: list[tuple[Any, dict[str, Any]]] = [
    (SUCCEEDED, {}),
    (SUCCEEDED, {"result": "1"}),
    (FAILED, {"error": "ValueError: no"}),
    (CANCELLED, {"error": "stopped"}),
    (SKIPPED, {"error": "gone"}),
    (QUEUED, {}),
    (QUEUED, {"counted": False}),
    (QUEUED, {"crash": True, "counted": False, "error": "its process died"}),
]

End = tuple[int, tuple[Any, dict[str, Any]], int | None]
END = st.tuples(st.integers(0, 6), st.sampled_from(ENDS), st.sampled_from(DUE_IN))

TURNS = st.lists(st.tuples(WORKER, st.lists(END, max_size=4), st.integers(0, 6)), min_size=1, max_size=4)
WORKS = st.lists(
    st.fixed_dictionaries(
        {
            "job": JOB,
            "tenants": st.lists(st.sampled_from(TENANTS), unique=True, max_size=3),
            "priority": st.sampled_from(Priority),
            "due_in": st.sampled_from(DUE_IN),
            "overlap": st.sampled_from([None, None, "skip", "queue"]),
            "crashes": st.sampled_from([2, 1, 0]),
            "selector": st.sampled_from([None, None, None, *WORKERS]),
            "spread": SELDOM,
            "local_time": st.sampled_from([None, None, "2026-09-21T09:00:00"]),
        }
    ),
    min_size=1,
    max_size=3,
)


class Planned(NamedTuple):
    """What is to be enqueued, for whom, and which worker selects those."""

    work: NewWork
    tenants: list[str]
    selector: int | None


class Moves(RuleBasedStateMachine):
    """Makes every move on two workers of a ledger and on the model, and compares them after each."""

    runs = Bundle("runs")

    def __init__(self, new_store: NewStore) -> None:
        super().__init__()
        self.store = new_store()
        self.loop = asyncio.Runner()
        self.sweeper, *self.workers = (self.store.ledger() for _ in range(3))
        for made in self.store.made:
            self.wait(made.open())
        for ledger in self.workers:
            self.wait(ledger.queue.join(5))
        schedules = [KnownSchedule(job, "hourly", "", "0 * * * *", None) for job in LIMITS]
        self.wait(self.sweeper.fires.register(schedules, keep=(), now=self.now))
        self.model = Model()
        self.started: list[list[Started]] = [[], []]
        self.lives = [0, 1]  # a process that was taken for dead goes on as another owner
        self.closed: set[str] = set()
        self.killed = [False, False]
        self.buried = [False, False]

    def wait(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run(coroutine)

    @property
    def now(self) -> int:
        return self.store.clock.microseconds

    @initialize(target=runs, works=WORKS)
    def begin(self, works: list[dict[str, Any]]) -> Any:
        return self.enqueue(works)

    @rule(target=runs, works=WORKS)
    def enqueue_more(self, works: list[dict[str, Any]]) -> Any:
        return self.enqueue(works)

    def enqueue(self, works: list[dict[str, Any]]) -> Any:
        """Enqueue in one batch what has its tenants, then one by one what a worker is to select."""
        planned = [self.plan(**given) for given in works]
        ids = self.put_in([one for one in planned if one.selector is None])
        for one in planned:
            if one.selector is not None:
                ids += self.put_in([one])
        return multiple(*ids)

    def plan(
        self,
        job: str,
        tenants: list[str],
        selector: int | None,
        due_in: int | None,
        *,
        spread: bool,
        local_time: str | None,
        overlap: str | None,
        **given: Any,
    ) -> Planned:
        """Make work of what was drawn: only what is to be selected has a spread or a local time."""
        if selector is not None and self.buried[selector]:
            selector = None
        is_fire = bool(overlap or (selector is not None and (spread or local_time)))
        work = new_work(
            *(tenants or [NO_TENANT]),
            job=job,
            due_at=self.now + due_in if due_in is not None and overlap is None and selector is None else None,
            overlap=overlap,
            schedule="hourly" if is_fire else None,
            scheduled_for=self.now if is_fire else None,
            limits=LIMITS[job],
            **given,
        )
        if selector is not None:
            work = work._replace(spread=SPREAD if spread else None, local_time=local_time)
        return Planned(work, list(work.tenants or []), selector)

    def put_in(self, planned: list[Planned]) -> list[str]:
        works = [one.work if one.selector is None else one.work._replace(tenants=None) for one in planned]
        runs = self.wait(self.workers[0].queue.enqueue(works))
        for run, (work, tenants, selector) in zip(runs, planned, strict=True):
            job, at = work.run.job, work.scheduled_for or 0
            if selector is not None:
                tenants = self.select(selector, job, tenants, work.local_time)  # noqa: PLW2901 - who is left
            may_be_skipped = len(tenants) > 1 or work.schedule is not None
            dues = [work.due_at if work.spread is None else at + offset(job, one, work.spread) for one in tenants]
            made = [
                ModelExecution(job, tenant, work.crashes, may_be_skipped, work.overlap, due)
                for tenant, due in zip(tenants, dues, strict=True)
            ]
            self.model.enqueue(run.id, made)
        return [run.id for run in runs]

    def select(self, worker: int, job: str, tenants: list[str], local_time: str | None) -> list[str]:
        """Select these tenants; give those of them who have not had the local time."""
        queue = self.workers[worker].queue
        taken = self.wait(queue.take_selection())
        wanted = tenants if local_time is None else [one for one in tenants if (job, one) not in self.model.had]
        first = int(tenants[0] in wanted)
        assert self.wait(queue.add(taken, tenants[:1])) == first
        assert self.wait(queue.add(taken, tenants)) == len(wanted) - first
        self.wait(queue.end_selection(taken))
        if local_time is not None:
            self.model.had |= {(job, tenant) for tenant in tenants}
        return wanted

    @rule(turns=TURNS)
    def work(self, turns: list[tuple[int, list[End], int]]) -> None:
        for worker, ends, slots in turns:
            self.turn(worker, ends, slots)

    @rule(worker=WORKER, slots=st.integers(1, 6))
    def claim(self, worker: int, slots: int) -> None:
        self.turn(worker, [], slots)

    @rule(worker=WORKER, ends=st.lists(END, min_size=2, max_size=6))
    def settle(self, worker: int, ends: list[End]) -> None:
        self.turn(worker, ends, 0)

    def turn(self, worker: int, ends: list[End], slots: int) -> None:
        """Settle some of what this process has ever started, each once a turn, and start more."""
        settlements: dict[int, tuple[Started, Settlement]] = {}
        mine = self.started[worker]
        for place, (status, kept), due_in in ends:
            if place < len(mine) and mine[-1 - place].id not in settlements:
                one = mine[-1 - place]
                due = self.now + due_in if status is QUEUED and due_in else None
                settlements[one.id] = one, ended(one, status, due_at=due, **kept)
        taken = self.wait(self.workers[worker].queue.turn([made for _, made in settlements.values()], slots))
        for one, made in settlements.values():
            self.model.settle(one, made, self.now)
        assert taken.lost == self.buried[worker]
        if taken.lost:
            assert taken.started == []
            self.revive(worker)
            return
        self.take_up(worker, taken.started)
        free = slots - len(taken.started)
        assert free >= 0
        while taken.more and free:
            taken = self.wait(self.workers[worker].queue.turn([], free))
            self.take_up(worker, taken.started)
            free -= len(taken.started)
        self.see_what_claims_end()
        if free:
            self.nobody_waits_for_a_free_slot()

    def take_up(self, worker: int, started: list[Started]) -> None:
        for one in started:
            self.model.start(one, self.lives[worker], self.now)
        self.started[worker] += started

    def revive(self, worker: int) -> None:
        """Go on as another owner, as it does that is told to be taken for dead."""
        self.lives[worker] += len(WORKERS)
        self.killed[worker] = self.buried[worker] = False

    def see_what_claims_end(self) -> None:
        """Take over what a claim may have met, or not: of cancelled runs, and of paused tenants."""
        for id_, run in self.model.runs.items():
            for one in run.executions.values():
                if one.state is QUEUED and (run.stopped or (one.may_be_skipped and self.model.tenant_paused(one))):
                    found = self.wait(self.sweeper.find_execution(id_, one.tenant)).status
                    if found is not QUEUED:
                        assert found is (CANCELLED if run.stopped else SKIPPED)
                        self.model.end(one, found)

    def nobody_waits_for_a_free_slot(self) -> None:
        for run in self.model.runs.values():
            for one in run.executions.values():
                assert not self.model.may_start(run, one, self.now)

    @rule(run=runs, really=SELDOM)
    def cancel(self, run: str, really: bool) -> None:
        if not really:
            return
        self.wait(self.sweeper.queue.cancel(run, "not needed"))
        self.model.cancel(run)

    @rule(job=st.none() | JOB, tenant=st.none() | st.sampled_from(TENANTS), really=SELDOM)
    def pause(self, job: str | None, tenant: str | None, really: bool) -> None:
        if not really:
            return
        assert self.wait(self.sweeper.queue.pause(job, tenant)) == ((job, tenant) not in self.model.pauses)
        self.model.pauses.add((job, tenant))

    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        if self.model.pauses:
            job, tenant = data.draw(st.sampled_from(sorted(self.model.pauses, key=str)))
            assert self.wait(self.sweeper.queue.resume(job, tenant))
            self.model.pauses.discard((job, tenant))

    @rule()
    def let_time_pass(self) -> None:
        self.store.clock.advance(timedelta(seconds=45))
        for worker in WORKERS:
            if not self.killed[worker]:
                self.workers[worker].beat()

    @rule(worker=WORKER, really=SELDOM)
    def kill(self, worker: int, really: bool) -> None:
        """Let a process be gone; it goes on all the same, as one does that was only stopped for long."""
        if really and not self.killed[worker]:
            self.store.kill(self.workers[worker])
            self.killed[worker] = True

    @rule()
    def sweep(self) -> None:
        swept = self.wait(self.sweeper.queue.sweep())
        dead = [worker for worker in WORKERS if self.killed[worker] and not self.buried[worker]]
        assert swept.owners == len(dead)
        assert swept.rescued == sum(self.model.bury(self.lives[worker], self.now) for worker in dead)
        for worker in dead:
            self.buried[worker] = True
        self.see_what_claims_end()
        assert not any(
            one.state is QUEUED for run in self.model.runs.values() if run.stopped for one in run.executions.values()
        )

    @invariant()
    def the_ledger_is_as_the_model(self) -> None:
        listed = {run.id: run for run in self.wait(self.sweeper.list_runs(RunFilter(limit=1_000)))}
        assert set(listed) == set(self.model.runs)
        for id_, run in self.model.runs.items():
            found = listed[id_]
            assert (found.executions, found.finished) == (run.counts, run.status is not None)
            if found.finished:
                assert found.status is run.status
            if id_ in self.closed:
                continue
            if found.finished:
                self.closed.add(id_)  # looked at once more
            for tenant, one in run.executions.items():
                execution = self.wait(self.sweeper.find_execution(id_, tenant))
                assert (execution.status, execution.attempts) == (one.state, one.attempts)
        status = self.wait(self.sweeper.queue.status())
        assert status.running == sum(run.counts.running for run in self.model.runs.values())
        queued = sum(run.counts.queued for run in self.model.runs.values())
        told = sum(status.held.values()) + sum(band.ready for band in status.waiting)
        # One whose late result was accepted may still be told to be ready, until its turn would have come.
        assert queued <= told <= queued + self.model.late

    def teardown(self) -> None:
        """Let everything come to its end: nothing may be left."""
        try:
            for job, tenant in self.model.pauses:
                self.wait(self.sweeper.queue.resume(job, tenant))
            self.store.clock.advance(timedelta(minutes=10))
            for worker in WORKERS:
                self.kill(worker, really=True)
            self.wait(self.sweeper.queue.sweep())
            self.wait(self.sweeper.queue.join(100))
            started = self.wait(self.sweeper.queue.turn([], 100)).started
            while started:
                started = self.wait(self.sweeper.queue.turn([ended(one) for one in started], 100)).started
            for id_ in self.model.runs:
                assert self.wait(self.sweeper.find_run(id_)).finished
        finally:
            for made in self.store.made:
                self.wait(made.close())
            self.loop.close()
            self.store.remove()


def test_every_order_of_moves(new_store: NewStore) -> None:
    machine: Any = partial(Moves, new_store)  # whatever makes one will do
    given = settings(max_examples=new_store.examples(examples(200)), stateful_step_count=30, deadline=None)
    run_state_machine_as_test(machine, settings=given)
