"""Runs of a schedule in tenants' zones: each is for the tenants of one zone, whatever becomes of it on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from pinstripe.background_job import BackgroundJob
from pinstripe.errors import TenantSourceFailed
from pinstripe.ledger import NewRun
from pinstripe.loading import define
from pinstripe.queue import NewWork
from pinstripe.run import Counts, Trigger, new_run_id
from pinstripe.selection import PAGE, Selection, ZoneChoice, choose, choose_again
from pinstripe.selector import Selector
from pinstripe.tenant_sources import Tenants
from pinstripe.tenants import Tenant
from tests.test_zone_groups import DistinctSource
from tests.working import drain, seen, told_shop

if TYPE_CHECKING:
    from pinstripe.run import Run
    from tests.conftest import ProjectFolder
    from tests.shop import Shop

pytestmark = pytest.mark.anyio

TENANTS: list[dict[str, Any]] = [
    {"id": "acme", "time_zone": "Europe/Paris"},
    {"id": "birch", "time_zone": "Asia/Tokyo"},
    {"id": "cedar", "time_zone": None},
    {"id": "dune", "time_zone": "Europe/Paris"},
    {"id": "elm", "time_zone": "Mars/Phobos"},
    {"id": "fig"},
    {"id": "gorse", "time_zone": "Europe/Paris", "active": False},
    {"id": "hazel", "time_zone": "UTC"},
]
ZONES = {"Europe/Paris": ["acme", "dune"], "Asia/Tokyo": ["birch"], "UTC": ["cedar", "elm", "fig", "hazel"]}


class Greets(BackgroundJob):
    multi_tenant = True
    ran: ClassVar[list[str]] = []

    async def run(self) -> str:
        Greets.ran.append(self.tenant.id)
        return self.tenant.id


class ForNobody(BackgroundJob):
    def run(self) -> None: ...


@pytest.fixture(autouse=True)
def _nobody_ran() -> None:
    Greets.ran = []


async def fire(shop: Shop, zone: str) -> Run:
    """Enqueue a run as a schedule does that fires in a zone."""
    selection = Selection(zone=ZoneChoice(zone, "time_zone", "UTC")).to_json()
    now = shop.project.clock.now()
    new = NewRun(new_run_id(now), shop.add(Greets), Trigger.SCHEDULE, (), {}, selection)
    await shop.project.ledger.open()
    (run,) = await shop.project.ledger.queue.enqueue([NewWork(new, None, schedule="0 9 * * *", scheduled_for=now)])
    return run


def in_tokyo() -> list[object]:
    """Give the tenants after all of them have moved."""
    return [{**tenant, "time_zone": "Asia/Tokyo"} for tenant in TENANTS]


@pytest.mark.parametrize("zone", [*ZONES, "Africa/Cairo"])
async def test_a_worker_runs_it_for_exactly_the_tenants_of_its_zone(project_folder: ProjectFolder, zone: str) -> None:
    async with told_shop(project_folder, TENANTS) as (shop, _):
        run = await fire(shop, zone)
        await drain(shop)
        expected = ZONES.get(zone, [])
        assert sorted(Greets.ran) == expected
        done = await seen(shop, run)
        assert (str(done.status), done.executions) == ("succeeded", Counts(len(expected), succeeded=len(expected)))


async def test_all_zones_together_are_for_each_tenant_once(project_folder: ProjectFolder) -> None:
    many = [{"id": f"t{number:04}", "time_zone": [*ZONES, None][number % 4]} for number in range(2 * PAGE + 6)]
    async with told_shop(project_folder, many) as (shop, _):
        runs = [await fire(shop, zone) for zone in ZONES]
        await shop.project.ledger.queue.join(1)
        chooser = Selector(
            shop.project.ledger, shop.project.registry, lambda: shop.project.tenants, "active", shop.project.clock
        )
        assert await chooser.go_through()
        assert [(await seen(shop, run)).executions.total for run in runs] == [502, 502, 1_002]


async def test_who_moves_to_another_zone_before_the_start_still_runs(project_folder: ProjectFolder) -> None:
    async with told_shop(project_folder, TENANTS) as (shop, clock):
        project = shop.project
        run = await fire(shop, "Europe/Paris")
        await project.ledger.queue.join(1)
        assert await Selector(project.ledger, project.registry, lambda: project.tenants, "active", clock).select()
        shop.tenants(in_tokyo())
        await drain(shop)
        assert sorted(Greets.ran) == ["acme", "dune"]
        assert (await seen(shop, run)).executions.succeeded == 2


async def test_who_moves_before_the_selection_is_in_the_new_zone(project_folder: ProjectFolder) -> None:
    async with told_shop(project_folder, TENANTS) as (shop, _):
        run = await fire(shop, "Europe/Paris")
        shop.tenants(in_tokyo())
        await drain(shop)
        assert (await seen(shop, run)).executions == Counts()


async def test_a_selection_that_another_process_begins_again_is_of_the_same_zone(project_folder: ProjectFolder) -> None:
    async with told_shop(project_folder, TENANTS) as (shop, _):
        await fire(shop, "Asia/Tokyo")
        queue = shop.project.ledger.queue
        await queue.join(1)
        taken = await queue.take_selection()
        assert taken is not None
        await queue.leave_selection(taken)
        await drain(shop)
        assert Greets.ran == ["birch"]


@pytest.mark.parametrize("enqueued", [True, False])
async def test_a_retry_of_a_failed_selection_is_for_the_same_zone(
    project_folder: ProjectFolder, *, enqueued: bool
) -> None:
    async def fail(number: int) -> None:
        if number == 6:
            raise OSError("no route to host")

    async with told_shop(project_folder, TENANTS) as (shop, _):
        run = await fire(shop, "Europe/Paris")
        shop.on_reading(fail)
        await drain(shop)
        done = await seen(shop, run)
        assert str(done.status) == "failed"
        assert "no route to host" in (done.error or "")
        assert Greets.ran == []
        shop.on_reading(None)
        if enqueued:
            assert await shop.project.enqueue_retry(run.id) is not None
            await drain(shop)
        else:
            assert await shop.project.retry(run.id) is not None
        assert sorted(Greets.ran) == ["acme", "dune"]


# The choice itself.


def chosen(source: Any, zone: str, **asked: Any) -> Any:
    selection = Selection(zone=ZoneChoice(zone, "time_zone", "UTC"), **asked)
    return choose_again(define("the_job", Greets, multi_tenant=False), selection, source, "active")


async def read(choice: Any) -> list[str]:
    return [tenant.id async for page in choice.pages() for tenant in page]


def test_a_selection_keeps_its_zone_as_json() -> None:
    selection = Selection(exclude=("acme",), zone=ZoneChoice("Europe/Paris", "zone", "UTC"))
    assert Selection.from_json(selection.to_json()) == selection
    assert Selection.from_json({"tenants": None, "exclude": [], "where": [], "force": False}).zone is None


async def test_who_is_asked_for_by_name_or_left_out_is_in_the_zone_too() -> None:
    source = Tenants(TENANTS)
    assert await read(chosen(source, "Europe/Paris", exclude=("acme",))) == ["dune"]
    assert await read(chosen(source, "UTC", where=(("id__lt", "elm"),))) == ["cedar"]
    named = chosen(source, "Europe/Paris", tenants=("dune", "birch", "never", "acme"))
    assert await read(named) == ["dune", "acme"]
    assert [tenant.id for tenant in await named.by_ids(["birch", "dune", "never"])] == ["birch", "dune"]
    assert await read(chosen(source, "Europe/Paris", tenants=("gorse",), force=True)) == ["gorse"]


async def test_a_job_that_has_no_tenants_any_more_has_no_zones() -> None:
    definition = define("the_job", ForNobody, multi_tenant=False)
    selection = Selection(zone=ZoneChoice("Europe/Paris", "time_zone", "UTC"))
    assert (await choose(definition, selection, None, "active")).source is None
    assert choose_again(definition, selection, None, "active").source is None


async def test_a_source_that_can_tell_is_asked_for_the_tenants_of_the_zone() -> None:
    noted: list[str] = []

    class Noting(DistinctSource):
        async def __aiter__(self) -> Any:
            async for tenant in super().__aiter__():
                if self.lookups:
                    noted.append(tenant.id)
                yield tenant

    source = Noting(TENANTS[:6])
    assert await read(chosen(source, "Europe/Paris")) == ["acme", "dune"] == noted
    assert await read(chosen(source, "Africa/Cairo")) == []
    assert await read(chosen(source, "UTC")) == ["cedar", "elm", "fig"]
    assert noted == ["acme", "dune"]


async def test_an_attribute_that_a_where_cannot_ask_for_is_looked_at_in_each_tenant() -> None:
    items = [{"id": "acme", "geo__zone": "Europe/Paris"}, {"id": "birch", "geo__zone": "Asia/Tokyo"}]
    selection = Selection(zone=ZoneChoice("Asia/Tokyo", "geo__zone", "UTC"))
    definition = define("the_job", Greets, multi_tenant=False)
    assert await read(choose_again(definition, selection, DistinctSource(items), "active")) == ["birch"]


async def test_a_source_that_cannot_tell_its_values_fails_the_selection() -> None:
    class Failing(DistinctSource):
        async def distinct(self, attribute: str) -> list[object] | None:
            raise OSError(f"postgresql://app:secret@db/shop has no {attribute}")

    with pytest.raises(TenantSourceFailed, match=r"the tenant source failed: OSError: .* has no time_zone") as caught:
        await read(chosen(Failing(TENANTS), "Asia/Tokyo"))
    assert "secret" not in str(caught.value)


async def test_a_zone_that_cannot_be_read_fails_the_selection() -> None:
    class Account:
        id = "acme"

        @property
        def time_zone(self) -> str:
            raise OSError("gone")

    with pytest.raises(TenantSourceFailed, match="'time_zone' of tenant 'acme' can't be read: OSError: gone"):
        await read(chosen(Tenants([Tenant("birch", {}), Account()]), "Asia/Tokyo"))
