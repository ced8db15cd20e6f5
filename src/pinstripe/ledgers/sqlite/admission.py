"""Admission: the one door from held to ready, and how ready executions are put in order. Functions of a transaction."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pinstripe.ledgers.sqlite.pausing import read_pauses
from pinstripe.ledgers.sqlite.settling import following
from pinstripe.ledgers.sqlite.statements import statement
from pinstripe.priority import Priority
from pinstripe.queue import Held

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import apsw

    from pinstripe.engine import Engine, Ticket

PAGE = 500
"""How many executions are admitted, held back or given back in one transaction: some milliseconds."""

_LAST_BAND = len(Priority) - 1

FIRST = ("", "")
"""Before all jobs and tenants."""


class Admission:
    """What becomes ready in one transaction: `minted` tells whether anything did."""

    def __init__(self, connection: apsw.Connection, engine: Engine[apsw.Connection], now: int) -> None:
        """Work on a `connection` that is in a transaction, at `now` in microseconds UTC."""
        self._connection = connection
        self._engine = engine
        self._now = now
        self.minted = False
        self._firm: set[tuple[str, str, int]] = set()
        self._places: dict[tuple[str, int, str], int] = {}

    def admit_due(self) -> bool:
        """Make ready what was held until now; tell whether there may be more of it."""
        rows = self._rows("due_executions", {"now": self._now, "limit": PAGE})
        self.make_ready(rows)
        return len(rows) == PAGE

    def admit_resumed(self) -> bool:
        """Make ready what was held by a pause that is over; tell whether there may be more of it.

        It goes from job to job and from tenant to tenant: as many looks as there are pauses, however much each holds.
        """
        pauses = read_pauses(self._connection)
        rows: list[Any] = []
        at = ("", "")
        while len(rows) < PAGE and (found := self._rows("next_paused", at)):
            job, tenant = found[0]
            if pauses.holds_job(job):
                at = following(job), ""
                continue
            if not pauses.holds_tenant(job, tenant):
                rows += self._rows("paused_of_tenant", (job, tenant, PAGE - len(rows)))
            at = job, following(tenant)
        self.make_ready(rows)
        return len(rows) == PAGE

    def make_ready(self, rows: Iterable[Sequence[Any]], *, in_front: bool = False) -> None:
        """Make executions ready, given as id and run: those of a run in one chunk, behind what its flow has waiting.

        Those `in_front` of it have had their turn there already, and were held then.
        """
        by_run: dict[int, list[int]] = {}
        for id_, run, *_ in rows:
            by_run.setdefault(run, []).append(id_)
        for run, ids in by_run.items():
            flow, band = self._rows("flow_of", (run,))[0]
            if flow is None:
                self._hide(run, ids)
                continue
            tag = next_tag(self._connection, band, flow, "front_tag" if in_front else "next_tag")
            if in_front:
                self._connection.execute(statement("finish_flow"), (band, flow, tag + len(ids)))
            chunk = self._rows("new_chunk", (run, flow, band, tag, tag + len(ids), self._now))[0][0]
            self._connection.execute(statement("make_ready"), {"chunk": chunk, "ids": json.dumps(ids)})
            self._engine.mint(self._connection, [chunk])
            self.minted = True

    def _hide(self, run: int, ids: Sequence[int]) -> None:
        """Put executions of a run whose tenants are still being selected into a chunk that its end makes ready."""
        chunk = self._rows("hidden_chunk", {"run": run})[0][0]
        self._connection.execute(statement("fill_chunk"), {"chunk": chunk, "size": len(ids)})
        self._connection.execute(statement("make_ready"), {"chunk": chunk, "ids": json.dumps(ids)})

    # Limits: an execution of a limited job takes up a slot from when it is admitted, or started, to when it ends.

    def take_slot(self, execution: int, job: str, tenant: str, band: int) -> Held | None:
        """Take a slot for an execution of a `band`; where there is none, tell by which limit.

        One that a lower band has and doesn't use yet is taken from it: who is urgent doesn't wait with it for its turn.
        """
        connection = self._connection
        if connection.execute(statement("slot_of"), (execution,)).fetchone() is not None:
            return None
        row = connection.execute(statement("limits_of"), (job,)).fetchone()
        if row is None:
            return None
        total, per_tenant = row
        full = per_tenant is not None and self._count("slots_of_tenant", (job, tenant)) >= per_tenant
        if full and not self._take_over("lesser_of_tenant", job, tenant, band):
            return Held.TENANT_LIMIT
        full = total is not None and self._count("slots_of_job", (job,)) >= total
        if full and not self._take_over("lesser_of_job", job, "", band):
            return Held.LIMIT
        connection.execute(statement("take_slot"), (execution, job, tenant))
        return None

    def hold_limited(self, execution: int, job: str, tenant: str, ticket: Ticket, tag: int) -> None:
        """Let a ready execution wait for a slot of its job; `tag` is its own in the order of its `ticket`'s band."""
        key = job, ticket.band, ticket.flow
        place = self._places.get(key)
        if place is None:
            name = "place_of_run" if ticket.flow.startswith("r:") else "place_of_tenant"
            values = {"job": job, "tenant": tenant, "run": ticket.run, "band": ticket.band}
            place = self._rows(name, values)[0][0]
        tag = tag if place is None else min(tag, place)
        self._places[key] = tag + 1
        change = {"id": execution, "held": str(Held.LIMIT), "band": ticket.band, "tag": tag}
        self._connection.execute(statement("hold"), change)

    def _take_over(self, name: str, job: str, tenant: str, band: int) -> bool:
        """Let one of a lower band that is ready wait again, and its slot be free."""
        key = job, tenant, band
        if band == _LAST_BAND or key in self._firm:
            return False
        found = self._rows(name, {"job": job, "tenant": tenant, "band": band})
        if not found:
            self._firm.add(key)
            return False
        id_, chunk, its_band, tag = found[0]
        values = {"id": id_, "held": str(Held.LIMIT), "band": its_band, "tag": tag}
        self._connection.execute(statement("hold"), values)
        self._connection.execute(statement("free_slots"), {"ids": json.dumps([id_])}).fetchall()
        self._connection.execute(statement("empty_chunks"), {"chunks": json.dumps([chunk])})  # it was alone there
        return True

    def free_slots(self, ids: str) -> None:
        """Give back the slots of executions (ids as a JSON list), and admit whom they kept waiting."""
        self.slots_freed(self._connection.execute(statement("free_slots"), {"ids": ids}).fetchall())

    def slots_freed(self, freed: Iterable[Sequence[Any]]) -> None:
        """Admit whom slots kept waiting that are `freed`, each given as its job and tenant."""
        jobs: dict[str, None] = {}
        for job, tenant in freed:
            jobs[job] = None
            self._uncap(job, tenant)
        for job in jobs:
            self.admit_limited(job)

    def admit_limited(self, job: str) -> bool:
        """Make ready what the limits of a job hold, in the order of the tags, as far as there are slots.

        One whose tenant has none left waits from then on for that tenant's, so that nobody waits behind it. Tells
        whether there may be more.
        """
        row = self._connection.execute(statement("limits_of"), (job,)).fetchone()
        total, per_tenant = row or (None, None)
        for _ in range(PAGE):
            if total is not None and self._count("slots_of_job", (job,)) >= total:
                return False
            found = self._rows("first_limited", (job,))
            if not found:
                return False
            id_, run, tenant = found[0]
            if per_tenant is not None and self._count("slots_of_tenant", (job, tenant)) >= per_tenant:
                self._connection.execute(statement("cap"), (id_,))
                continue
            if row is not None:
                self._connection.execute(statement("take_slot"), (id_, job, tenant))
            self.make_ready([(id_, run)], in_front=True)
            self._firm.clear()
        return True

    def admit_all_limited(self, first: tuple[str, str] = FIRST) -> tuple[str, str] | None:
        """Look after what limits hold without need, as where they have been changed, from one tenant to the next.

        That is a page of what waits for its tenant's limit, from the job and tenant `first` on; give where the next
        page begins, None after the last.
        """
        more = self._uncap_page(first)
        last = ""
        while found := self._rows("next_limited_job", (last,)):
            last = found[0][0]
            if self.admit_limited(last):
                more = more or first
        return more

    def _uncap_page(self, first: tuple[str, str]) -> tuple[str, str] | None:
        at, left = first, PAGE
        for _ in range(PAGE):
            found = self._rows("next_capped_tenant", at)
            if not found:
                return None
            job, tenant = found[0]
            row = self._connection.execute(statement("limits_of"), (job,)).fetchone()
            free = left
            if row is not None and row[1] is not None:
                free = min(left, row[1] - self._count("slots_of_tenant", (job, tenant)))
            if free > 0:
                left -= self._uncap(job, tenant, free)
            if not left:
                return at  # there may be more of that tenant
            at = job, following(tenant)
        return at

    def _uncap(self, job: str, tenant: str, most: int = 1) -> int:
        self._connection.execute(statement("uncap"), {"job": job, "tenant": tenant, "most": most})
        return self._connection.changes()

    # Guards: of a schedule's executions for a tenant, one is unfinished at a time.

    def free_guards(self, ids: str) -> None:
        """Give back the guards of executions that are final (ids as a JSON list), each to who waits for it."""
        self.guards_freed(self._connection.execute(statement("free_guards"), {"ids": ids}).fetchall())

    def guards_freed(self, freed: Iterable[Sequence[Any]]) -> None:
        """Give guards that are `freed`, each given as its job, schedule and tenant, to who waits for them."""
        for job, schedule, tenant in freed:
            waiting = self._rows("next_overlapping", {"job": job, "schedule": schedule, "tenant": tenant})
            if waiting:
                id_, _run, due_at = waiting[0]
                self._connection.execute(statement("take_guard"), (job, schedule, tenant, id_))
                if due_at is not None and due_at > self._now:
                    values = {"held": str(Held.DUE), "band": None, "tag": None, "id": id_}
                    self._connection.execute(statement("hold"), values)
                else:
                    self.make_ready(waiting)

    def mend(self) -> None:
        """Give back the slots and guards of executions that have none to have; it looks at all there are."""
        self.slots_freed(self._rows("stale_slots", {"limit": PAGE}))
        self.guards_freed(self._connection.execute(statement("stale_guards"), {"limit": PAGE}).fetchall())

    def _rows(self, name: str, values: Any) -> list[Any]:
        return self._connection.execute(statement(name), values).fetchall()

    def _count(self, name: str, values: tuple[Any, ...]) -> int:
        return int(self._rows(name, values)[0][0])


def next_tag(connection: apsw.Connection, band: int, flow: str, name: str = "next_tag") -> int:
    """Give the tag of the next chunk of a flow: start-time fair queueing, each execution at a cost of 1.

    It is the band's, or where the flow has been served or waits to, whichever is further. See Goyal, Vin and Cheng,
    "Start-time fair queueing", SIGCOMM 1996.
    """
    rows: list[Any] = connection.execute(statement(name), (band, flow)).fetchall()
    return int(rows[0][0])
