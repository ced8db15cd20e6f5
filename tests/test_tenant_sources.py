from __future__ import annotations

import asyncio
import sqlite3
import sys
import threading
from contextlib import closing
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from pinstripe.errors import ConfigurationError, TenantSourceFailed
from pinstripe.tenant_sources import (
    KEPT_TENANTS,
    Tenants,
    default_filter,
    describe_filter,
    filter_of,
    load_tenant_source,
    tenant_source_of,
)
from pinstripe.tenants import Tenant, TenantSource

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence

    from pinstripe.config import Settings

pytestmark = pytest.mark.anyio


async def ids(source: TenantSource) -> list[str]:
    return [tenant.id async for tenant in source]


async def add_ids(source: TenantSource, found: list[str]) -> None:
    """Add what is read until an error, so that a test sees what came before it."""
    async for tenant in source:
        found.append(tenant.id)  # noqa: PERF401 - a comprehension would lose it


ITEMS: list[dict[str, Any]] = [
    {"id": "acme", "active": True, "seats": 5},
    {"id": "bolt", "active": False, "seats": None},
    {"id": "cane", "active": True, "seats": 9},
]


def manners(items: Sequence[Any]) -> dict[str, object]:
    """Give the same items in every manner that a source may have."""

    def function() -> Sequence[Any]:
        return list(items)

    def generator() -> Iterator[Any]:
        yield from items

    async def coroutine() -> Sequence[Any]:
        return list(items)

    async def generator_asynchronously() -> AsyncIterator[Any]:
        for item in items:
            yield item

    class Iterable:
        def __iter__(self) -> Iterator[Any]:
            return iter(items)

    class AsyncIterable:
        async def __aiter__(self) -> AsyncIterator[Any]:
            for item in items:
                yield item

    class CallableObject:
        async def __call__(self) -> Sequence[Any]:
            return tuple(items)

    return {
        "list": list(items),
        "tuple": tuple(items),
        "function": function,
        "generator": generator,
        "coroutine": coroutine,
        "async generator": generator_asynchronously,
        "iterable": Iterable(),
        "async iterable": AsyncIterable(),
        "callable object": CallableObject(),
        "function that gives an iterator": lambda: iter(items),
        "function that gives an async generator": _called(generator_asynchronously),
        "function that gives a coroutine": _called(coroutine),
        "coroutine that gives a generator": _awaited(generator),
    }


def _called(function: Callable[[], object]) -> Callable[[], object]:
    return lambda: function()  # noqa: PLW0108 - a plain function around what isn't one


def _awaited(function: Callable[[], object]) -> Callable[[], Any]:
    async def call() -> object:
        return function()

    return call


@pytest.mark.parametrize("manner", manners([]))
async def test_every_manner_gives_the_same_and_can_be_read_again(manner: str) -> None:
    source = Tenants(manners(ITEMS)[manner])
    assert await ids(source) == ["acme", "bolt", "cane"]
    assert await ids(source.where(active=True)) == ["acme", "cane"]
    assert await ids(source.where(active=True).where(seats__gt=5)) == ["cane"]
    assert [tenant.seats async for tenant in source] == [5, None, 9]
    assert await ids(source.where(seats=[])) == []
    assert isinstance(source, TenantSource)


@pytest.mark.parametrize("manner", manners([]))
async def test_many_pages_come_whole_and_in_order(manner: str) -> None:
    source = Tenants(manners(range(2_500))[manner])
    assert await ids(source) == [str(number) for number in range(2_500)]
    assert [len(page) async for page in source.pages(1_000)] == [1_000, 1_000, 500]


# The oracle: the same filters as SQL, over a real database.

SQL_OPERATORS = {"": "=", "ne": "<>", "lt": "<", "gt": ">", "le": "<=", "ge": ">="}
TEXTS = st.text(alphabet="aA%_é\N{GRINNING FACE}", max_size=3)
NUMBERS = st.integers(-3, 3)
COLUMNS: Mapping[str, st.SearchStrategy[Any]] = {
    "name": TEXTS,
    "seats": NUMBERS,
    "share": st.sampled_from([-1.5, 0.0, 0.5, 2.0]),
    "active": st.booleans(),
}


def one_or_many(values: st.SearchStrategy[Any], *, null: bool) -> st.SearchStrategy[Any]:
    one = st.none() | values if null else values
    return one | st.lists(one, max_size=3)


