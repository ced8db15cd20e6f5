"""Many runs that differ in nothing but their arguments are written as each would be by itself."""

from __future__ import annotations

import itertools
import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe.clock import to_datetime
from pinstripe.engines.embedded import EmbeddedEngine
from pinstripe.ledgers.sqlite.connection import connect, log_ahead
from pinstripe.ledgers.sqlite.enqueueing import Enqueueing
from pinstripe.ledgers.sqlite.enqueueing_alike import enqueue_alike
from pinstripe.ledgers.sqlite.schema import migrate
from pinstripe.ledgers.sqlite.statements import statement
from pinstripe.ledgers.works import are_alike, new_queued_run, new_queued_runs
from pinstripe.limits import Limits
from pinstripe.priority import Priority
from pinstripe.run import Trigger
from tests.ledgers.moves import new_run
from tests.ledgers.queue.moves import new_work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import apsw

    from pinstripe.queue import NewWork

NOW = 1_790_000_000_000_000
TEXTS = st.text(st.characters(exclude_characters="\0", codec="utf-8"))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=10)
CALLS = st.lists(st.tuples(st.lists(VALUES, max_size=3), st.dictionaries(TEXTS, VALUES, max_size=3)), min_size=5)
LATER = st.none() | st.integers(NOW - 2, NOW + 2)
TERMS = st.fixed_dictionaries(
    {
        "tenants": st.sampled_from([[""], ["acme"], ["größe 'x'"]]),
        "priority": st.sampled_from(Priority),
        "due_at": LATER,
        "key_tenant": st.sampled_from(["", "acme"]),
        "crashes": st.integers(0, 3),
        "limits": st.none() | st.builds(Limits, total=st.none() | st.integers(1, 3), per_tenant=st.integers(1, 3)),
        "schedule": st.none() | st.just("nightly"),
        "scheduled_for": LATER,
        "retry_until": LATER,
        "spread": st.none() | st.integers(0, 10),
    }
)
ASKED = st.fixed_dictionaries(
    {
        "trigger": st.sampled_from(Trigger),
        "selection": st.dictionaries(TEXTS, VALUES, max_size=2),
        "retry_of": st.none() | st.just("an id"),
        "origin": st.none() | st.just("another id"),
        "parent": st.none() | st.just("a third"),
        "trace": st.none() | st.just("00-1-2-01"),
        "redacted": st.sampled_from([(), (0, "token")]),
    }
)
OTHERS: dict[str, tuple[object, object]] = {
    "tenants": (["a"], ["b"]),
    "priority": (Priority.BULK, Priority.DEFAULT),
    "due_at": (None, NOW),
    "key_tenant": ("", "a"),
    "crashes": (1, 2),
    "limits": (None, Limits(total=1)),
    "schedule": (None, "nightly"),
    "scheduled_for": (NOW, NOW + 1),
    "retry_until": (None, NOW),
    "spread": (None, 1),
    "job": ("greet", "part"),
    "trigger": (Trigger.CODE, Trigger.API),
    "selection": ({}, {"tenants": ["a"]}),
    "retry_of": (None, "an id"),
    "origin": (None, "an id"),
    "parent": (None, "an id"),
    "trace": (None, "00-1-2-01"),
    "redacted": ((), (0,)),
}
"""Two values of each thing that works may have in common."""


@pytest.fixture(scope="module")
def new_connection(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], apsw.Connection]:
    """Give what makes connections to ledgers of their own that were there before."""
    path = tmp_path_factory.mktemp("ledgers") / "ledger.db"
    with closing(connect(path, write=True)) as connection:
        log_ahead(connection, path)
        migrate(connection, path)
        put_each(connection, [new_work(tenant) for tenant in ("", "acme", "globex")])
        connection.pragma("wal_checkpoint", "truncate")
    copies = itertools.count()

    def copy() -> apsw.Connection:
        return connect(_copied(path, next(copies)), write=True)

    return copy


def _copied(path: Path, number: int) -> Path:
    copy = path.with_name(f"{number}.db")
    copy.write_bytes(path.read_bytes())
    return copy


