"""The claim: who of those that are ready may start, in the order of the queue. Functions of a transaction."""

from __future__ import annotations

import json
import time
from itertools import groupby
from typing import TYPE_CHECKING, Any

from pinstripe.ledgers.pauses import PAUSED
from pinstripe.ledgers.picking import Pick, merge
from pinstripe.ledgers.sqlite.pausing import read_pauses
from pinstripe.ledgers.sqlite.settling import end_ids
from pinstripe.ledgers.sqlite.statements import statement
from pinstripe.ledgers.works import read_queued_run
from pinstripe.queue import Held, Started
from pinstripe.run import ExecutionStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import apsw

    from pinstripe.engine import Engine
    from pinstripe.ledgers.sqlite.admission import Admission

CLAIM_TIME = 0.005
"""Seconds after which a claim takes no further tickets, so that other processes get their turn."""


class Claim:
    """One claim: `started` are the rows of what was started; `more` tells that there may be more, for want of time."""

    def __init__(
        self, connection: apsw.Connection, engine: Engine[apsw.Connection], admission: Admission, owner: int, now: int
    ) -> None:
        """Work on a `connection` that is in a transaction, for the process with the row `owner`."""
        self._connection = connection
        self._engine = engine
        self._admission = admission
        self._owner = owner
        self._now = now
        self._served: dict[int, int] = {}
        self._finished: dict[tuple[int, str], int] = {}
        self.started: list[tuple[Any, ...]] = []
        self.more = False

    def take(self, slots: int) -> None:
        """Start up to `slots` executions."""
        pauses, limits, stops = self._rows("restrictions")[0]
        rules = _Rules(self._connection) if pauses or limits or stops else None
        until = time.monotonic() + CLAIM_TIME
        while len(self.started) < slots:
            if time.monotonic() > until:
                self.more = True
                break
            tickets = self._engine.take(self._connection, slots - len(self.started))
            if not tickets:
                break
            picks = merge(tickets, slots - len(self.started))
            if rules is None:
                self._start(picks)
            elif pauses or stops:
                self._sift(picks, rules)
            else:
                self._sift_limited(picks, rules)
        self._note_served()

    def _start(self, picks: Sequence[Pick]) -> None:
        """Start what was picked, where nothing can hold it back."""
        values: dict[str, Any] = {"owner": self._owner, "now": self._now}
        order = {pick.ticket.chunk: place for place, pick in enumerate(picks)}
        whole = [pick.ticket.chunk for pick in picks if pick.is_whole]
        started: list[tuple[Any, ...]] = []
        if whole:
            written = json.dumps(whole)
            started += self._rows("start_chunks", values | {"chunks": written})
            self._connection.execute(statement("empty_chunks"), {"chunks": written})
        for pick in picks:
            if not pick.is_whole:
                found = self._rows("start_some", values | {"chunk": pick.ticket.chunk, "most": pick.many})
                started += found
                self._move(pick, len(found), len(found))
        started.sort(key=lambda row: (order[row[7]], row[0]))
        self.started += started
        for pick in picks:
            self._serve(pick, pick.many)

    def _sift_limited(self, picks: Sequence[Pick], rules: _Rules) -> None:
        """Sift what is of jobs that have limits, and just start the rest, in their order: it is twice as fast."""
        written = json.dumps([pick.ticket.run for pick in picks])
        limited = {run for (run,) in self._rows("limited_runs", (written,))}
        for is_limited, some in groupby(picks, lambda pick: pick.ticket.run in limited):
            if is_limited:
                self._sift([*some], rules)
            else:
                self._start([*some])

    def _sift(self, picks: Sequence[Pick], rules: _Rules) -> None:
        """Start of what was picked what may start, and hold or end the rest."""
        for pick in picks:
            ticket = pick.ticket
            rows = self._rows("candidates", {"chunk": ticket.chunk, "most": pick.many})
            ended: dict[tuple[ExecutionStatus, str], list[int]] = {}
            to_start: list[int] = []
            for place, (id_, *facts) in enumerate(rows):
                verdict = rules.judge(*facts)
                if verdict is None:
                    verdict = self._admission.take_slot(id_, facts[1], facts[0], ticket.band)
                if verdict is None:
                    to_start.append(id_)
                elif verdict is Held.LIMIT:
                    self._admission.hold_limited(id_, facts[1], facts[0], ticket, ticket.tag + place)
                elif isinstance(verdict, Held):
                    self._hold(id_, verdict, ticket.band, ticket.tag + place)
                else:
                    ended.setdefault(verdict, []).append(id_)
            for (status, reason), ids in ended.items():
                end_ids(self._connection, self._admission, ids, status, reason, self._now)
            if to_start:
                values = {"owner": self._owner, "now": self._now, "ids": json.dumps(to_start)}
                self.started += sorted(self._rows("start_ids", values))
                self._serve(pick, len(to_start))
            if pick.is_whole:
                self._connection.execute(statement("empty_chunks"), {"chunks": json.dumps([ticket.chunk])})
            else:
                self._move(pick, len(rows), len(rows) - sum(map(len, ended.values())))

    def _hold(self, execution: int, held: Held, band: int, tag: int) -> None:
        """Hold an execution that is ready; what it took up of its job's limits goes to another one."""
        values = {"id": execution, "held": str(held), "band": band, "tag": tag}
        self._connection.execute(statement("hold"), values)
        if held is Held.PAUSED:
            self._admission.free_slots(json.dumps([execution]))

    def _move(self, pick: Pick, found: int, turns: int) -> None:
        """Leave a chunk with what it still holds; one in which less was found than it said holds nothing more.

        What is ended takes no turn. What is held does: by that place it is admitted, among all whom its limit holds.
        """
        chunk = pick.ticket.chunk
        if found < pick.many:
            self._connection.execute(statement("empty_chunks"), {"chunks": json.dumps([chunk])})
        else:
            self._connection.execute(statement("move_chunk"), (turns, found - turns, chunk))

    def _serve(self, pick: Pick, started: int) -> None:
        ticket = pick.ticket
        self._served[ticket.band] = max(ticket.tag + started - 1, self._served.get(ticket.band, 0))
        if pick.is_whole:
            key = ticket.band, ticket.flow
            self._finished[key] = max(ticket.tag + started, self._finished.get(key, 0))

    def _note_served(self) -> None:
        """Keep how far bands and flows have been served, as far as that says anything."""
        for band, served in self._served.items():
            self._connection.execute(statement("served"), (band, served))
        rows = [(band, flow, finish) for (band, flow), finish in self._finished.items() if finish > self._served[band]]
        if rows:
            self._connection.executemany(statement("finish_flow"), rows)

    def _rows(self, name: str, values: Any = ()) -> list[Any]:
        return self._connection.execute(statement(name), values).fetchall()