@st.composite
def lookups(draw: st.DrawFn) -> dict[str, Any]:
    drawn: dict[str, Any] = {}
    for _ in range(draw(st.integers(0, 3))):
        column = draw(st.sampled_from(sorted(COLUMNS)))
        of_text = ("begins_with", "ends_with", "contains") if column == "name" else ()
        comparison = draw(st.sampled_from([*SQL_OPERATORS, *of_text]))
        value = draw(one_or_many(COLUMNS[column], null=comparison in ("", "ne")))
        drawn[f"{column}__{comparison}" if comparison else column] = value
    return drawn


ROWS = st.lists(st.fixed_dictionaries({name: st.none() | values for name, values in COLUMNS.items()}), max_size=12)


def as_sql(key: str, value: object) -> tuple[str, list[object]]:
    column, _, comparison = key.partition("__")
    values = value if isinstance(value, list) else [value]
    conditions, parameters = [], []
    for one in values:
        if one is None:
            conditions.append(f"{column} is {'not ' if comparison == 'ne' else ''}null")
        elif comparison in SQL_OPERATORS:
            conditions.append(f"{column} {SQL_OPERATORS[comparison]} ?")
            parameters.append(one)
        else:
            before, after = {"begins_with": ("", "%"), "ends_with": ("%", ""), "contains": ("%", "%")}[comparison]
            conditions.append(f"{column} like ? escape '\\'")
            escaped = str(one).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            parameters.append(before + escaped + after)
    if comparison == "ne":
        return " and ".join([f"{column} is not null", *conditions]), parameters
    return f"({' or '.join(conditions) or 'false'})", parameters


def by_sql(rows: list[dict[str, Any]], where: dict[str, Any]) -> list[str]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("pragma case_sensitive_like = on")
        connection.execute("create table tenants (id text, name text, seats integer, share real, active boolean)")
        connection.executemany("insert into tenants values (:id, :name, :seats, :share, :active)", rows)
        conditions = [as_sql(key, value) for key, value in where.items()]
        text = " and ".join(["true", *(condition for condition, _ in conditions)])
        parameters = [one for _, some in conditions for one in some]
        return [row[0] for row in connection.execute(f"select id from tenants where {text} order by rowid", parameters)]


@given(ROWS, lookups())
def test_every_manner_answers_as_sql_does(rows: list[dict[str, Any]], where: dict[str, Any]) -> None:
    items = [{"id": str(number), **row} for number, row in enumerate(rows)]
    expected = by_sql(items, where)

    async def answers() -> dict[str, list[str]]:
        kinds = {**manners(items), "objects": [SimpleNamespace(**item) for item in items]}
        return {kind: await ids(Tenants(source).where(**where)) for kind, source in kinds.items()}

    assert all(answer == expected for answer in asyncio.run(answers()).values())


@examples(max_examples=300)
@given(
    names=st.lists(TEXTS, min_size=1, max_size=20),
    comparison=st.sampled_from(["begins_with", "ends_with", "contains", "lt", "ge"]),
    value=st.text(alphabet="aA%_", min_size=1, max_size=1) | st.lists(TEXTS, max_size=3),
)
def test_text_is_compared_as_sql_does(names: list[str], comparison: str, value: object) -> None:
    others = {"seats": None, "share": None, "active": None}
    items = [{"id": str(number), "name": name, **others} for number, name in enumerate(names)]
    where = {f"name__{comparison}": value}
    assert asyncio.run(ids(Tenants(items).where(**where))) == by_sql(items, where)


@given(ROWS, lookups())
def test_a_row_of_a_driver_answers_as_sql_does(rows: list[dict[str, Any]], where: dict[str, Any]) -> None:
    items = [{"id": str(number), **row} for number, row in enumerate(rows)]

    def read() -> Iterator[sqlite3.Row]:  # the connection may only be used in one thread: that of this reading
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.row_factory = sqlite3.Row
            connection.execute("create table tenants (id text, name text, seats integer, share real, active boolean)")
            connection.executemany("insert into tenants values (:id, :name, :seats, :share, :active)", items)
            yield from connection.execute("select * from tenants order by rowid")

    assert asyncio.run(ids(Tenants(read).where(**where))) == by_sql(items, where)


