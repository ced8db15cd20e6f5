"""What has succeeded since it failed, on the pages of runs and executions: it is told where, and not to be retried."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from pinstripe.server.dashboard.since import look_since_for
from tests.jobs import Alone, FailsForSome, Picky
from tests.server.dashboard.visits import open_house
from tests.working import drain, enqueue, told_shop

if TYPE_CHECKING:
    from tests.conftest import ProjectFolder
    from tests.postgres import Postgres

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest) -> str | None:
    """Give where the ledger is kept: in a file, or in a database of its own."""
    if request.param == "sqlite":
        return None
    postgres: Postgres = request.getfixturevalue("postgres")
    return postgres.url(request.getfixturevalue("postgres_database"))


async def test_a_retry_leaves_what_is_left(project_folder: ProjectFolder, ledger: str | None) -> None:
    async with open_house(project_folder, ledger=ledger) as house:
        Picky.bad = frozenset({"acme", "birch", "cedar"})
        run = await enqueue(house.shop, Picky)
        await drain(house.shop)
        visitor = house.visitor()
        Picky.bad = frozenset({"cedar"})
        again = (await visitor.post(f"/runs/{run.id}/retry", confirmed="1")).location
        await drain(house.shop)
        page = await visitor.get(f"/runs/{run.id}")
        assert f"2 of the 3 that failed have succeeded since, in run {again[-8:]}" in page.words
        assert "Retry the 1 left" in page.words
        assert page.words.count(f"succeeded since in run {again[-8:]}") == 2
        assert page.fields("tenant") == ["cedar"]  # what a retry would leave out can't be chosen
        every = await visitor.get(f"/runs/{run.id}?status=all")
        assert "2 of the 3 that failed have succeeded since" in every.words

        one = await visitor.get(f"/runs/{run.id}/execution?tenant=acme")
        assert f"succeeded since in run {again[-8:]}" in one.words
        assert f"Retried in {again[-8:]} succeeded" in one.words
        assert "Retry this one" not in one.words
        other = await visitor.get(f"/runs/{run.id}/execution?tenant=cedar")
        assert "Retry this one" in other.words
        assert f"Retried in {again[-8:]} failed" in other.words
        asked = await visitor.post(f"/runs/{run.id}/retry", chosen="1", tenant=["acme", "cedar"])
        assert f"1 tenant of those you chose needs none: succeeded since in run {again[-8:]} : acme" in asked.words

        Picky.bad = frozenset()
        last = (await visitor.post(f"/runs/{run.id}/retry", confirmed="1")).location
        await drain(house.shop)
        whole = await visitor.get(f"/runs/{run.id}")
        words = f"All 3 that failed have succeeded since, in run {again[-8:]} (2), run {last[-8:]} (1)"
        assert words in whole.words
        assert "Nothing of it is left to retry" in whole.words
        assert f'action="/_pinstripe/runs/{run.id}/retry"' not in whole.text
        nothing = await visitor.post(f"/runs/{run.id}/retry", chosen="1", tenant=["acme", "cedar"])
        assert f"succeeded since in run {last[-8:]} : cedar" in nothing.words
        first = await visitor.get(again)  # of the two retries of one run, the later one mends the former
        assert f"The one that failed has succeeded since, in run {last[-8:]}" in first.words


async def test_a_later_run_tells_of_success_too_but_a_retry_is_still_there(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        run = await enqueue(house.shop, FailsForSome, "birch")
        await drain(house.shop)
        later = await enqueue(house.shop, FailsForSome)
        await drain(house.shop)
        visitor = house.visitor()
        page = await visitor.get(f"/runs/{run.id}")
        assert f"The one that failed has succeeded since, in run {later.id[-8:]}" in page.words
        assert "Retry the 1 failed" in page.words  # as it may have had other arguments
        assert 'class="main"' not in page.text
        one = await visitor.get(f"/runs/{run.id}/execution?tenant=birch")
        assert f"succeeded since in run {later.id[-8:]}" in one.words
        assert "Retry this one" in one.words


async def test_to_who_is_confined_what_has_become_of_others_is_nothing(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        Picky.bad = frozenset({"acme", "birch", "cedar"})
        run = await enqueue(house.shop, Picky)
        await drain(house.shop)
        operator, confined = house.visitor(), house.visitor("support")
        Picky.bad = frozenset({"acme"})
        again = (await operator.post(f"/runs/{run.id}/retry", confirmed="1")).location
        await drain(house.shop)
        page = await confined.get(f"/runs/{run.id}")
        assert "since" not in page.words
        assert "Retry" in page.words
        assert again[-8:] not in page.words
        Picky.bad = frozenset()
        await operator.post(f"/runs/{run.id}/retry", confirmed="1")
        await drain(house.shop)
        page = await confined.get(f"/runs/{run.id}")
        assert "It has succeeded since" in page.words
        assert "Retry" not in page.words


async def test_a_job_without_tenants_that_was_retried_has_succeeded_since(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        Alone.ok = False
        run = await enqueue(house.shop, Alone)
        await drain(house.shop)
        visitor = house.visitor()
        again = (await visitor.post(f"/runs/{run.id}/retry", confirmed="1")).location
        waits = await visitor.get(f"/runs/{run.id}")
        assert f"A retry of it goes on, run {again[-8:]}" in waits.words
        Alone.ok = True
        await drain(house.shop)
        Alone.ok = False
        page = await visitor.get(f"/runs/{run.id}")
        assert f"It has succeeded since, in run {again[-8:]}" in page.words


async def test_what_succeeded_before_a_long_wait_ended_in_failure_has_not_since(project_folder: ProjectFolder) -> None:
    async with told_shop(project_folder) as (shop, clock):
        Picky.bad = frozenset()
        history, since = shop.project.ledger.history, clock.now()
        waits = await enqueue(shop, Picky, tenants=["birch"], delay="1h")
        clock.advance(timedelta(seconds=1))
        first = await enqueue(shop, Picky, tenants=["birch"])
        await drain(shop)
        assert (await shop.project.ledger.find_run(first.id)).status == "succeeded"
        clock.advance(timedelta(hours=2))
        Picky.bad = frozenset({"birch"})
        await drain(shop)
        failed = await shop.project.ledger.find_run(waits.id)
        assert failed.status == "failed"
        assert (await look_since_for(history, failed, "birch")).succeeded == {}
        assert [one.mended for one in await history.failing(since, 10)] == [None]
        clock.advance(timedelta(seconds=1))
        Picky.bad = frozenset()
        last = await enqueue(shop, Picky, tenants=["birch"])
        await drain(shop)
        assert (await look_since_for(history, failed, "birch")).succeeded == {"birch": last.id}
        assert [one.mended for one in await history.failing(since, 10)] == [last.id]
