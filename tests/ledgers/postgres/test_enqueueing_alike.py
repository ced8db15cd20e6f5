"""Many runs that differ in nothing but their arguments are written as each would be by itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from pinstripe.ledger import RunFilter
from pinstripe.ledgers.postgres.enqueueing import PART
from pinstripe.limits import Limits
from pinstripe.priority import Priority
from pinstripe.run import Trigger
from tests.ledgers.conftest import START
from tests.ledgers.moves import new_run
from tests.ledgers.queue.moves import claim, new_work

if TYPE_CHECKING:
    from pinstripe.ledger import Ledger
    from pinstripe.queue import NewWork
    from tests.ledgers.stores import PostgresStore

pytestmark = pytest.mark.anyio

CALLS: list[tuple[list[Any], dict[str, Any]]] = [
    ([], {}),
    (["größe😀 \\ \"'{}"], {}),
    ([10**30, -0.0, 1e300, 1.0, True, None], {"deep": [[{"a": []}]]}),
    ([], {"später": "{1,2}"}),
    *[([number], {}) for number in range(8)],
]
FULL = {
    "priority": Priority.BULK,
    "due_at": START - 1,
    "key_tenant": "acme",
    "crashes": 0,
    "limits": Limits(total=3),
    "schedule": "nightly",
    "scheduled_for": START - 2,
    "retry_until": START + 3,
    "spread": 4,
    "trigger": Trigger.SCHEDULE,
    "selection": {"tenants": ["acme"]},
    "retry_of": "one id",
    "origin": "another id",
    "parent": "a third",
    "trace": "00-1-2-01",
    "redacted": (0, "deep"),
}
"""Everything that works may have in common, each different from what it is by default."""

ITS_OWN = {"n", "id", "origin", "created_at", "args", "kwargs", "run", "chunk", "tag", "until", "ready_at"}


def works(*tenants: str, **given: Any) -> list[NewWork]:
    return [new_work(*tenants, **given, args=args, kwargs=kwargs) for args, kwargs in CALLS]


def rows(store: PostgresStore, table: str) -> list[dict[str, Any]]:
    """Give all rows of a table, in the order in which they were made."""
    key = "n" if table == "runs" else "id"
    found = store.fetch(f'select to_jsonb(t) from "{store.schema}".{table} t order by {key}')
    return [row for (row,) in found]


@pytest.mark.parametrize("given", [{}, FULL], ids=["plain", "full"])
@pytest.mark.parametrize("tenants", [(), ("acme",)], ids=["no tenant", "a tenant"])
async def test_what_is_alike_is_written_as_each_by_itself(
    store: PostgresStore, ledger: Ledger, tenants: tuple[str, ...], given: dict[str, Any]
) -> None:
    each, together = works(*tenants, **given), works(*tenants, **given)
    runs = [run for work in each for run in await ledger.queue.enqueue([work])]
    runs += await ledger.queue.enqueue(together)
    assert [run.id for run in runs] == [work.run.id for work in [*each, *together]]
    assert [await ledger.find_run(run.id) for run in runs] == runs
    for table in ("runs", "executions", "chunks"):
        found = [{name: value for name, value in row.items() if name not in ITS_OWN} for row in rows(store, table)]
        assert len(found) == 2 * len(CALLS)
        assert found[len(CALLS) :] == found[: len(CALLS)]
    written = [(json.loads(row["args"]), json.loads(row["kwargs"])) for row in rows(store, "runs")]
    assert repr(written) == repr(CALLS * 2)
    assert [row["origin"] for row in rows(store, "runs")] == [given.get("origin") or run.id for run in runs]
    assert [(row["until"] - row["tag"]) for row in rows(store, "chunks")] == [1] * len(runs)
    assert [row["run"] for row in rows(store, "chunks")] == [row["n"] for row in rows(store, "runs")]


async def test_what_is_alike_is_started_in_its_order_after_what_waits(worker: Ledger) -> None:
    before = await worker.queue.enqueue([new_work()])
    runs = before + await worker.queue.enqueue(works()) + await worker.queue.enqueue([new_work()])
    assert [started.run.id for started in await claim(worker)] == [run.id for run in runs]


async def test_two_flows_take_turns(worker: Ledger) -> None:
    await worker.queue.enqueue(works("a"))
    await worker.queue.enqueue(works("b"))
    assert [started.tenant for started in await claim(worker, 6)] == ["a", "b"] * 3


async def test_all_of_them_or_none(ledger: Ledger) -> None:
    twice = new_run()
    alike = [new_work()._replace(run=twice) for _ in range(5)]
    with pytest.raises(Exception, match="unique"):
        await ledger.queue.enqueue(alike)
    assert await ledger.list_runs(RunFilter()) == []


@pytest.mark.parametrize("due_at", [None, START + 3_600_000_000], ids=["at once", "later"])
@pytest.mark.parametrize("isolation", ["read_committed", "repeatable_read"])
async def test_more_than_a_part_is_written_whole_in_several_statements(
    store: PostgresStore, ledger: Ledger, isolation: Any, due_at: int | None
) -> None:
    given = [new_work("acme", args=[number], due_at=due_at) for number in range(2 * PART + 1)]
    connection = await asyncpg.connect(store.address.partition("#")[0])
    said: list[str] = []
    try:
        with connection.query_logger(lambda record: said.append(record.query)):
            async with connection.transaction(isolation=isolation):
                runs = await ledger.queue.enqueue(given, connection)
    finally:
        await connection.close()
    runs += await ledger.queue.enqueue(given := [work._replace(run=new_run(args=work.run.args)) for work in given])
    assert sum("insert into" in sql and "executions" in sql for sql in said) == 3
    assert [json.loads(row["args"]) for row in rows(store, "runs")] == [[number] for number in range(2 * PART + 1)] * 2
    assert [row["id"] for row in rows(store, "runs")] == [run.id for run in runs]
    assert [row["run"] for row in rows(store, "executions")] == [row["n"] for row in rows(store, "runs")]
    tags = [row["tag"] for row in rows(store, "chunks")]
    assert tags == [*range(tags[0], tags[0] + len(runs))] if due_at is None else not tags


def test_everything_is_tried_that_works_may_have_in_common() -> None:
    rules = {"run", "tenants", "key", "overlap", "local_time"}
    assert {*FULL} | rules | {"id", "job", "args", "kwargs"} == {*new_work()._fields, *new_run()._fields}
