from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.background_job import BackgroundJob
from pinstripe.errors import ConfigurationError, InvalidArguments, TenantSourceFailed, UnknownJob, UnknownTenant
from pinstripe.runs import Request
from pinstripe.selection import PAGE, Selection
from tests.shop import Shop, many, open_shop

if TYPE_CHECKING:
    from pinstripe.preview import Preview
    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio


class Letter(BackgroundJob):
    multi_tenant = True
    ran = False

    async def run(self, segment: str, limit: int = 5) -> None:
        type(self).ran = True


class Cleanup(BackgroundJob):
    async def run(self) -> None: ...


async def preview_of(shop: Shop, job: str, *args: Any, selection: Selection | None = None, **more: Any) -> Preview:
    for job_class in (Letter, Cleanup):
        shop.add(job_class)
    return await shop.project.preview(Request(job, args, selection=selection or Selection(), **more))


async def tenants_of(preview: Preview) -> list[str]:
    return [tenant.id async for tenant in preview.tenants()]


async def test_it_tells_what_would_run_and_does_nothing_of_it(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        preview = await preview_of(shop, "Letter", "weekly", kwargs={"limit": "7"}, text=True)
        assert (preview.definition.name, preview.args, preview.kwargs) == ("letter", ("weekly",), {"limit": 7})
        assert await tenants_of(preview) == ["acme", "birch", "cedar"]
        assert await tenants_of(preview) == ["acme", "birch", "cedar"]
        ledger = shop.project.settings.ledger_path
    assert not Letter.ran
    assert not ledger.parent.exists()


async def test_it_is_of_the_chosen_tenants(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        selection = Selection(exclude=("acme",), where=(("plan", "pro"),))
        assert await tenants_of(await preview_of(shop, "letter", "x", selection=selection)) == ["cedar"]
        forced = Selection(tenants=("gone",), force=True)
        assert await tenants_of(await preview_of(shop, "letter", "x", selection=forced)) == ["gone"]


async def test_each_tenant_comes_once(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder, [*many(PAGE), *many(PAGE + 2)]) as shop:
        found = await tenants_of(await preview_of(shop, "letter", "x"))
        assert (len(found), len(set(found))) == (PAGE + 2, PAGE + 2)


async def test_a_job_without_tenants_has_none(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        assert await tenants_of(await preview_of(shop, "cleanup")) == []


@pytest.mark.parametrize(
    ("job", "args", "selection", "error"),
    [
        ("leter", (), Selection(), UnknownJob),
        ("letter", (), Selection(), InvalidArguments),
        ("letter", ("x",), Selection(tenants=("nobody",)), UnknownTenant),
        ("cleanup", (), Selection(tenants=("acme",)), ConfigurationError),
    ],
)
async def test_it_finds_what_is_wrong(
    project_folder: ProjectFolder, job: str, args: tuple[str, ...], selection: Selection, error: type[Exception]
) -> None:
    async with open_shop(project_folder) as shop:
        with pytest.raises(error):
            await preview_of(shop, job, *args, selection=selection)


async def test_a_source_that_fails_is_raised(project_folder: ProjectFolder) -> None:
    async def fail(number: int) -> None:
        raise OSError("gone away")

    async with open_shop(project_folder) as shop:
        shop.on_reading(fail)
        preview = await preview_of(shop, "letter", "x")
        with pytest.raises(TenantSourceFailed, match="gone away"):
            await tenants_of(preview)
