"""The pages of tenants: who there is, as far as the source tells, and what was done for one, whatever that says."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from pinstripe.server.dashboard import tenant_view
from tests.jobs import FailsForSome, Picky, Sums
from tests.server.dashboard.visits import open_house
from tests.shop import FOUR, many
from tests.working import drain, enqueue

if TYPE_CHECKING:
    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio

ODD = 'a/b?c=d&e#"<i>'


async def test_lists_tenants_in_pages(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder, many(120)) as house:
        visitor = house.visitor()
        first = await visitor.get("/tenants")
        assert "t00049" in first.words
        assert "t00050" not in first.words
        second = await visitor.get("/tenants?skip=50")
        assert ("t00050" in second.words, "t00049" in second.words, "t00100" in second.words) == (True, False, False)
        third = await visitor.get("/tenants?skip=100")
        assert ("t00119" in third.words, 'rel="next"' in third.text) == (True, False)
        for odd in ("-1", "x", "9" * 30):
            assert (await visitor.get(f"/tenants?skip={odd}")).status == 200


async def test_shows_what_is_known_and_no_other_attribute(project_folder: ProjectFolder) -> None:
    items = [{"id": "acme", "active": False, "time_zone": "Asia/Tokyo", "password": "hunter22"}, {"id": "birch"}]
    async with open_house(project_folder, items) as house:
        pages = [await house.visitor().get(path) for path in ("/tenants", "/tenant?id=acme")]
        for page in pages:
            assert "Asia/Tokyo" in page.words
            assert "hunter22" not in page.text
        assert "Active no" in pages[-1].words


async def test_finds_by_id_and_by_how_it_begins(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder, [*many(200), {"id": ODD}]) as house:
        visitor = house.visitor()
        assert (await visitor.get("/tenants?search=t00077")).location == "/tenant?id=t00077"
        assert (await visitor.get(f"/tenants?search={quote(ODD)}")).location == (
            "/tenant?id=a%2Fb%3Fc%3Dd%26e%23%22%3Ci%3E"
        )
        begin = await visitor.get("/tenants?search=t0001")
        assert [f"t000{number}" in begin.words for number in (10, 19, 20)] == [True, True, False]
        many_ = await visitor.get("/tenants?search=t")
        assert "There are more; search for the others." in many_.words
        assert "None is called so" in (await visitor.get("/tenants?search=nobody")).words


async def test_tells_who_is_failing_and_who_is_paused(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        await enqueue(house.shop, FailsForSome, "birch")
        await drain(house.shop)
        await house.shop.project.pause(None, "cedar")
        page = await house.visitor().get("/tenants")
        assert "birch fails_for_some 1 failure" in page.words
        assert "cedar all jobs since" in page.words


async def test_who_has_had_it_succeed_since_is_not_among_the_failing(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        run = await enqueue(house.shop, FailsForSome, "birch", "cedar")
        await drain(house.shop)
        again = await enqueue(house.shop, FailsForSome, tenants=["cedar"])
        await drain(house.shop)
        page = await house.visitor().get("/tenants")
        assert "birch fails_for_some 1 failure" in page.words
        assert f"succeeded since: 1 cedar fails_for_some , in run {again.id[-8:]}" in page.words
        assert run.id in page.text


async def test_what_is_skipped_after_a_failure_has_not_succeeded(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        await enqueue(house.shop, FailsForSome, "birch")
        await drain(house.shop)
        await house.shop.project.pause(None, "birch")
        await enqueue(house.shop, FailsForSome)
        await drain(house.shop)
        page = await house.visitor().get("/tenant?id=birch")
        assert "fails_for_some skipped" in page.words
        assert "Failing now fails_for_some why" in page.words


async def test_shows_what_was_done_for_one(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        Picky.bad = frozenset()
        failed = await enqueue(house.shop, FailsForSome, "acme")
        await enqueue(house.shop, Picky)
        await drain(house.shop)
        visitor = house.visitor()
        page = await visitor.get("/tenant?id=acme")
        assert "Failing now fails_for_some why" in page.words
        assert failed.id[-8:] in page.words
        assert "picky succeeded" in page.words
        only = await visitor.get("/tenant?id=acme&status=failed")
        assert "picky succeeded" not in only.words
        job = await visitor.get("/tenant?id=acme&job=picky")
        assert "ValueError" not in job.words
        await enqueue(house.shop, FailsForSome)
        await drain(house.shop)
        assert "Failing now" not in (await visitor.get("/tenant?id=acme")).words


async def test_goes_through_the_history_of_one(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder, [{"id": "acme"}]) as house:
        runs = [(await enqueue(house.shop, FailsForSome)).id[-8:] for _ in range(60)]
        await drain(house.shop)
        visitor = house.visitor()
        first = await visitor.get("/tenant?id=acme")
        following = first.text.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
        second = await visitor.get(following.removeprefix("/_pinstripe"))
        assert [run in first.words for run in runs] == [False] * 10 + [True] * 50
        assert [run in second.words for run in runs] == [True] * 10 + [False] * 50


async def test_keeps_the_history_of_one_that_was_deleted(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        await enqueue(house.shop, FailsForSome)
        await drain(house.shop)
        house.shop.tenants(FOUR[1:])
        visitor = house.visitor()
        house.shop.project.tenants._kept.since = float("-inf")  # type: ignore[union-attr]  # noqa: SLF001 - half a minute later
        page = await visitor.get("/tenant?id=acme")
        assert "The tenant source has no tenant of this id any more." in page.words
        assert "fails_for_some succeeded" in page.words
        assert (await visitor.get("/tenant?id=nobody")).status == 404
        assert (await visitor.get("/tenant")).status == 404


async def test_a_source_that_fails_is_told_and_hides_nothing(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        await enqueue(house.shop, FailsForSome, "acme")
        await drain(house.shop)

        async def fail(number: int) -> None:
            raise RuntimeError("no database")

        house.shop.on_reading(fail)
        house.shop.project.tenants._kept.since = float("-inf")  # type: ignore[union-attr]  # noqa: SLF001 - as above
        visitor = house.visitor()
        listed = await visitor.get("/tenants")
        assert listed.status == 200
        assert "no database" in listed.words
        one = await visitor.get("/tenant?id=acme")
        assert "The tenant source can't be asked: tenant source tenancy:tenants" in one.words
        assert "no database" in one.words
        assert "ValueError: bad acme" in one.words
        assert (await visitor.post("/pause", tenant="acme")).status == 303


async def test_a_source_that_does_not_answer_is_not_waited_for(
    project_folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tenant_view, "PATIENCE", 0.05)
    async with open_house(project_folder) as house:

        async def hang(number: int) -> None:
            await asyncio.Event().wait()

        house.shop.on_reading(hang)
        page = await house.visitor().get("/tenants")
        assert "has not answered within" in page.words


async def test_who_is_confined_sees_their_own(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder, [*FOUR, {"id": "globex"}]) as house:
        await enqueue(house.shop, FailsForSome, "birch", "acme")
        await drain(house.shop)
        await house.shop.project.pause(None, "birch")
        support = house.visitor("support")
        for path in ("/tenants", "/tenants?search=b", "/tenants?skip=1", "/tenant?id=acme"):
            page = await support.get(path)
            assert page.status == 200
            assert "birch" not in page.text, path
            assert "cedar" not in page.text, path
        assert "acme" in (await support.get("/tenants")).words
        assert (await support.get("/tenant?id=birch")).status == 403


async def test_marks_who_is_paused_and_offers_to_pause_what_is_for_tenants(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        house.shop.add(FailsForSome)
        house.shop.add(Picky)
        house.shop.add(Sums)
        await house.shop.project.pause(None, "birch")
        await house.shop.project.pause("picky", "acme")
        visitor = house.visitor()
        for path in ("/tenants", "/tenants?search=b", "/find?q=r"):
            assert "birch paused" in (await visitor.get(path)).words, path
        assert "acme paused for one job" in (await visitor.get("/tenants")).words
        page = await visitor.get("/tenant?id=acme")
        assert 'data-confirm="Pause acme? What runs goes on' in page.text
        offered = page.words.partition("Pause one job for it")[2]
        assert "Job choose one fails_for_some Pause it" in offered  # picky is, and sums is for nobody
        assert "acme" in (await visitor.get("/jobs/picky")).words
        assert "acme" not in (await visitor.get("/jobs/sums")).words
