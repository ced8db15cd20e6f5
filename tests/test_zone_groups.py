"""Which zones the tenants of a job are in."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.background_job import BackgroundJob
from pinstripe.errors import ConfigurationError, TenantSourceFailed
from pinstripe.loading import define
from pinstripe.tenant_sources import Tenants
from pinstripe.tenants import Tenant
from pinstripe.zone_groups import TOLD, ZoneGroups
from tests.test_selection import OwnSource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pinstripe.definition import Definition
    from pinstripe.tenants import TenantSource

pytestmark = pytest.mark.anyio

ITEMS: list[dict[str, Any]] = [
    {"id": "acme", "plan": "pro", "time_zone": "Europe/Paris"},
    {"id": "birch", "plan": "free", "time_zone": "Asia/Tokyo"},
    {"id": "cedar", "plan": "pro", "time_zone": None},
    {"id": "dune", "plan": "free", "active": False, "time_zone": "America/Lima"},
]


class ForAll(BackgroundJob):
    multi_tenant = True

    def run(self) -> None: ...


class ForPro(ForAll):
    @staticmethod
    def tenants_filter(tenants: TenantSource) -> TenantSource:
        return tenants.where(plan="pro")


class ForNobody(BackgroundJob):
    def run(self) -> None: ...


class Misspelt(ForAll):
    @staticmethod
    def tenants_filter(tenants: TenantSource) -> TenantSource:
        return tenants.where(plam="pro")


class DistinctSource(OwnSource):
    """A source of an author's own that can tell the values of an attribute."""

    readings = 0

    def where_active(self, attribute: str) -> TenantSource:
        assert attribute == "active"
        return self

    async def distinct(self, attribute: str) -> list[object] | None:
        self.asked.append([attribute])
        values = [tenant.get(attribute) async for tenant in self if tenant.get(attribute, self) is not self]
        return [*dict.fromkeys(values)]


def job(job_class: type[BackgroundJob], name: str = "the_job") -> Definition:
    return define(name, job_class, multi_tenant=False)


def groups(source: TenantSource | None, attribute: str = "time_zone") -> ZoneGroups:
    return ZoneGroups(lambda: source, active="active", attribute=attribute, default="UTC")


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    assert {record.name for record in caplog.records} <= {"pinstripe"}
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


@pytest.mark.parametrize(
    ("job_class", "expected"),
    [(ForAll, {"Europe/Paris", "Asia/Tokyo", "UTC"}), (ForPro, {"Europe/Paris", "UTC"}), (ForNobody, set())],
)
@pytest.mark.parametrize("make", [Tenants, OwnSource, DistinctSource])
async def test_the_zones_of_the_tenants_that_a_job_is_for(
    make: Any, job_class: type[BackgroundJob], expected: set[str]
) -> None:
    items = ITEMS if make is Tenants else ITEMS[:3]
    assert await groups(make(items)).read(job(job_class)) == expected


@pytest.mark.parametrize("make", [Tenants, DistinctSource])
async def test_no_tenants_have_no_zones(make: Any) -> None:
    assert await groups(make([])).read(job(ForAll)) == frozenset()
    without = [{"id": "acme"}, {"id": "birch"}]
    assert await groups(make(without)).read(job(ForAll)) == {"UTC"}


async def test_a_source_that_can_tell_is_not_read_in_pages() -> None:
    source = DistinctSource(ITEMS, fails_at=None)
    assert await groups(source, "plan").read(job(ForAll)) == {"UTC"}
    assert source.asked == [["plan"]]

    class CannotTell(DistinctSource):
        async def distinct(self, attribute: str) -> list[object] | None:
            await super().distinct(attribute)
            return None

    source = CannotTell(ITEMS[:2])
    assert await groups(source).read(job(ForAll)) == {"Europe/Paris", "Asia/Tokyo"}
    assert source.asked == [["time_zone"]]


# What is no zone.


async def test_what_is_no_zone_is_warned_of_once_with_a_tenant_and_the_setting(
    caplog: pytest.LogCaptureFixture,
) -> None:
    items = [
        {"id": "ok", "time_zone": "Asia/Tokyo"},
        {"id": "null", "time_zone": None},
        {"id": "none", "time_zone": ""},
    ]
    items += [{"id": name, "time_zone": "Mars/Phobos"} for name in ("acme", "birch")]
    known = groups(Tenants(items), "time_zone")
    for _ in range(3):
        assert await known.read(job(ForAll)) == {"Asia/Tokyo", "UTC"}
    (told,) = warnings(caplog)
    assert told == (
        "tenant 'acme' has 'Mars/Phobos', which is no time zone, by the setting tenants.time_zone ('time_zone'); "
        "schedules in tenants' zones fire for such tenants in the project's zone, UTC"
    )


