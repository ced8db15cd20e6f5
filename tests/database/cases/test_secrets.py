"""What errors and logs tell: whose they are, and nobody else's values."""

from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.exc import IntegrityError

from pinstripe.background_job import BackgroundJob
from tests.database.cases.applications import TENANTS
from tests.shop import open_shop

if TYPE_CHECKING:
    from pinstripe.database.service import Database
    from tests.conftest import ProjectFolder
    from tests.database.cases.applications import Application, Place

pytestmark = pytest.mark.anyio

SECRET = "top-secret-of-globex"


def told(error: BaseException) -> str:
    """Give everything that is written of an error, with what caused it."""
    return "".join(traceback.format_exception(error)) + repr(error)


async def test_an_error_of_the_database_shows_no_values(
    application: Application, caplog: pytest.LogCaptureFixture
) -> None:
    place = application.place
    place.execute("create unique index of_all on users (name)")
    private = "acme" + chr(45) + "private"  # not as it would stand in a line of the traceback
    with caplog.at_level(logging.INFO):
        async with application.workspace("acme") as database:
            for names in ([private, "globex-0"], [private, private]):
                with pytest.raises(IntegrityError) as caught:
                    await database.users.insert_many({"name": name, "value": 1} for name in names)
                assert "SQL parameters hidden" in told(caught.value)
                assert "globex-1" not in told(caught.value)
            assert await database.users.count() == 3
    assert private not in caplog.text
    assert "globex" not in caplog.text


async def test_what_is_shown_of_the_service_names_its_tenant_and_no_rows(application: Application) -> None:
    async with application.workspace("acme") as acme, application.workspace("globex") as globex:
        await acme.users.all()
        shown = f"{acme!r} {acme.users!r} {acme.users.where(name=SECRET)!r} {acme.session!r} {acme.transaction()!r}"
        assert "Database(tenant acme)" in shown
        assert "globex" not in shown
        assert SECRET not in shown
        assert repr(globex) == "Database(tenant globex)"
    async with application.workspace(None) as nobody:
        assert repr(nobody) == "Database(no tenant)"


class Logs(BackgroundJob):
    multi_tenant = True
    database: Database

    async def run(self) -> None:
        for _ in range(3):
            for user in await self.database.users.all():
                self.logger.info("%s reads %s", self.tenant.id, user.name)
                print(self.tenant.id, "prints", user.name)  # noqa: T201 - a job may


async def test_the_output_of_jobs_that_go_on_together_is_kept_apart(
    place: Place, project_folder: ProjectFolder
) -> None:
    async with open_shop(project_folder, TENANTS, settings=place.settings()) as shop:
        run = await shop.run(Logs)
        for tenant in TENANTS:
            log = (await shop.execution(run, tenant)).log or ""
            assert log.count(f"{tenant} prints {tenant}-0") == 3
            assert not any(other in log for other in TENANTS if other != tenant)


class GoesBeyond(BackgroundJob):
    multi_tenant = True

    async def run(self, reason: str = "to count them all") -> int:
        async with self.workspace.unscoped(reason=reason) as database:
            return await database.users.count()


async def test_going_beyond_the_tenant_is_logged_with_who_and_why(
    place: Place, project_folder: ProjectFolder, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_shop(project_folder, TENANTS, settings=place.settings()) as shop:
        run = await shop.run(GoesBeyond, tenants=["acme"])
        assert (await shop.execution(run, "acme")).result == 9
        logged = [record.getMessage() for record in caplog.records if record.name == "pinstripe.database"]
        assert logged == [f"job goes_beyond of tenant acme in run {run.id} works beyond its tenant: to count them all"]
        refused = await shop.run(GoesBeyond, "  ", tenants=["acme"])
        assert "expected the reason in words" in str((await shop.execution(refused, "acme")).error)
