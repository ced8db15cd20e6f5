"""What a form tells before it starts anything, and what it begins with that is to start a run like another one."""

from __future__ import annotations

from html import unescape
from typing import TYPE_CHECKING

import pytest

from pinstripe.comparisons import parse_condition
from pinstripe.options import Terms
from pinstripe.runs import Request
from pinstripe.selection import Selection, ZoneChoice
from pinstripe.server.dashboard import likeness
from pinstripe.server.dashboard.planning import filter_in_words
from tests.jobs import FailsForSome, Sums
from tests.server.dashboard.visits import open_house
from tests.shop import many
from tests.working import drain

if TYPE_CHECKING:
    from pinstripe.run import Run
    from tests.conftest import ProjectFolder
    from tests.server.dashboard.visits import House, Page

pytestmark = pytest.mark.anyio

WHERE = (parse_condition("plan=pro"),)


def typed(page: Page, name: str) -> str:
    """Give what stands in a field of several lines."""
    return unescape(
        page.text.partition(f'<textarea id="field-{name}"')[2].partition(">\n")[2].partition("</textarea>")[0]
    )


async def start(house: House, job: str, selection: Selection, *args: str) -> Run:
    """Enqueue a run by hand."""
    return await house.shop.project.enqueue(Request(job, args, text=True, selection=selection), Terms())


@pytest.mark.parametrize(
    ("own", "selection", "words"),
    [
        ("active=True", Selection(), "active=True"),
        ("active=True", Selection(where=WHERE), "active=True and plan='pro'"),
        ("all", Selection(where=(*WHERE, ("seats__ge", 5))), "plan='pro' and seats__ge=5"),
        ("all", Selection(tenants=("a", "b"), exclude=("c",)), "all, only the 2 named, without the 1 named"),
    ],
)
def test_the_filter_in_force_is_told_without_options(own: str, selection: Selection, words: str) -> None:
    assert filter_in_words(own, selection) == words


async def test_a_dry_run_tells_who_is_paused(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder, many(60)) as house:
        name, other = house.shop.add(FailsForSome), house.shop.add(Sums)
        visitor = house.visitor()
        pause = house.shop.project.pause
        for number in range(30):
            await pause(None, f"t{number:05}")
        await pause(name, "t00040")
        await pause(other, None)
        page = await visitor.post("/start", job=name, key="1", dry_run="1")
        assert "31 of them are paused, and will be skipped: t00000 , t00001" in page.words
        assert "and 11 more" in page.words
        one = await visitor.post("/start", job=name, key="1", dry_run="1", tenants="t00040")
        assert "The tenant is paused: the run waits until it is resumed." in one.words
        none = await visitor.post("/start", job=name, key="1", dry_run="1", tenants="t00041\nt00042")
        assert "paused" not in none.words
        assert "Run it for 2 tenants" in none.words


@pytest.mark.parametrize("everything", [True, False])
async def test_the_form_says_that_all_would_wait(project_folder: ProjectFolder, everything: bool) -> None:
    async with open_house(project_folder) as house:
        name = house.shop.add(Sums)
        visitor = house.visitor()
        assert "paused" not in (await visitor.get(f"/start?job={name}")).words
        await house.shop.project.pause(None if everything else name, None)
        what = "Everything" if everything else "This job"
        assert f"{what} is paused since" in (await visitor.get(f"/start?job={name}")).words
        page = await visitor.post("/start", job=name, key="1", dry_run="1")
        assert f"All of it waits: {what.lower()} is paused." in page.words
        assert "Run it once" in page.words


async def test_anew_is_for_whom_it_was(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder, [{"id": f"t{n}", "plan": "pro", "active": True} for n in range(9)]) as house:
        name = house.shop.add(FailsForSome)
        visitor = house.visitor()
        some = await start(house, name, Selection(tenants=("t1", "t2"), where=WHERE))
        form = await visitor.get(f"/start?job={name}&like={some.id}")
        assert (typed(form, "tenants"), typed(form, "except"), typed(form, "where")) == ("t1\nt2", "", "plan=pro")
        but = await start(house, name, Selection(exclude=("t3",)), "t4")
        form = await visitor.get(f"/start?job={name}&like={but.id}")
        assert (typed(form, "tenants"), typed(form, "except")) == ("", "t3")
        assert typed(form, "arg-bad") == '["t4"]'
        await drain(house.shop)
        retry = await house.shop.project.enqueue_retry(but.id)
        assert retry is not None
        await drain(house.shop)
        form = await visitor.get(f"/start?job={name}&like={retry.id}")
        assert (typed(form, "tenants"), typed(form, "except")) == ("t4", "")


async def test_anew_names_those_whom_no_field_selects(
    project_folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_house(project_folder, many(5)) as house:
        name = house.shop.add(FailsForSome)
        visitor = house.visitor()
        zone = Selection(zone=ZoneChoice("UTC", "time_zone", "UTC"))
        run = await start(house, name, zone)
        waiting = await visitor.get(f"/start?job={name}&like={run.id}")
        assert "Whom that run is for isn't selected yet." in waiting.words
        await drain(house.shop)
        named = await visitor.get(f"/start?job={name}&like={run.id}")
        assert typed(named, "tenants").split() == [f"t{number:05}" for number in range(5)]
        monkeypatch.setattr(likeness, "MOST", 4)
        many_ = await visitor.get(f"/start?job={name}&like={run.id}")
        assert "That run was for 5 tenants, too many to be named here." in many_.words
        assert typed(many_, "tenants") == ""


async def test_anew_tells_of_ids_that_cannot_be_typed(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder, [{"id": "a"}, {"id": " b"}, {"id": "c\nd"}]) as house:
        name = house.shop.add(FailsForSome)
        run = await start(house, name, Selection(tenants=("a", " b", "c\nd")))
        page = await house.visitor().get(f"/start?job={name}&like={run.id}")
        assert "2 of its tenants can't be typed" in page.words
        assert typed(page, "tenants") == "a"
