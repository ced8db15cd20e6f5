from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe.background_job import BackgroundJob
from pinstripe.errors import ConfigurationError, InvalidArguments, TenantSourceFailed, UnknownTenant
from pinstripe.loading import define
from pinstripe.selection import PAGE, Choice, Selection, choose
from pinstripe.tenant_sources import Tenants
from pinstripe.tenants import Tenant
from pinstripe.text_values import TextValue
from tests.shop import FOUR, many

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from pinstripe.tenants import TenantSource

pytestmark = pytest.mark.anyio

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.text().map(TextValue)
SELECTIONS = st.builds(
    Selection,
    tenants=st.none() | st.lists(st.text()).map(tuple),
    exclude=st.lists(st.text()).map(tuple),
    where=st.lists(st.tuples(st.text(), SCALARS | st.lists(SCALARS))).map(tuple),
    force=st.booleans(),
)


class ForAll(BackgroundJob):
    multi_tenant = True

    def run(self) -> None: ...


class ForPro(BackgroundJob):
    multi_tenant = True

    @staticmethod
    def tenants_filter(tenants: TenantSource) -> TenantSource:
        return tenants.where(plan="pro")

    def run(self) -> None: ...


class ForNobody(BackgroundJob):
    multi_tenant = False

    def run(self) -> None: ...


class OwnSource:
    """A source of an author's own class, with nothing but what the protocol asks for."""

    def __init__(self, items: Sequence[object], *, fails_at: int | None = None, **lookups: object) -> None:
        self.items = items
        self.lookups = lookups
        self.fails_at = fails_at
        self.asked: list[list[str]] = []

    def where(self, **lookups: Any) -> Self:
        return type(self)(self.items, fails_at=self.fails_at, **{**self.lookups, **lookups})

    async def by_ids(self, ids: Sequence[str]) -> Mapping[str, Tenant]:
        self.asked.append([*ids])
        return {tenant.id: tenant async for tenant in self if tenant.id in ids}

    async def __aiter__(self) -> AsyncIterator[Tenant]:
        for number, item in enumerate(self.items):
            if number == self.fails_at:
                raise OSError("the database has gone away")
            tenant: Any = item if isinstance(item, Tenant) else Tenant(item["id"], item)  # type: ignore[index]
            if all(tenant.get(name) == value for name, value in self.lookups.items()):
                yield tenant


class SourceOfRubbish(OwnSource):
    async def __aiter__(self) -> AsyncIterator[Tenant]:
        yield {"id": "acme"}  # type: ignore[misc]


async def choice_of(
    job_class: type[BackgroundJob], source: TenantSource | None, *, active: str = "active", **chosen: Any
) -> Choice:
    definition = define("the_job", job_class, multi_tenant=False)
    return await choose(definition, Selection(**chosen), source, active)


async def chosen_by(job_class: type[BackgroundJob], source: TenantSource, **chosen: Any) -> list[str]:
    choice = await choice_of(job_class, source, **chosen)
    return [tenant.id async for page in choice.pages() for tenant in page]


@pytest.mark.parametrize(
    ("job_class", "chosen", "expected"),
    [
        (ForAll, {}, ["acme", "birch", "cedar"]),  # the default filter: who is active
        (ForPro, {}, ["acme", "cedar", "gone"]),  # an author's own filter is the whole filter
        (ForAll, {"tenants": ("birch",)}, ["birch"]),
        (ForAll, {"tenants": ("cedar", "acme")}, ["cedar", "acme"]),  # in the order that was asked for
        (ForAll, {"tenants": ("acme", "acme", "birch", "acme")}, ["acme", "birch"]),
        (ForAll, {"tenants": ()}, []),
        (ForAll, {"exclude": ("acme",)}, ["birch", "cedar"]),
        (ForAll, {"exclude": ("gone",)}, ["acme", "birch", "cedar"]),  # who is outside anyway may be left out
        (ForAll, {"exclude": ("acme", "birch", "cedar")}, []),
        (ForAll, {"where": (("plan", "pro"),)}, ["acme", "cedar"]),  # narrower than the filter, never wider
        (ForAll, {"where": (("active", False),)}, []),
        (ForAll, {"where": (("plan", "pro"), ("id__ne", "acme"))}, ["cedar"]),
        (ForAll, {"where": (("plan", "gold"),)}, []),
        (ForAll, {"tenants": ("acme", "birch"), "where": (("plan", "pro"),)}, ["acme"]),
        (ForAll, {"tenants": ("acme", "birch"), "exclude": ("acme",)}, ["birch"]),
        (ForAll, {"tenants": ("acme", "birch", "cedar"), "exclude": ("acme",), "where": (("plan", "pro"),)}, ["cedar"]),
        (ForAll, {"tenants": ("gone",), "force": True}, ["gone"]),
        (ForPro, {"tenants": ("birch", "acme"), "force": True}, ["birch", "acme"]),
        (ForAll, {"force": True}, ["acme", "birch", "cedar"]),  # force is for those who are named
        (ForAll, {"exclude": ("acme",), "force": True}, ["birch", "cedar"]),
        (ForAll, {"tenants": ("gone", "birch"), "where": (("plan", "pro"),), "force": True}, ["gone"]),
        (ForAll, {"where": (("active", TextValue("yes")), ("plan", TextValue("pro")))}, ["acme", "cedar"]),
    ],
)
async def test_what_is_chosen(job_class: type[BackgroundJob], chosen: dict[str, Any], expected: list[str]) -> None:
    assert await chosen_by(job_class, Tenants(FOUR), **chosen) == expected


