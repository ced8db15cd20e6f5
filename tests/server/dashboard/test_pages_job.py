"""The page of a job: what it does, by which rules, and how it went; also where its file is broken, or gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pinstripe.background_job import BackgroundJob
from pinstripe.limits import Limits
from pinstripe.schedule import Schedule
from tests.jobs import FailsForSome
from tests.server.dashboard.visits import open_house
from tests.working import drain, enqueue

if TYPE_CHECKING:
    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio


class Nightly(BackgroundJob):
    """Do <it> at night.

    And nothing else.
    """

    multi_tenant = True
    schedule = (Schedule("0 3 * * *", time_zone="tenant"), "*/5 * * * *")
    retries = 2
    timeout = "90s"
    overlap = "queue"
    limits = Limits(total=5, per_tenant=1)
    priority = "interactive"

    async def run(self) -> None:
        pass


async def test_says_what_it_does_when_for_whom_and_by_which_rules(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        name = house.shop.add(Nightly)
        page = await house.visitor().get(f"/jobs/{name}")
        assert page.status == 200
        for words in (
            "Do <it> at night. And nothing else.",
            "every day at 03:00, in each tenant's zone",
            "every 5 minutes",
            "active=True",
            "2 retries after a failure, waiting n⁴ + 15 s",
            "1m30s for an attempt",
            "a fire waits for the one before to end for its tenant",
            "5 at once, 1 at once for a tenant",
            "Priority interactive",
            "It has not run yet",
        ):
            assert words in page.words, words


async def test_shows_how_it_went(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        runs = [await enqueue(house.shop, FailsForSome, *bad) for bad in ((), ("birch",), ("birch", "cedar"))]
        await drain(house.shop)
        page = await house.visitor().get("/jobs/fails_for_some")
        assert "Last 3 runs" in page.words
        assert all(run.id[-8:] in page.words for run in runs)
        heat = page.text.partition('<table class="heat">')[2].partition("</table>")[0]
        assert [heat.index(f">{tenant}<") for tenant in ("birch", "cedar", "acme")] == sorted(
            heat.index(f">{tenant}<") for tenant in ("acme", "birch", "cedar")
        )
        assert heat.count('heat-cell heat-failed"') == 3
        assert f"/_pinstripe/runs/{runs[1].id}/execution?tenant=birch" in heat


async def test_names_in_any_spelling_and_in_folders(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        house.shop.add(Nightly, "billing/close_month")
        assert "Do <it> at night." in (await house.visitor().get("/jobs/billing/close_month")).words
        assert (await house.visitor().get("/jobs/billing/CloseMonth")).status == 200
        missing = await house.visitor().get("/jobs/billing/close_monht")
        assert missing.status == 404
        assert "close_month" in missing.words


async def test_a_broken_job_says_why(project_folder: ProjectFolder) -> None:
    project_folder.job("broken", "import nothing_of_that_name_<b>\n")
    async with open_house(project_folder) as house:
        page = await house.visitor().get("/jobs/broken")
        assert page.status == 200
        assert "This job can't be loaded" in page.words
        assert "name_<b>" not in page.text
        assert "/start" not in page.text.partition("<main")[2]


async def test_a_job_that_is_gone_still_has_its_runs(project_folder: ProjectFolder) -> None:
    file = project_folder.job(
        "hello",
        """
        from pinstripe import BackgroundJob

        class Hello(BackgroundJob):
            def run(self):
                raise ValueError("no time")
        """,
    )
    async with open_house(project_folder) as house:
        run = await enqueue(house.shop, "hello")
        await drain(house.shop)
    file.unlink()
    async with open_house(project_folder) as house:
        visitor = house.visitor()
        page = await visitor.get("/jobs/hello")
        assert page.status == 200
        assert "It isn't there any more" in page.words
        assert run.id[-8:] in page.words
        assert "ValueError: no time" in (await visitor.get(f"/runs/{run.id}")).words
        assert "ello" in (await visitor.post(f"/runs/{run.id}/retry", confirmed="1")).words


async def test_who_is_confined_sees_nothing_of_others(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        run = await enqueue(house.shop, FailsForSome, "birch")
        await drain(house.shop)
        await house.shop.project.pause("fails_for_some", "birch")
        page = await house.visitor("support").get("/jobs/fails_for_some")
        assert page.status == 200
        assert "birch" not in page.text
        assert run.id[-8:] not in page.text
