"""Any order of moves, by a process that may be taken for dead at any moment, against a model that is one dictionary."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from pinstripe.errors import LedgerError
from pinstripe.ledger import Claimed, Settlement
from pinstripe.run import TRANSITIONS, Counts, ExecutionStatus, RunStatus, final_status
from tests.ledgers.moves import CANCELLED, FAILED, SKIPPED, new_run
from tests.thoroughness import examples

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from pinstripe.ledger import Ledger
    from tests.ledgers.stores import NewStore

QUEUED = ExecutionStatus.QUEUED
RUNNING = ExecutionStatus.RUNNING
FINAL = [status for status, onward in TRANSITIONS.items() if not onward]
TENANTS = ["", "a", "b", "c", "d"]


@dataclass
class Model:
    """What a run must be: the states of its executions, and how often each was started."""

    owned: bool = True
    selecting: bool = True
    selected: bool = False
    error: str | None = None
    status: RunStatus = RunStatus.QUEUED
    states: dict[str, ExecutionStatus] = field(default_factory=dict)
    started: dict[str, Claimed] = field(default_factory=dict)

    @property
    def open(self) -> bool:
        return self.status in {RunStatus.QUEUED, RunStatus.RUNNING}

    @property
    def counts(self) -> Counts:
        states = list(self.states.values())
        return Counts(len(states), *(states.count(status) for status in ExecutionStatus))

    def move(self, tenant: str, status: ExecutionStatus) -> None:
        assert status in TRANSITIONS[self.states[tenant]]
        self.states[tenant] = status

    def move_all(self, was: ExecutionStatus, status: ExecutionStatus) -> None:
        for tenant in [tenant for tenant, state in self.states.items() if state is was]:
            self.move(tenant, status)

    def close_if_done(self) -> None:
        counts = self.counts
        if self.open and not self.selecting and counts.done == counts.total:
            self.status = final_status(error=self.error, failed=counts.failed, cancelled=counts.cancelled)


class Moves(RuleBasedStateMachine):
    """Makes every move on a ledger and on the model of it, and compares the two after each."""

    runs = Bundle("runs")

    def __init__(self, new_store: NewStore) -> None:
        super().__init__()
        self.store = new_store()
        self.loop = asyncio.Runner()
        self.ours, self.rescuer = self.store.ledger(), self.store.ledger()
        self.wait(self.ours.open())
        self.wait(self.rescuer.open())
        self.models: dict[str, Model] = {}
        self.alive = False

    def wait(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run(coroutine)

    def teardown(self) -> None:
        for ledger in self.store.made:
            self.wait(ledger.close())
        self.loop.close()
        self.store.remove()

    @rule(target=runs)
    def create(self) -> str:
        run = self.wait(self.ours.create(new_run()))
        self.models[run.id] = Model()
        self.alive = True
        return str(run.id)

    @rule(run=runs, tenants=st.lists(st.sampled_from(TENANTS), max_size=4))
    def add(self, run: str, tenants: list[str]) -> None:
        model = self.models[run]
        if not (model.open and model.selecting):
            with pytest.raises(LedgerError):
                self.wait(self.ours.add(run, tenants))
            return
        new = [tenant for tenant in dict.fromkeys(tenants) if tenant not in model.states]
        assert self.wait(self.ours.add(run, tenants)) == len(new)
        model.states.update(dict.fromkeys(new, QUEUED))

    @rule(run=runs, error=st.sampled_from([None, None, "the source failed"]))
    def end_selection(self, run: str, error: str | None) -> None:
        model = self.models[run]
        if model.open and not model.selecting:
            return
        self.wait(self.ours.end_selection(run, error=error))
        if not model.open:
            return
        model.selecting = False
        if error is None:
            model.selected = True
            model.close_if_done()
        else:
            model.error = error
            model.move_all(QUEUED, CANCELLED)
            model.status = RunStatus.FAILED

    @rule(run=runs, tenants=st.lists(st.sampled_from(TENANTS), min_size=1, max_size=3))
    def start(self, run: str, tenants: list[str]) -> None:
        model = self.models[run]
        if not model.owned or not model.selected:
            with pytest.raises(LedgerError):
                self.wait(self.ours.turn(run, [], tenants))
            return
        turn = self.wait(self.ours.turn(run, [], tenants))
        queued = {tenant for tenant in tenants if model.states.get(tenant) is QUEUED}
        assert {claimed.tenant for claimed in turn.claimed} == queued
        for claimed in turn.claimed:
            model.move(claimed.tenant, RUNNING)
            model.started[claimed.tenant] = claimed
            model.status = RunStatus.RUNNING
        assert turn.counts == model.counts

    @rule(run=runs, other=runs, ends=st.lists(st.tuples(st.sampled_from(TENANTS), st.sampled_from(FINAL)), max_size=4),
          stale=st.sampled_from([0, 0, 0, -1, 1]), kept=st.booleans())  # fmt: skip
    def settle(self, run: str, other: str, ends: list[tuple[str, ExecutionStatus]], stale: int, *, kept: bool) -> None:
        """Settle what may have ended already, may be another run's, or has an epoch that isn't its own."""
        model, source = self.models[run], self.models[other]
        settlements = [
            Settlement(claimed.id, claimed.epoch + stale, status, "an error" if kept else None)
            for tenant, status in ends
            if (claimed := source.started.get(tenant))
        ]
        turn = self.wait(self.ours.turn(run, settlements, []))
        if run == other and not stale:
            # Those with nothing to keep are settled together, after the others: the order within a turn means nothing.
            for tenant in dict.fromkeys(tenant for tenant, _ in ends):
                if model.states.get(tenant) is RUNNING:
                    execution = self.wait(self.ours.find_execution(run, tenant))
                    assert execution.status in {status for ended, status in ends if ended == tenant}
                    model.move(tenant, execution.status)
            model.close_if_done()
        assert turn.counts == model.counts

    @rule(run=runs, status=st.sampled_from([CANCELLED, SKIPPED]), error=st.sampled_from([None, None, "an error"]))
    def end(self, run: str, status: ExecutionStatus, error: str | None) -> None:
        model = self.models[run]
        if model.selecting:
            return
        if error is not None and model.open:
            model.error = error
        self.wait(self.ours.end(run, status, "not started", error=error))
        model.move_all(QUEUED, status)
        model.close_if_done()

    @rule(run=runs)
    def abandon(self, run: str) -> None:
        model = self.models[run]
        if not (model.open and model.selecting):
            return
        self.wait(self.ours.abandon(run))
        self._interrupt(model)

    @rule()
    def die(self) -> None:
        """Be taken for dead by another process, and go on all the same."""
        if not self.alive:
            return
        self.alive = False
        self.store.kill(self.ours)
        assert self.wait(self.rescuer.rescue()) == sum(model.open for model in self.models.values())
        for model in self.models.values():
            model.owned = False
            if model.open:
                self._interrupt(model)

    @rule()
    def rescue_nobody(self) -> None:
        assert self.wait(self.rescuer.rescue()) == 0

    def _interrupt(self, model: Model) -> None:
        model.move_all(QUEUED, CANCELLED)
        model.move_all(RUNNING, CANCELLED)
        if model.selecting:
            model.status = RunStatus.CANCELLED
        model.selecting = False
        model.close_if_done()

    @invariant()
    def the_ledger_is_as_the_model(self) -> None:
        for id_, model in self.models.items():
            run = self.wait(self.rescuer.find_run(id_))
            found = (run.status, run.error, run.executions, run.selecting)
            assert found == (model.status, model.error, model.counts, model.selecting and model.open)
            assert [failure.tenant or "" for failure in run.failures] == sorted(
                tenant for tenant, state in model.states.items() if state is FAILED
            )
            self._executions_are_as_the_model(id_, model, self.rescuer)

    def _executions_are_as_the_model(self, id_: str, model: Model, ledger: Ledger) -> None:
        for tenant in TENANTS:
            execution = self.wait(ledger.find_execution(id_, tenant))
            assert (None if execution is None else execution.status) == model.states.get(tenant)
            if execution is not None:
                assert execution.attempts == (1 if tenant in model.started else 0)


def test_every_order_of_moves(new_store: NewStore) -> None:
    machine: Any = partial(Moves, new_store)  # whatever makes one will do
    given = settings(max_examples=new_store.examples(examples(120)), stateful_step_count=40, deadline=None)
    run_state_machine_as_test(machine, settings=given)