@pytest.mark.parametrize(
    ("job_class", "chosen", "expected"),
    [
        (ForAll, {}, ["acme", "birch", "cedar"]),
        (ForPro, {}, ["acme", "cedar", "gone"]),
        (ForAll, {"tenants": ("cedar", "acme", "cedar")}, ["cedar", "acme"]),
        (ForAll, {"exclude": ("acme",), "where": (("plan", "pro"),)}, ["cedar"]),
        (ForAll, {"tenants": ("gone",), "force": True}, ["gone"]),
    ],
)
async def test_a_source_of_an_own_class_is_chosen_from_alike(
    job_class: type[BackgroundJob], chosen: dict[str, Any], expected: list[str]
) -> None:
    assert await chosen_by(job_class, OwnSource(FOUR), **chosen) == expected


@pytest.mark.parametrize(
    "chosen", [{"tenants": ("acne",)}, {"exclude": ("acne",)}, {"tenants": ("acne",), "force": True}]
)
async def test_an_unknown_tenant_is_refused(chosen: dict[str, Any]) -> None:
    with pytest.raises(UnknownTenant, match=r"^unknown tenant 'acne': `pinstripe list-tenants` shows those there are$"):
        await choice_of(ForAll, Tenants(FOUR), **chosen)


async def test_a_tenant_outside_the_filter_is_another_error() -> None:
    with pytest.raises(UnknownTenant, match=r"^tenant 'gone' left out by the filter of the_job: --force runs it"):
        await choice_of(ForAll, Tenants(FOUR), tenants=("acme", "gone"))


async def test_of_many_unknown_tenants_a_few_are_named() -> None:
    unknown = tuple(f"x{number}" for number in range(8))
    with pytest.raises(UnknownTenant, match="unknown tenants 'x0', 'x1', 'x2', 'x3', 'x4' and 3 more"):
        await choice_of(ForAll, Tenants(FOUR), tenants=unknown)


async def test_items_without_the_attribute_are_active() -> None:
    assert await chosen_by(ForAll, Tenants(["a", "b"])) == ["a", "b"]


async def test_an_attribute_that_there_is_not_is_an_error() -> None:
    choice = await choice_of(ForAll, Tenants(FOUR), where=(("seats", 3),))
    with pytest.raises(ConfigurationError, match="seats"):
        await anext(choice.pages())


async def test_an_unknown_comparison_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="seats__about"):
        await choice_of(ForAll, Tenants(FOUR), where=(("seats__about", 3),))


@pytest.mark.parametrize("source", [Tenants(many(2 * PAGE + 1)), OwnSource(many(2 * PAGE + 1))])
async def test_tenants_come_in_pages(source: TenantSource) -> None:
    choice = await choice_of(ForAll, source)
    pages = [page async for page in choice.pages()]
    assert [len(page) for page in pages] == [PAGE, PAGE, 1]
    assert pages[2][0].id == f"t{2 * PAGE:05}"


async def test_named_tenants_are_asked_for_in_pages_too() -> None:
    items = many(2 * PAGE + 1)
    ids = tuple(f"t{number:05}" for number in reversed(range(2 * PAGE + 1)))
    choice = await choice_of(ForAll, Tenants(items), tenants=ids)
    pages = [page async for page in choice.pages()]
    assert [len(page) for page in pages] == [PAGE, PAGE, 1]
    assert tuple(tenant.id for page in pages for tenant in page) == ids


async def test_a_choice_is_read_anew_each_time() -> None:
    items: list[object] = ["a", "b"]
    choice = await choice_of(ForAll, Tenants(items))
    assert [[tenant.id for tenant in page] async for page in choice.pages()] == [["a", "b"]]
    items.append("c")
    assert [[tenant.id for tenant in page] async for page in choice.pages()] == [["a", "b", "c"]]


async def test_by_ids_gives_those_inside_in_the_order_asked_for() -> None:
    choice = await choice_of(ForAll, Tenants(FOUR), exclude=("birch",))
    found = await choice.by_ids(["cedar", "gone", "birch", "acme", "nobody"])
    assert [tenant.id for tenant in found] == ["cedar", "acme"]


async def test_an_empty_selection_asks_a_source_for_nobody() -> None:
    source = OwnSource(FOUR, fails_at=0)
    choice = await choice_of(ForAll, source, tenants=())
    assert [page async for page in choice.pages()] == []
    assert source.asked == []


