"""One execution of a worker, from its claim to its settlement."""

from __future__ import annotations

import logging
import random
from contextlib import suppress
from contextvars import Context, copy_context
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from pinstripe.executing import CURRENT
from pinstripe.names import full_name
from pinstripe.retry import Retry
from pinstripe.run import ExecutionStatus
from pinstripe.settlement import ended, hand_back, settlement_of

if TYPE_CHECKING:
    from pinstripe.assignment import Assignment
    from pinstripe.attempts import Attempts
    from pinstripe.definition import Definition
    from pinstripe.executor import Execution
    from pinstripe.ledger import Settlement
    from pinstripe.outcome import Outcome
    from pinstripe.queue import Started

NO_RETRIES = Retry.of(None)

_log = logging.getLogger("pinstripe")


class Going:
    """One execution that is claimed and unsettled."""

    __slots__ = ("_attempts", "_began", "_released", "definition", "execution", "started")

    def __init__(self, attempts: Attempts, started: Started, definition: Definition) -> None:
        """Take what was `started`, and its job."""
        self._attempts = attempts
        self._began = monotonic()
        self._released: bool | None = None  # None as long as nobody has stopped it
        self.started = started
        self.definition = definition
        self.execution: Execution | None = None
        """What executes it; None until its tenant is found."""

    @property
    def is_open(self) -> bool:
        """Whether it has no settlement yet."""
        return self._attempts.running.get(self.started.id) is self

    def stop(self, reason: str, *, released: bool = False) -> None:
        """Stop it, once: cancelled with `reason`, or `released` to be done by another process."""
        if self._released is not None:
            return
        self._released = released
        if self.execution is not None:
            self.execution.cancel(reason)
        elif released:
            self.settle(hand_back(self.started))
        else:
            self.settle(ended(self.started, ExecutionStatus.CANCELLED, reason))

    def end(self, _assignment: Assignment | None, outcome: Outcome) -> None:
        """Take the outcome; called on the event loop."""
        started, clock, retry = self.started, self._attempts.clock, self.definition.retry
        released = bool(self._released)
        try:
            settlement = settlement_of(started, outcome, retry, now=clock.now, jitter=_jitter, released=released)
        except Exception:  # noqa: BLE001 - what an author wrote there loses no execution
            _log.exception("%s: its retries can't be told, so that it is not tried again", self.definition.name)
            settlement = settlement_of(started, outcome, NO_RETRIES, now=clock.now, jitter=_jitter)
        if settlement.error is not None:
            with suppress(Exception):  # a logging handler of the application's may raise
                if outcome.unstarted and outcome.exception is not None:
                    context = copy_context()
                    context.run(CURRENT.set, None)  # or else it would be a line of the execution's output
                    context.run(self._attempts.warn, started.run.job, "what is queued of it waits", outcome.exception)
                else:
                    self._tell(settlement, outcome)
        self.settle(settlement)

    def _tell(self, settlement: Settlement, outcome: Outcome) -> None:
        """Log what went wrong, for whoever watches the worker; the ledger has the traceback."""
        started = self.started
        who = started.run.job + (f" for tenant {_in_a_line(started.tenant)}" if started.tenant else "")
        level, what = logging.WARNING, "failed"
        if settlement.crash:
            what = "lost its process"
        elif settlement.status is ExecutionStatus.QUEUED:
            what = "failed and is tried again"
        elif settlement.status is not ExecutionStatus.FAILED:
            level, what = logging.INFO, f"was {settlement.status}"
        error = "\n  ".join(map(_in_a_line, (settlement.error or "").splitlines()))
        facts = (who, what, started.run.id, started.attempt, error)
        told: dict[str, object] = {} if self.execution is None else self.execution.facts()
        if outcome.exception is not None:
            kind = type(outcome.exception)
            message = (settlement.error or "").removeprefix(f"{kind.__qualname__}: ")
            told["exception"] = {"type": full_name(kind), "message": message, "stack": settlement.traceback}
        context = Context()  # in no job's output
        context.run(partial(_log.log, extra={"pinstripe": told}), level, "%s %s (run %s, attempt %d): %s", *facts)

    def settle(self, settlement: Settlement) -> None:
        """End it by a settlement, unless it has one."""
        if self.is_open:
            del self._attempts.running[self.started.id]
            self._attempts.settle(settlement)
            tallies = self._attempts.executor.tallies
            if tallies is not None and settlement.status is not ExecutionStatus.QUEUED:
                tallies.count(self.started.run.job, settlement.status, int((monotonic() - self._began) * 1_000_000))


def _jitter() -> float:
    return random.uniform(-1, 1)  # noqa: S311 - it parts retries in time, and hides nothing


def _in_a_line(text: str) -> str:
    """Write what can't be seen by its number, so that no id or error makes lines of its own, or steers a terminal."""
    if text.isprintable():
        return text
    seen = "\t\u00a0\u202f\u3000"
    return "".join(one if one.isprintable() or one in seen else one.encode("unicode_escape").decode() for one in text)
