"""Retrying and cancelling: first it is said what will happen, then that is done, once, and by whom is kept."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest

from pinstripe.actor import Actor, Door
from pinstripe.background_job import BackgroundJob
from pinstripe.ledger import RunFilter
from tests.jobs import Alone, FailsForSome, Picky
from tests.server.dashboard.visits import open_house
from tests.working import drain, enqueue, seen, working

if TYPE_CHECKING:
    from pinstripe.run import Run
    from tests.conftest import ProjectFolder
    from tests.server.dashboard.visits import House

pytestmark = pytest.mark.anyio


async def last(house: House) -> Run:
    """Give the newest run."""
    return (await house.shop.project.ledger.list_runs(RunFilter(limit=1)))[0]


async def test_retries_what_failed_in_three_steps(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        Picky.bad = frozenset({"acme", "cedar"})
        run = await enqueue(house.shop, Picky, "weekly")
        await drain(house.shop)
        visitor = house.visitor()
        assert "Retry the 2 failed" in (await visitor.get(f"/runs/{run.id}")).words
        asked = await visitor.post(f"/runs/{run.id}/retry")
        assert asked.status == 200
        assert "Retry 2 tenants" in asked.words
        assert "A new run of picky will be enqueued for these 2 tenants, and for no others." in asked.words
        assert "acme" in asked.words
        assert "birch" not in asked.words
        assert '"weekly" , the same as before' in asked.words
        assert (await last(house)).id == run.id  # nothing is done as yet
        Picky.bad = frozenset()
        at = (await visitor.post(f"/runs/{run.id}/retry", confirmed="1")).location
        retry = await last(house)
        assert (at, retry.retry_of) == (f"/runs/{retry.id}", run.id)
        await drain(house.shop)
        done = await seen(house.shop, retry)
        assert (done.status, done.executions.total, done.args) == ("succeeded", 2, ("weekly",))
        (entry,) = (await house.context.history.audit(filters={"action": "retry"})).entries
        assert (entry.actor, entry.run, entry.outcome) == (("dashboard", "operator"), run.id, "done")


async def test_a_second_click_leads_to_the_same_retry(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        run = await enqueue(house.shop, FailsForSome, "acme")
        await drain(house.shop)
        visitor = house.visitor()
        first = await visitor.post(f"/runs/{run.id}/retry", confirmed="1")
        second = await visitor.post(f"/runs/{run.id}/retry", confirmed="1")
        assert first.location == second.location
        chosen = await visitor.post(f"/runs/{run.id}/retry", chosen="1", tenant="acme", confirmed="1")
        again = await visitor.post(f"/runs/{run.id}/retry", chosen="1", tenant="acme", confirmed="1")
        assert chosen.location == again.location != first.location  # of two, one finds nothing left
        await drain(house.shop)
        assert (await visitor.post(f"/runs/{run.id}/retry", confirmed="1")).location not in {first.location, "/"}


async def test_retries_those_that_are_chosen(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        run = await enqueue(house.shop, FailsForSome, "acme", "birch", "cedar")
        await drain(house.shop)
        visitor = house.visitor()
        nobody = await visitor.post(f"/runs/{run.id}/retry", chosen="1")
        assert nobody.status == 422
        assert "Choose at least one" in nobody.words
        chosen = ["birch", "cedar"]
        asked = await visitor.post(f"/runs/{run.id}/retry", chosen="1", tenant=chosen)
        assert "for these 2 tenants" in asked.words
        assert asked.fields("tenant") == chosen
        await visitor.post(f"/runs/{run.id}/retry", chosen="1", tenant=chosen, confirmed="1")
        await drain(house.shop)
        assert (await seen(house.shop, await last(house))).executions.total == 2


async def test_says_who_of_the_chosen_needs_none(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        Picky.bad = frozenset({"acme", "birch"})
        run = await enqueue(house.shop, Picky)
        await drain(house.shop)
        Picky.bad = frozenset()
        visitor = house.visitor()
        await visitor.post(f"/runs/{run.id}/retry", chosen="1", tenant="acme", confirmed="1")
        await drain(house.shop)
        asked = await visitor.post(f"/runs/{run.id}/retry", chosen="1", tenant=["acme", "birch"])
        assert "Retry 1 tenant" in asked.words
        assert "1 tenant of those you chose needs none" in asked.words
        none = await visitor.post(f"/runs/{run.id}/retry", chosen="1", tenant="acme", confirmed="1")
        assert "Nothing to retry" in none.words


async def test_retries_what_was_skipped_where_that_is_asked_for(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        await house.shop.project.pause(None, "acme")
        run = await enqueue(house.shop, FailsForSome, "birch")
        await drain(house.shop)
        await house.shop.project.resume(None, "acme")
        visitor = house.visitor()
        assert "… and the 1 skipped" in (await visitor.get(f"/runs/{run.id}")).words
        assert "Retry 1 tenant" in (await visitor.post(f"/runs/{run.id}/retry")).words
        both = await visitor.post(f"/runs/{run.id}/retry", skipped="1")
        assert "Retry 2 tenants" in both.words
        assert both.fields("skipped") == ["1"]
        await visitor.post(f"/runs/{run.id}/retry", skipped="1", confirmed="1")
        await drain(house.shop)
        assert (await seen(house.shop, await last(house))).executions.total == 2


async def test_retries_a_job_without_tenants(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        run = await enqueue(house.shop, Alone)
        await drain(house.shop)
        visitor = house.visitor()
        asked = await visitor.post(f"/runs/{run.id}/retry")
        assert "Retry this run A new run of alone will be enqueued." in asked.words
        assert (
            await visitor.post(f"/runs/{run.id}/retry", confirmed="1")
        ).location == f"/runs/{(await last(house)).id}"


async def test_refuses_a_run_that_goes_on(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        run = await enqueue(house.shop, FailsForSome)
        page = await house.visitor().post(f"/runs/{run.id}/retry")
        assert "This run is still queued" in page.words


async def test_cancels_once_it_is_confirmed(project_folder: ProjectFolder) -> None:
    begun = asyncio.Event()

    class Waits(BackgroundJob):
        multi_tenant = True

        async def run(self) -> None:
            begun.set()
            await asyncio.Event().wait()

    async with open_house(project_folder) as house:
        async with working(house.shop, 1):
            run = await enqueue(house.shop, Waits)
            await begun.wait()
            visitor = house.visitor()
            asked = await visitor.post(f"/runs/{run.id}/cancel")
            assert "2 that wait are cancelled at once" in asked.words
            assert "1 that runs is told to stop" in asked.words
            assert not (await house.shop.project.ledger.queue.cancelled([run.id]))
            assert (await visitor.post(f"/runs/{run.id}/cancel", confirmed="1")).location == f"/runs/{run.id}"
            assert await house.shop.project.ledger.queue.cancelled([run.id])
        (entry,) = (await house.context.history.audit(filters={"action": "cancel"})).entries
        assert entry.actor == ("dashboard", "operator")


async def test_who_did_something_in_vain_is_not_told_of_the_run(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        name, visitor = house.shop.add(Alone), house.visitor()
        key = (await visitor.get(f"/start?job={name}")).fields("key")[0]
        for _ in range(2):
            await visitor.post("/start", job=name, key=key)
        await drain(house.shop)
        run = await last(house)
        await house.shop.project.cancel(run.id, actor=Actor(Door.CLI, "ada"))
        outcomes = [entry.outcome for entry in (await house.context.history.audit(filters={"run": run.id})).entries]
        assert outcomes == ["finished already", "a run has this key already", "done"]
        page = await visitor.get(f"/runs/{run.id}")
        assert page.words.count("operator, in the dashboard") == 1
        assert "Cancelled by" not in page.words


@pytest.mark.parametrize("action", ["retry", "cancel"])
async def test_lets_nobody_act_who_may_not(project_folder: ProjectFolder, action: str) -> None:
    async with open_house(project_folder) as house:
        run = await enqueue(house.shop, FailsForSome, "birch")
        if action == "retry":
            await drain(house.shop)
        before = await last(house)
        at = f"/runs/{run.id}/{action}"
        reader = await house.visitor("reader").post(at, confirmed="1")
        assert (reader.status, "You may look, but not act" in reader.words) == (403, True)
        forged = await house.visitor().post(at, confirmed="1", csrf="made-up")
        assert (forged.status, "This form is no longer valid" in forged.words) == (403, True)
        assert (await house.visitor().get(at)).status == 405
        confined = await house.visitor("support").post(at, confirmed="1", chosen="1", tenant="birch")
        assert confined.status == 403
        assert await last(house) == before


async def test_who_is_confined_retries_their_own_alone(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        run = await enqueue(house.shop, FailsForSome, "acme", "birch")
        await drain(house.shop)
        support = house.visitor("support")
        await house.shop.project.pause(None, "birch")
        asked = await support.post(f"/runs/{run.id}/retry")
        assert "Retry 1 tenant" in asked.words
        assert "birch" not in asked.text
        assert "paused" not in asked.words
        await support.post(f"/runs/{run.id}/retry", confirmed="1")
        await drain(house.shop)
        retry = await seen(house.shop, await last(house))
        assert [failure.tenant for failure in retry.failures] == ["acme"]
        assert retry.executions.total == 1


async def test_reaches_a_tenant_whose_id_has_line_breaks(project_folder: ProjectFolder) -> None:
    odd = "a\r\nb\nc\r"
    async with open_house(project_folder, [{"id": odd}, {"id": "acme"}]) as house:
        run = await enqueue(house.shop, FailsForSome, odd, "acme")
        await drain(house.shop)
        visitor = house.visitor()
        (box,) = (await visitor.get(f"/runs/{run.id}")).fields("tenant-json")
        asked = await visitor.post(f"/runs/{run.id}/retry", chosen="1", **{"tenant-json": box})
        assert "Retry 1 tenant" in asked.words
        (again,) = asked.fields("tenant-json")
        await visitor.post(f"/runs/{run.id}/retry", chosen="1", confirmed="1", **{"tenant-json": again})
        await drain(house.shop)
        assert [failure.tenant for failure in (await seen(house.shop, await last(house))).failures] == [odd]
        tenant = await visitor.get(f"/tenant?id={quote(odd)}")
        (own, *_) = tenant.fields("tenant-json")
        assert (await visitor.get(f"/tenant?tenant-json={quote(own)}&status=failed")).status == 200
        assert (await visitor.post("/pause", **{"tenant-json": own})).location == f"/tenant?id={quote_plus(odd)}"
        assert [pause.tenant for pause in await house.shop.project.ledger.queue.pauses()] == [odd]
        for wrong in ("", "[]", "{", "[" * 9_000):
            assert (await visitor.post("/pause", **{"tenant-json": wrong})).status == 400