@pytest.mark.parametrize("fails_at", [0, PAGE + 1])
async def test_a_source_that_fails_is_told_after_what_it_gave(fails_at: int) -> None:
    choice = await choice_of(ForAll, OwnSource(many(2 * PAGE), fails_at=fails_at))
    given_: list[int] = []
    with pytest.raises(TenantSourceFailed, match="OSError: the database has gone away") as failure:  # noqa: PT012
        async for page in choice.pages():
            given_.append(len(page))  # noqa: PERF401 - what came before the failure is of interest
    assert isinstance(failure.value.__cause__, OSError)
    assert given_ == ([] if fails_at == 0 else [PAGE])


class Leaving(OwnSource):
    """A source that awaits what somebody has cancelled, or that exits."""

    leaves: type[BaseException] = asyncio.CancelledError

    async def __aiter__(self) -> AsyncIterator[Tenant]:
        yield Tenant("acme", {"id": "acme"})
        raise self.leaves


@pytest.mark.parametrize("leaves", [asyncio.CancelledError, SystemExit])
async def test_a_source_can_neither_end_nor_cancel_who_reads_it(leaves: type[BaseException]) -> None:
    async def generator() -> AsyncIterator[str]:
        yield "acme"
        raise leaves

    own = Leaving([])
    own.leaves = leaves
    for source in (Tenants(generator), own):
        choice = await choice_of(ForAll, source, active="")
        with pytest.raises(TenantSourceFailed, match=leaves.__name__):
            _ = [page async for page in choice.pages()]
        with pytest.raises(TenantSourceFailed, match=leaves.__name__):
            await choice.by_ids(["acme", "birch"])


@pytest.mark.parametrize("manner", [Tenants, OwnSource])
async def test_who_reads_a_source_can_be_cancelled(manner: type[Tenants | OwnSource]) -> None:
    waiting = asyncio.Event()

    async def generator() -> AsyncIterator[str]:
        waiting.set()
        await asyncio.Event().wait()
        yield "acme"

    class Waiting(OwnSource):
        async def __aiter__(self) -> AsyncIterator[Tenant]:
            async for _ in generator():
                yield Tenant("acme", {})

    choice = await choice_of(ForAll, Tenants(generator) if manner is Tenants else Waiting([]), active="")
    reading = asyncio.create_task(anext(choice.pages()))
    await waiting.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


async def test_a_source_that_fails_for_named_tenants_is_told() -> None:
    with pytest.raises(TenantSourceFailed, match="OSError: the database has gone away"):
        await choice_of(ForAll, OwnSource(FOUR, fails_at=1), tenants=("cedar",))


async def test_what_is_not_a_tenant_is_the_source_s_failure() -> None:
    choice = await choice_of(ForAll, SourceOfRubbish([]), active="")
    with pytest.raises(TenantSourceFailed, match="expected it to give each a Tenant, got a dict"):
        await anext(choice.pages())


async def test_a_job_without_tenants_has_one_execution_and_no_choice() -> None:
    for source in (None, Tenants(FOUR)):
        choice = await choice_of(ForNobody, source, force=True)
        assert [page async for page in choice.pages()] == []
        assert await choice.by_ids(["acme"]) == []


@pytest.mark.parametrize("chosen", [{"tenants": ()}, {"exclude": ("acme",)}, {"where": (("plan", "pro"),)}])
async def test_a_job_without_tenants_refuses_a_choice(chosen: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="the_job is not multi-tenant"):
        await choice_of(ForNobody, Tenants(FOUR), **chosen)


async def test_a_multi_tenant_job_needs_a_source() -> None:
    with pytest.raises(ConfigurationError, match=r"says nothing of its tenants.*\[tool.pinstripe.tenants\]"):
        await choice_of(ForAll, None)


@given(SELECTIONS)
def test_a_selection_survives_as_json(selection: Selection) -> None:
    read = Selection.from_json(json.loads(json.dumps(selection.to_json())))
    assert read == selection
    assert kinds(read) == kinds(selection)


def kinds(selection: Selection) -> list[object]:
    """Tell which values are texts from the command line: they compare as what they are read as."""
    return [[type(one) for one in value] if isinstance(value, list) else type(value) for _, value in selection.where]


@pytest.mark.parametrize("value", [object(), {"a": 1}, b"bytes", [1, {"a": 1}], complex(1)])
def test_a_value_that_is_not_json_is_refused(value: object) -> None:
    with pytest.raises(InvalidArguments, match=r"since=.* can't be kept with the run; expected a text, a number"):
        Selection(where=(("since", value),)).to_json()


def test_sets_and_tuples_are_kept_as_lists() -> None:
    written = Selection(where=(("plan", ("pro", "free")), ("seats", {3}))).to_json()
    assert written["where"] == [["plan", ["pro", "free"]], ["seats", [3]]]


@pytest.mark.parametrize(
    ("selection", "narrows"),
    [
        (Selection(), False),
        (Selection(force=True), False),
        (Selection(tenants=()), True),
        (Selection(exclude=("a",)), True),
        (Selection(where=(("a", 1),)), True),
    ],
)
def test_whether_anything_was_asked_for(selection: Selection, narrows: bool) -> None:
    assert selection.narrows is narrows
