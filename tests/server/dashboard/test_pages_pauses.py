"""Pausing and resuming by the dashboard: what is named, never everything by mistake, and back to where one was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.jobs import FailsForSome
from tests.server.dashboard.visits import open_house

if TYPE_CHECKING:
    from tests.conftest import ProjectFolder
    from tests.server.dashboard.visits import House

pytestmark = pytest.mark.anyio


async def paused(house: House) -> list[tuple[str | None, str | None]]:
    """Give what is paused."""
    return [(pause.job, pause.tenant) for pause in await house.shop.project.ledger.queue.pauses()]


async def test_pauses_and_resumes_what_is_named(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        name = house.shop.add(FailsForSome)
        visitor = house.visitor()
        assert (await visitor.post("/pause", job=name)).location == f"/jobs/{name}"
        assert "This job is paused" in (await visitor.get(f"/jobs/{name}")).words
        assert (await visitor.post("/pause", tenant="acme")).location == "/tenant?id=acme"
        assert "This tenant is paused" in (await visitor.get("/tenant?id=acme")).words
        await visitor.post("/pause", job=name, tenant="birch")
        assert (await visitor.post("/pause", all="1")).location == "/"
        assert {*await paused(house)} == {(name, None), (None, "acme"), (name, "birch"), (None, None)}
        for fields in ({"job": name}, {"tenant": "acme"}, {"job": name, "tenant": "birch"}, {"all": "1"}):
            assert (await visitor.post("/resume", **fields)).status == 303
        assert await paused(house) == []
        entries = (await house.context.history.audit()).entries
        assert [entry.action for entry in entries] == ["resume"] * 4 + ["pause"] * 4
        assert {entry.actor for entry in entries} == {("dashboard", "operator")}


async def test_nothing_named_is_never_everything(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        visitor = house.visitor()
        answers = [
            await visitor.post("/pause"),
            await visitor.post("/pause", tenant=""),
            await visitor.post("/pause", job="", tenant="acme"),
            await visitor.post("/pause", all="1", tenant="acme"),
        ]
        assert {answer.status for answer in answers} == {422}
        assert (await visitor.post("/pause", job="nothing_such")).status == 404
        unknown = await visitor.post("/pause", tenant="nobody")
        assert unknown.status == 404
        assert "unknown tenant 'nobody' The list of tenants has those there are." in unknown.words
        assert await paused(house) == []


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("/_pinstripe/runs?job=a", "/runs?job=a"),
        ("https://elsewhere.example/", "/tenant?id=acme"),
        ("//elsewhere.example/_pinstripe/", "/tenant?id=acme"),
        ("/_pinstripe/\\elsewhere.example", "/tenant?id=acme"),
        ("/_pinstripe/\r\nSet-Cookie: a=b", "/tenant?id=acme"),
        ("/other", "/tenant?id=acme"),
    ],
)
async def test_leads_back_to_pages_of_ours_alone(project_folder: ProjectFolder, asked: str, given: str) -> None:
    async with open_house(project_folder) as house:
        assert (await house.visitor().post("/pause", tenant="acme", next=asked)).location == given


async def test_lets_nobody_pause_who_may_not(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        name = house.shop.add(FailsForSome)
        await house.shop.project.pause(None, "birch")
        for action in ("/pause", "/resume"):
            assert (await house.visitor("reader").post(action, tenant="acme")).status == 403
            assert (await house.visitor().post(action, tenant="acme", csrf="made-up")).status == 403
            for fields in ({"tenant": "birch"}, {"job": name}, {"all": "1"}):
                assert (await house.visitor("support").post(action, **fields)).status == 403
        assert await paused(house) == [(None, "birch")]
        assert (await house.visitor("support").post("/pause", tenant="acme")).status == 303
        assert (await house.visitor("support").post("/pause", job=name, tenant="acme")).status == 303
