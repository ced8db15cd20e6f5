"""What a tenant source gives, how it is narrowed and asked, and how a project names its own."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from pinstripe.errors import ConfigurationError
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
from tests.tenant_manners import ITEMS, ids, manners

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from pinstripe.config import Settings

pytestmark = pytest.mark.anyio


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
    assert describe_filter(None, Own(), "", job="clean") == "all"


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