async def test_a_source_that_can_tell_is_asked_for_a_tenant_with_what_is_no_zone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    known = groups(DistinctSource([*ITEMS, {"id": "x", "time_zone": "Mars"}, {"id": "y", "time_zone": 5}]))
    for _ in range(3):
        assert await known.read(job(ForAll)) == {"Europe/Paris", "Asia/Tokyo", "America/Lima", "UTC"}
    told = warnings(caplog)
    assert [text.partition(",")[0] for text in told] == [
        "tenant 'x' has 'Mars'",
        "tenant 'y' has a value of the type int",
    ]


async def test_a_source_that_cannot_be_asked_for_a_tenant_has_the_value_told_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Refusing(DistinctSource):
        def where(self, **lookups: Any) -> Any:
            raise ConfigurationError(f"no column {lookups}")

    assert await groups(Refusing([{"id": "x", "time_zone": "Mars"}])).read(job(ForAll)) == {"UTC"}
    assert warnings(caplog)[0].startswith("a tenant has 'Mars', which is no time zone")


@pytest.mark.parametrize("make", [Tenants, DistinctSource])
async def test_an_attribute_that_nobody_has_is_warned_of_once(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    known = groups(make(ITEMS), "zone")
    for _ in range(3):
        assert await known.read(job(ForAll)) == {"UTC"}
    (told,) = warnings(caplog)
    assert told.startswith("tenant 'acme' has no such attribute, by the setting tenants.time_zone ('zone')")


async def test_only_so_many_values_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    items = [{"id": str(number), "time_zone": f"shop-{number}"} for number in range(3 * TOLD)]
    for source in (Tenants(items), DistinctSource(items)):
        caplog.clear()
        known = groups(source)
        for _ in range(2):
            assert await known.read(job(ForAll)) == {"UTC"}
        assert len(warnings(caplog)) == TOLD + 1
        assert warnings(caplog)[-1].startswith("more than 100 values that are no time zones")


def test_the_zone_of_one_tenant(caplog: pytest.LogCaptureFixture) -> None:
    known = groups(None)
    assert known.of(Tenant("acme", {"time_zone": "Asia/Tokyo"})) == "Asia/Tokyo"
    assert known.of(Tenant("acme", {"time_zone": None})) == "UTC"
    assert warnings(caplog) == []
    assert known.of(Tenant("acme", {"time_zone": "Mars"})) == "UTC"
    assert len(warnings(caplog)) == 1


# What fails.


async def test_a_source_that_fails_is_told_as_reading_tells_it() -> None:
    for source in (OwnSource(ITEMS, fails_at=2), DistinctSource(ITEMS, fails_at=2)):
        with pytest.raises(TenantSourceFailed, match="the database has gone away"):
            await groups(source).read(job(ForAll))
    with pytest.raises(ConfigurationError, match="no attribute 'plam'"):
        await groups(Tenants(ITEMS)).read(job(Misspelt))
    with pytest.raises(ConfigurationError, match="the project says nothing of its tenants"):
        await groups(None).read(job(ForAll))


# Several jobs.


async def test_jobs_with_the_same_filter_share_a_reading() -> None:
    readings = 0

    async def accounts() -> Sequence[object]:
        nonlocal readings
        readings += 1
        return ITEMS

    class AlsoForPro(ForPro):
        pass

    jobs = [job(each, each.__name__) for each in (ForAll, ForPro, ForNobody, AlsoForPro)]
    jobs += [job(ForAll, "another")]
    found = await groups(Tenants(accounts)).read_all(jobs)
    everybody, pro = {"Europe/Paris", "Asia/Tokyo", "UTC"}, {"Europe/Paris", "UTC"}
    assert found == {
        "ForAll": everybody, "ForPro": pro, "ForNobody": frozenset(), "AlsoForPro": pro, "another": everybody,
    }  # fmt: skip
    assert readings == 2


async def test_a_job_whose_filter_fails_leaves_the_others() -> None:
    jobs = [job(Misspelt, "one"), job(Misspelt, "two"), job(ForAll, "three")]
    found = await groups(Tenants(ITEMS)).read_all(jobs)
    assert isinstance(found["one"], ConfigurationError)
    assert isinstance(found["two"], ConfigurationError)
    assert found["three"] == frozenset({"Europe/Paris", "Asia/Tokyo", "UTC"})
    failed = await groups(OwnSource(ITEMS, fails_at=1)).read_all(jobs[2:])
    assert isinstance(failed["three"], TenantSourceFailed)
