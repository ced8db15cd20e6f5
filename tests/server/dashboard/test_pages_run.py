"""The page of a run, and of an execution: what failed and why stands first, and what is hostile in it does nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from pinstripe.background_job import BackgroundJob
from tests.jobs import Alone, FailsForSome, Picky, Sums
from tests.server.dashboard.visits import open_house
from tests.working import drain, enqueue, seen

if TYPE_CHECKING:
    from tests.conftest import ProjectFolder
    from tests.postgres import Postgres

pytestmark = pytest.mark.anyio

HOSTILE = "<img src=x onerror=alert(1)>\x1b[31m\u202e'\"&/?#"


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest) -> str | None:
    """Give where the ledger is kept: in a file, or in a database of its own."""
    if request.param == "sqlite":
        return None
    postgres: Postgres = request.getfixturevalue("postgres")
    return postgres.url(request.getfixturevalue("postgres_database"))


async def test_shows_what_failed_first_with_its_traceback(project_folder: ProjectFolder, ledger: str | None) -> None:
    async with open_house(project_folder, ledger=ledger) as house:
        run = await enqueue(house.shop, FailsForSome, "birch")
        await drain(house.shop)
        visitor = house.visitor()
        page = await visitor.get(f"/runs/{run.id}")
        assert page.status == 200
        assert "Tenants that failed" in page.words
        assert "ValueError: bad birch" in page.words
        assert "Traceback (most recent call last)" in page.words
        assert 'tenant=acme"' not in page.text
        assert "Retry the 1 failed" in page.words
        assert page.fields("tenant") == ["birch"]
        every = await visitor.get(f"/runs/{run.id}?status=all")
        assert all(name in every.words for name in ("All tenants", "acme", "birch", "cedar"))
        found = await visitor.get(f"/runs/{run.id}?status=succeeded&search=ED")
        assert "cedar" in found.words
        assert "acme" not in found.words
        nobody = await visitor.get(f"/runs/{run.id}?status=skipped")
        assert "No such tenant in this run" in nobody.words


async def test_goes_through_many_tenants_page_by_page(project_folder: ProjectFolder, ledger: str | None) -> None:
    items = [{"id": f"t{number:03}"} for number in range(120)]
    async with open_house(project_folder, items, ledger=ledger) as house:
        run = await enqueue(house.shop, FailsForSome, *(str(item["id"]) for item in items))
        await drain(house.shop)
        visitor = house.visitor()
        page, names = await visitor.get(f"/runs/{run.id}"), list[str]()
        while True:
            names += page.fields("tenant")
            following = page.text.partition('rel="next" href="')[2].partition('"')[0]
            if not following:
                break
            page = await visitor.get(following.replace("&amp;", "&").removeprefix("/_pinstripe"))
        assert names == [item["id"] for item in items]


async def test_what_is_hostile_stays_text(project_folder: ProjectFolder) -> None:
    class Shouts(BackgroundJob):
        multi_tenant = True

        async def run(self, what: str) -> dict[str, str]:
            print(what)  # noqa: T201 - jobs do
            raise ValueError(f"{what}\n{self.tenant.id}")

    async with open_house(project_folder, [{"id": HOSTILE}]) as house:
        run = await enqueue(house.shop, Shouts, HOSTILE)
        await drain(house.shop)
        visitor = house.visitor()
        at = f"/runs/{run.id}/execution?tenant={quote(HOSTILE)}"
        pages = [
            f"/runs/{run.id}?status=all",
            f"/runs/{run.id}?status=all&search={quote('<img')}",
            at,
            f"/tenant?id={quote(HOSTILE)}",
            f"/start?job=Shouts&like={run.id}&tenant={quote(HOSTILE)}",
            "/tenants",
            "/jobs/Shouts",
        ]
        for path in pages:
            page = await visitor.get(path)
            assert page.status == 200, path
            shown = re.sub(r'value="[^"]*"|<textarea.*?</textarea>', "", page.text, flags=re.DOTALL)
            assert "<img" in page.words, path
            assert not {"\x1b", "\u202e"} & {*shown}, path  # what is sent back is as it was
            assert "<img" not in page.text, path
        retry = await visitor.post(f"/runs/{run.id}/retry", chosen="1", tenant=HOSTILE)
        assert retry.fields("tenant") == [HOSTILE]
        log = await visitor.get(at.replace("/execution", "/log"))
        assert log.headers["content-type"] == "text/plain; charset=utf-8"
        assert log.headers["content-disposition"] == f'attachment; filename="{run.id}.log"'
        assert log.headers["x-content-type-options"] == "nosniff"
        assert log.text == f"{HOSTILE}\n"


async def test_a_job_without_tenants_shows_its_execution(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        run = await enqueue(house.shop, Sums, 1, 2)
        waiting = await house.visitor().get(f"/runs/{run.id}")
        assert "queued; no worker is there; `pinstripe start-worker` starts one" in waiting.words
        assert "Cancel this run" in waiting.words
        await drain(house.shop)
        page = await house.visitor().get(f"/runs/{run.id}")
        assert "Result 3" in page.words
        assert "1, 2" in page.words
        assert "Cancel this run" not in page.words
        alone = await enqueue(house.shop, Alone)
        await drain(house.shop)
        failed = await house.visitor().get(f"/runs/{alone.id}")
        assert "Why it failed ValueError: not yet" in failed.words


async def test_a_long_log_is_cut_and_given_whole_as_text(project_folder: ProjectFolder) -> None:
    class Talks(BackgroundJob):
        async def run(self) -> None:
            for number in range(20_000):
                print(f"line {number}")  # noqa: T201 - jobs do
            raise ValueError("too much")

    async with open_house(project_folder) as house:
        run = await enqueue(house.shop, Talks)
        await drain(house.shop)
        page = await house.visitor().get(f"/runs/{run.id}")
        assert len(page.text) < 100_000
        assert "The last 60,000 of" in page.words
        assert "line 19999" in page.words
        assert "line 100 " not in page.words
        assert "line 100\n" in (await house.visitor().get(f"/runs/{run.id}/log")).text


async def test_redacted_arguments_are_not_shown(project_folder: ProjectFolder) -> None:
    class Knows(BackgroundJob):
        redact = ("password",)

        async def run(self, name: str, password: str) -> None:
            raise ValueError(f"{name} with {password}")

    async with open_house(project_folder) as house:
        run = await enqueue(house.shop, Knows, "ann", "hunter22")
        await drain(house.shop)
        for path in (f"/runs/{run.id}", f"/runs/{run.id}/execution", f"/start?job=Knows&like={run.id}"):
            page = await house.visitor().get(path)
            assert page.status == 200
            assert "ann" in page.text
            assert "hunter22" not in page.text


async def test_leads_from_the_end_of_an_id_to_the_run(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        run = await enqueue(house.shop, Sums)
        assert (await house.visitor().get(f"/runs/{run.id[-8:]}")).location == f"/runs/{run.id}"
        assert (await house.visitor().get("/runs/last?status=all")).location == f"/runs/{run.id}?status=all"
        assert (await house.visitor().get("/runs/nothing")).status == 404
        assert (await house.visitor().get(f"/runs/{run.id}/execution?tenant=acme")).status == 404


async def test_who_may_only_look_finds_nothing_to_press(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        run = await enqueue(house.shop, FailsForSome, "birch")
        running = await house.visitor("reader").get(f"/runs/{run.id}")
        await drain(house.shop)
        failed = await house.visitor("reader").get(f"/runs/{run.id}")
        one = await house.visitor("reader").get(f"/runs/{run.id}/execution?tenant=birch")
        job = await house.visitor("reader").get("/jobs/FailsForSome")
        tenant = await house.visitor("reader").get("/tenant?id=birch")
        for page in (running, failed, one, job, tenant):
            assert page.status == 200
            main = page.text.partition("<main")[2]
            assert 'method="post"' not in main
            assert 'type="checkbox"' not in main
            assert "/start" not in main


async def test_who_is_confined_sees_their_own_part_alone(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        run = await enqueue(house.shop, FailsForSome, "acme", "birch")
        others = await enqueue(house.shop, FailsForSome, tenants=["birch"])
        await drain(house.shop)
        support = house.visitor("support")
        page = await support.get(f"/runs/{run.id}")
        assert page.status == 200
        assert "bad acme" in page.words
        assert "birch" not in page.text
        assert "Cancel" not in page.words
        assert (await support.get(f"/runs/{others.id}")).status == 404
        assert (await support.get(f"/runs/{others.id}/events")).status == 404
        assert (await support.get(f"/runs/{run.id}/execution?tenant=birch")).status == 403
        assert (await support.get(f"/runs/{run.id}/log?tenant=birch")).status == 403
        assert (await support.get(f"/runs/{run.id}/execution")).status == 403
        assert "bad acme" in (await support.get(f"/runs/{run.id}/execution?tenant=acme")).words


async def test_tells_by_whom_and_what_became_of_it(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        Picky.bad = frozenset({"birch"})
        run = await enqueue(house.shop, Picky)
        await drain(house.shop)
        visitor = house.visitor()
        retried = (await visitor.post(f"/runs/{run.id}/retry", confirmed="1")).location
        Picky.bad = frozenset()
        await drain(house.shop)
        page = await visitor.get(retried)
        assert "a retry, by operator, in the dashboard" in page.words
        assert f"Retry of {run.id[-8:]}" in page.words
        before = await visitor.get(f"/runs/{run.id}")
        assert f"Retried in {retried[-8:]} succeeded" in before.words
        assert "Nothing of it is left to retry" in before.words
        assert "Retry the" not in before.words
        assert (await seen(house.shop, run)).status == "failed"