class _Rules:
    """What may keep a ready execution from being started, read once a claim."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._pauses = read_pauses(connection)

    def judge(
        self, tenant: str, job: str, stop: str | None, is_one_of_many: int
    ) -> Held | tuple[ExecutionStatus, str] | None:
        """Tell why an execution may not start: what holds it, or how it ends. None: nothing but limits may."""
        if stop is not None:
            return ExecutionStatus.CANCELLED, stop
        if self._pauses.holds_job(job):
            return Held.PAUSED
        if self._pauses.holds_tenant(job, tenant):
            # A run for several tenants must come to its end; who is resumed later is run by `retry-run --skipped`.
            return (ExecutionStatus.SKIPPED, PAUSED) if is_one_of_many else Held.PAUSED
        return None


def begin_runs(connection: apsw.Connection, rows: Iterable[Sequence[Any]], now: int) -> list[Started]:
    """Let runs be `running` of which something was started; give what was started, with what a worker needs to know."""
    rows = list(rows)
    if not rows:
        return []
    written = {"runs": json.dumps(list({row[1] for row in rows}))}
    connection.execute(statement("runs_begun"), written | {"now": now})
    runs = {row[0]: read_queued_run(row) for row in connection.execute(statement("runs_to_work"), written)}
    return [
        Started(id_, runs[run], tenant, epoch, attempt, bool(solo), crashes)
        for id_, run, tenant, epoch, attempt, solo, crashes, _chunk in rows
    ]