def engine(connection: apsw.Connection) -> EmbeddedEngine:
    """Give the engine of a ledger that is not open."""
    return EmbeddedEngine(Path("nowhere"), connection, take=statement("take_tickets"))


def put_each(connection: apsw.Connection, works: Sequence[NewWork]) -> None:
    """Write each work by itself."""
    with connection:
        gathered = Enqueueing(connection, engine(connection), NOW, works[0])
        assert all(is_new for _, is_new in map(gathered.add, works))
        gathered.write()


def put_alike(connection: apsw.Connection, works: Sequence[NewWork]) -> None:
    """Write all works together."""
    with connection:
        enqueue_alike(connection, engine(connection), NOW, works)


def rows(connection: apsw.Connection) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Give all rows of each table, with what JSON says instead of how it is written."""
    tables = connection.execute("select name from sqlite_schema where type = 'table' order by name").fetchall()
    for (table,) in tables:
        assert isinstance(table, str)
        cursor = connection.execute(f'select * from "{table}" order by 1, 2')
        found = [dict(zip(names(cursor), row, strict=True)) for row in cursor]
        for row in found:
            row.update({name: repr(json.loads(row[name])) for name in ("args", "kwargs") if name in row})
        yield table, found


def names(cursor: apsw.Cursor) -> list[str]:
    return [name for name, _ in cursor.getdescription()]


@given(TERMS, ASKED, CALLS)
def test_what_is_alike_is_written_as_each_by_itself(
    new_connection: Callable[[], apsw.Connection],
    terms: dict[str, Any],
    asked: dict[str, Any],
    calls: list[tuple[list[Any], dict[str, Any]]],
) -> None:
    works = [new_work(**terms, **asked, args=args, kwargs=kwargs) for args, kwargs in calls]
    assert are_alike(works)
    with closing(new_connection()) as one, closing(new_connection()) as other:
        put_each(one, works)
        put_alike(other, works)
        put_each(one, [new_work(*terms["tenants"])])  # which goes on where they end
        put_each(other, [new_work(*terms["tenants"])])
        for (table, expected), (_, found) in zip(rows(one), rows(other), strict=True):
            for row in (*expected[-1:], *found[-1:]):
                row.update({name: "its own" for name in ("id", "reversed_id", "origin") if table == "runs"})
            assert (table, found) == (table, expected)
    created = to_datetime(NOW)
    assert new_queued_runs(works, created) == [new_queued_run(work, created) for work in works]


def test_more_than_a_part_is_written_whole(new_connection: Callable[[], apsw.Connection]) -> None:
    works = [new_work("acme", args=[number]) for number in range(2_500)]
    with closing(new_connection()) as one, closing(new_connection()) as other:
        put_each(one, works)
        put_alike(other, works)
        assert list(rows(other)) == list(rows(one))


@pytest.mark.parametrize("name", OTHERS)
def test_what_differs_in_anything_else_is_not_alike(name: str) -> None:
    one, other = OTHERS[name]
    of: dict[str, Any] = {"tenants": ["a"], name: one}
    works = [new_work(**of) for _ in range(10)]
    assert are_alike(works)
    assert not are_alike([*works, new_work(**{**of, name: other})])


@pytest.mark.parametrize(
    "given",
    [
        {"key": "inv-17"},
        {"overlap": "skip"},
        {"local_time": "2026-11-21 09:00"},
        {"tenants": None},
        {"tenants": []},
        {"tenants": ["a", "b"]},
    ],
)
def test_what_may_be_there_or_has_more_than_one_execution_is_written_by_itself(given: dict[str, Any]) -> None:
    assert not are_alike([new_work(**given) for _ in range(10)])


def test_a_few_are_written_by_themselves() -> None:
    assert not are_alike([new_work() for _ in range(4)])
    assert are_alike([new_work() for _ in range(5)])


def test_the_parts_of_what_is_alike_are_all_compared() -> None:
    """What is added to a work or its run is compared as well, or else it would be written of the first for all."""
    work = new_work()
    assert {*OTHERS} | {"key", "overlap", "local_time", "run"} | {"id", "args", "kwargs"} == {
        *work._fields,
        *new_run()._fields,
    }