async def test_a_narrower_source_leaves_the_wider_one_alone() -> None:
    everyone = Tenants(ITEMS)
    active = everyone.where(active=True)
    assert await ids(everyone) == ["acme", "bolt", "cane"]
    assert await ids(active) == ["acme", "cane"]
    assert repr(active.where(seats__ge=[5, 6])) == "Tenants(a list: active=True, seats__ge=[5, 6])"
    assert everyone.description == "all"


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ({"activ": True}, "tenant 'acme' of a list has no attribute 'activ'; the nearest is active"),
        ({"colour": "red"}, "no attribute 'colour'; it has id, active, seats"),
        ({"active": False, "seets": 1}, "no attribute 'seets'; the nearest is seats"),
        (
            {"seats__begins_with": "5"},
            r"tenant 'acme' of a list: where\(seats__begins_with='5'\): expected seats to be text",
        ),
    ],
)
async def test_a_wrong_lookup_is_an_error_and_never_nobody(where: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        await ids(Tenants(ITEMS).where(**where))


@pytest.mark.parametrize("manner", ["list", "function", "generator", "coroutine", "async generator", "iterable"])
async def test_what_came_before_a_bad_item_is_given_first(manner: str) -> None:
    source = Tenants(manners([{"id": "a"}, {"id": None}, {"id": "c"}])[manner], name="accounts")
    found: list[str] = []
    with pytest.raises(TenantSourceFailed, match="tenant source accounts failed: item 2 has a 'id' of type None"):
        await add_ids(source, found)
    assert found == ["a"]


def fails_at_once() -> list[str]:
    raise OSError("no route to host")


def fails_half_way() -> Iterator[str]:
    yield "a"
    yield "b"
    fails_at_once()


async def fails_at_once_asynchronously() -> list[str]:
    return fails_at_once()


async def fails_half_way_asynchronously() -> AsyncIterator[str]:
    yield "a"
    yield "b"
    fails_at_once()


@pytest.mark.parametrize("source", [fails_at_once, fails_at_once_asynchronously])
async def test_a_source_that_fails_is_never_empty(source: object) -> None:
    words = "tenant source fails_at_once.* failed: OSError: no route to host"
    with pytest.raises(TenantSourceFailed, match=words) as caught:
        await ids(Tenants(source))
    assert isinstance(caught.value.__cause__, OSError)
    with pytest.raises(TenantSourceFailed, match=words):
        await Tenants(source).by_ids(["a"])


@pytest.mark.parametrize("source", [fails_half_way, fails_half_way_asynchronously])
async def test_a_source_that_fails_half_way_fails(source: object) -> None:
    found: list[str] = []
    with pytest.raises(TenantSourceFailed, match="failed after 2 items: OSError: no route to host") as caught:
        await add_ids(Tenants(source), found)
    assert found == ["a", "b"]
    assert isinstance(caught.value.__cause__, OSError)


async def test_an_attribute_that_raises_fails_the_source() -> None:
    class Account:
        id = "a"

        @property
        def active(self) -> bool:
            raise OSError("the session is closed")

    with pytest.raises(TenantSourceFailed, match="after 1 items: OSError: the session is closed"):
        await ids(Tenants([Account()]).where(active=True))


@pytest.mark.parametrize("leaves", [SystemExit, KeyboardInterrupt, asyncio.CancelledError, StopIteration])
async def test_a_source_in_a_thread_can_neither_end_nor_cancel_the_process(leaves: type[BaseException]) -> None:
    def source() -> list[str]:
        raise leaves

    def generator() -> Iterator[str]:
        yield "a"
        raise leaves

    for one in (source, generator):
        with pytest.raises(TenantSourceFailed, match=leaves.__name__):
            await ids(Tenants(one))


async def test_cancelling_passes_through() -> None:
    waiting = asyncio.Event()

    async def source() -> AsyncIterator[str]:
        yield "a"
        waiting.set()
        await asyncio.Event().wait()

    reading = asyncio.create_task(ids(Tenants(source)))
    await waiting.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


async def test_a_source_stuck_in_its_thread_does_not_hold_up_a_cancellation() -> None:
    stuck, release, closed = threading.Event(), threading.Event(), threading.Event()

    def source() -> Iterator[str]:
        try:
            stuck.set()
            release.wait()
            yield "a"
        finally:
            closed.set()

    reading = asyncio.create_task(ids(Tenants(source)))
    await asyncio.to_thread(stuck.wait)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert not closed.is_set()
    release.set()
    await asyncio.to_thread(closed.wait)


@pytest.mark.parametrize("given", [None, 5, {"acme": 1}, "acme"])
async def test_a_function_must_give_tenants(given: object) -> None:
    with pytest.raises(TenantSourceFailed, match="tenant source accounts failed: expected tenants: a list or another"):
        await ids(Tenants(lambda: given, name="accounts"))


async def test_by_ids_gives_those_there_are_in_the_order_asked() -> None:
    source = Tenants(ITEMS)
    found = await source.by_ids(["cane", "nobody", "acme", "cane"])
    assert list(found) == ["cane", "acme"]
    assert found["cane"].seats == 9
    assert await source.by_ids([]) == {}
    assert list(await source.where(active=True).by_ids(["acme", "bolt"])) == ["acme"]


@dataclass
class Calls:
    """A source that counts how often it is read, and how far."""

    size: int
    begun: int = 0
    given: int = 0
    closed: int = 0

    async def read(self) -> AsyncIterator[int]:
        self.begun += 1
        try:
            for number in range(self.size):
                self.given += 1
                yield number
        finally:
            self.closed += 1


@dataclass
class HandClock:
    """A clock that is turned by hand."""

    seconds: float = 100.0

    def now(self) -> int:
        return int(self.seconds * 1_000_000)

    def monotonic(self) -> float:
        return self.seconds


@dataclass
class Fixture:
    size: int
    calls: Calls = field(init=False)
    clock: HandClock = field(default_factory=HandClock)

    def __post_init__(self) -> None:
        self.calls = Calls(self.size)

    @property
    def source(self) -> Tenants:
        return Tenants(self.calls.read, clock=self.clock)


async def test_by_ids_stops_when_all_are_found_and_closes_the_source() -> None:
    fixture = Fixture(50_000)
    assert list(await fixture.source.by_ids(["5", "1500"])) == ["5", "1500"]
    assert fixture.calls.given == 2_000  # two pages
    assert fixture.calls.closed == 1


async def test_by_ids_answers_for_thirty_seconds_from_what_it_read() -> None:
    fixture = Fixture(100)
    source = fixture.source
    await source.by_ids(["nobody"])
    fixture.clock.seconds += 29
    assert list(await source.by_ids(["5", "nobody"])) == ["5"]
    assert fixture.calls.begun == 1
    fixture.clock.seconds += 1
    await source.by_ids(["5"])
    assert fixture.calls.begun == 2


async def test_by_ids_reads_on_for_what_an_earlier_reading_did_not_reach() -> None:
    fixture = Fixture(5_000)
    source = fixture.source
    await source.by_ids(["5"])
    assert list(await source.by_ids(["5", "4999"])) == ["5", "4999"]
    assert fixture.calls.begun == 2
    await source.by_ids(["4000"])
    assert fixture.calls.begun == 2


async def test_by_ids_keeps_no_large_source_whole() -> None:
    fixture = Fixture(KEPT_TENANTS + 1)
    source = fixture.source
    assert list(await source.by_ids(["7", "nobody"])) == ["7"]
    await source.by_ids(["7"])  # what was asked for is kept
    assert fixture.calls.begun == 1
    await source.by_ids(["8"])
    assert fixture.calls.begun == 2


async def test_the_default_filter_leaves_out_the_inactive_and_keeps_who_cannot_tell() -> None:
    everyone = Tenants(
        [{"id": "a", "active": True}, {"id": "b", "active": False}, {"id": "c"}, {"id": "d", "active": None}]
    )
    assert await ids(default_filter(everyone, "active")) == ["a", "c"]
    assert await ids(default_filter(everyone, "")) == ["a", "b", "c", "d"]
    assert await ids(default_filter(Tenants(["a", "b"]), "active")) == ["a", "b"]
    with pytest.raises(ConfigurationError, match=r"expected active to be a number \(bool\), got text"):
        await ids(default_filter(Tenants([{"id": "a", "active": "yes"}]), "active"))


class Own:
    """A source that an application has written itself."""

    def where(self, **lookups: Any) -> Own:
        return self

    async def by_ids(self, ids: Sequence[str]) -> Mapping[str, Tenant]:
        return {one: Tenant(one) for one in ids}

    async def __aiter__(self) -> AsyncIterator[Tenant]:
        yield Tenant("own", {"active": True})


async def test_a_source_of_ones_own_is_taken_as_it_is() -> None:
    own = Own()
    assert tenant_source_of(own) is own
    assert isinstance(tenant_source_of(["a"]), Tenants)
    with pytest.raises(ConfigurationError, match="got the class Own"):
        tenant_source_of(Own)


async def test_the_jobs_own_filter_is_used() -> None:
    source = Tenants(ITEMS)
    narrowed = filter_of(lambda tenants: tenants.where(seats__ge=5), source, "active", job="clean")
    assert await ids(narrowed) == ["acme", "cane"]
    assert await ids(filter_of(None, source, "active", job="clean")) == ["acme", "cane"]
    assert await ids(filter_of(lambda tenants: tenants, source, "active", job="clean")) == ["acme", "bolt", "cane"]


async def asynchronous(tenants: TenantSource) -> TenantSource:
    return tenants


@pytest.mark.parametrize(
    ("tenants_filter", "words"),
    [
        (lambda tenants: [], "tenants_filter of clean: expected a source, as tenants.where.*, got a list"),
        (lambda tenants: None, "got None"),
        (lambda tenants: Own, "got a type"),
        (asynchronous, "got a coroutine"),
        (lambda tenants: tenants.nothing, "tenants_filter of clean failed: AttributeError"),
        (lambda tenants: tenants.where(a__like=1), "tenants_filter of clean failed: 'a__like': expected an attribute"),
    ],
)
async def test_a_wrong_filter_names_its_job(tenants_filter: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        filter_of(tenants_filter, Tenants(ITEMS), "active", job="clean")


async def test_filters_in_words() -> None:
    source = Tenants(ITEMS)
    assert describe_filter(None, source, "active", job="clean") == "active=True"
    assert describe_filter(None, Own(), "active", job="clean") == "active=True"
    assert describe_filter(None, source, "", job="clean") == "all"
    assert describe_filter(lambda one: one, source, "active", job="clean") == "all"
    assert describe_filter(lambda one: one.where(plan="pro"), source, "active", job="clean") == "plan='pro'"
    assert describe_filter(lambda one: one, Own(), "active", job="clean") == "the job's own tenants_filter"


def settings(source: str | None, key: str = "id") -> Settings:
    return cast("Settings", SimpleNamespace(tenants=SimpleNamespace(source=source, key=key)))


@pytest.fixture
def tenancy(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("an_application_tenancy")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


async def test_the_source_is_loaded_as_the_settings_say(tenancy: ModuleType) -> None:
    tenancy.tenants = lambda: [{"slug": "acme"}]  # type: ignore[attr-defined]
    tenancy.own = SimpleNamespace(source=Own())  # type: ignore[attr-defined]
    assert load_tenant_source(settings(None)) is None
    loaded = load_tenant_source(settings("an_application_tenancy:tenants", key="slug"))
    assert loaded is not None
    assert await ids(loaded) == ["acme"]
    assert isinstance(load_tenant_source(settings("an_application_tenancy:own.source")), Own)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("an_application_tenancy", r"setting tenants.source = .*: expected \"module:attribute\""),
        (":tenants", "expected .module:attribute."),
        ("no_such_application:tenants", "no_such_application can't be imported: ModuleNotFoundError"),
        ("an_application_tenancy:tenant", "an_application_tenancy has no attribute 'tenant'; the nearest is tenants"),
        ("an_application_tenancy:once", "got a generator, which can't; pass the function that makes it"),
        ("an_application_tenancy:number", "expected tenants: .* got int"),
        ("an_application_tenancy:Model", "got the class Model; give a function"),
    ],
)
async def test_a_wrong_setting_is_named(tenancy: ModuleType, source: str, words: str) -> None:
    tenancy.tenants = []  # type: ignore[attr-defined]
    tenancy.once = (one for one in "abc")  # type: ignore[attr-defined]
    tenancy.number = 5  # type: ignore[attr-defined]
    tenancy.Model = type("Model", (), {})  # type: ignore[attr-defined]
    with pytest.raises(ConfigurationError, match=words):
        load_tenant_source(settings(source))


async def test_a_module_that_breaks_is_a_wrong_setting(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a_broken_tenancy.py").write_text("import sys\nsys.exit('no settings')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigurationError, match="a_broken_tenancy can't be imported: SystemExit: no settings"):
        load_tenant_source(settings("a_broken_tenancy:tenants"))
