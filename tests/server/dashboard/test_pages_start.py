"""The form that starts a job: it says what would be, tells each error at its field, loses nothing, and starts once."""

from __future__ import annotations

from time import process_time
from typing import TYPE_CHECKING, Literal

import pytest

from pinstripe.background_job import BackgroundJob
from tests.jobs import FailsForSome, Sums
from tests.server.dashboard.visits import open_house
from tests.shop import many
from tests.working import drain

if TYPE_CHECKING:
    from pinstripe.run import Run
    from tests.conftest import ProjectFolder
    from tests.server.dashboard.visits import House, Page, Visitor

pytestmark = pytest.mark.anyio


class Report(BackgroundJob):
    """Report something."""

    redact = ("password",)

    async def run(
        self, days: int, speed: Literal["slow", "fast"] = "fast", title: str = "all", password: str = ""
    ) -> int:
        return days


async def runs(house: House) -> list[Run]:
    """Give all runs, newest first."""
    return [*reversed(await house.shop.runs())]


async def send(visitor: Visitor, job: str, **fields: str) -> Page:
    """Send the form of a job, as it was when it was opened; two underscores in a field's name are a hyphen."""
    key = (await visitor.get(f"/start?job={job}")).fields("key")[0]
    return await visitor.post("/start", job=job, **{"key": key, **fields})


async def test_starts_what_was_typed(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        name = house.shop.add(Report)
        visitor = house.visitor()
        form = await visitor.get(f"/start?job={name}")
        assert "Report something. days required int" in form.words
        assert "as the job says: fast" in form.words
        page = await send(visitor, name, arg__days="3", arg__title="<b>\r\nsecond", arg__password="hunter22")
        (run,) = await runs(house)
        assert page.location == f"/runs/{run.id}"
        assert (run.trigger, run.kwargs) == ("api", {"days": 3, "title": "<b>\nsecond", "password": "hunter22"})
        (entry,) = (await house.context.history.audit()).entries
        assert (entry.action, entry.actor, entry.run) == ("start", ("dashboard", "operator"), run.id)
        await drain(house.shop)
        assert "hunter22" not in (await visitor.get(page.location)).text


async def test_sent_twice_it_starts_once(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        name = house.shop.add(Sums)
        visitor = house.visitor()
        key = (await visitor.get(f"/start?job={name}")).fields("key")[0]
        first = await visitor.post("/start", job=name, key=key, arg__numbers="[1]")
        second = await visitor.post("/start", job=name, key=key, arg__numbers="[1]")
        assert first.location == second.location
        other = await visitor.post("/start", job=name, key=key, arg__numbers="[2]")  # it was changed meanwhile
        assert other.location != first.location
        assert [run.args for run in await runs(house)] == [(2,), (1,)]


async def test_tells_each_error_at_its_field_and_loses_nothing(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        name = house.shop.add(Report)
        visitor = house.visitor()
        typed = {
            "arg__days": "many",
            "arg__speed": "warp",
            "arg__title": '"><i>\r\nb',
            "arg__password": "hunter22",
            "at": "tomorrow",
            "delay": "5 bananas",
        }
        page = await send(visitor, name, **typed)
        assert page.status == 422
        assert await runs(house) == []
        assert "Nothing was started: 4 fields below don't fit." in page.words
        assert "expected a whole number" in page.words or "expected int" in page.words
        assert "expected a time as 2026-12-01T09:00 or 2026-12-01T09:00+01:00, got 'tomorrow'" in page.words
        assert "5 bananas" in page.words
        for value in ("many", "warp", "tomorrow", "5 bananas"):
            assert f'value="{value}"' in page.text
        assert "\n&#34;&gt;&lt;i&gt;\nb</textarea>" in page.text
        assert "hunter22" not in page.text
        assert page.text.count('aria-invalid="true"') == 4


async def test_a_wrong_secret_is_not_repeated(project_folder: ProjectFolder) -> None:
    class Opens(BackgroundJob):
        redact = ("code",)

        async def run(self, code: int) -> None:
            pass

    async with open_house(project_folder) as house:
        page = await send(house.visitor(), house.shop.add(Opens), arg__code="12x34")
        assert page.status == 422
        assert "12x34" not in page.text
        assert "what was typed isn't repeated" in page.words
        assert 'type="password" value=""' in page.text


async def test_a_dry_run_says_for_whom_and_keeps_the_form(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder, many(150)) as house:
        name = house.shop.add(FailsForSome)
        visitor = house.visitor()
        page = await send(visitor, name, dry_run="1", arg__bad='["t00001"]', **{"except": "t00000\r\nt00007"})
        assert page.status == 200
        assert "It would run for 148 tenants" in page.words
        assert 'fails_for_some("t00001")' in page.words
        assert "Filter in force: active=True, without the 2 named" in page.words
        assert "t00149" in page.words
        assert "Nothing has been started." in page.words
        assert "[&#34;t00001&#34;]</textarea>" in page.text
        assert "t00000\nt00007</textarea>" in page.text
        assert await runs(house) == []
        only = await send(visitor, name, dry_run="1", tenants="t00003\nt00004\n\nt00003")
        assert "It would run for 2 tenants" in only.words


async def test_a_dry_run_without_tenants_hides_what_is_secret(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        page = await send(house.visitor(), house.shop.add(Report), dry_run="1", arg__days="2", arg__password="hunter22")
        assert "It would run once, without a tenant" in page.words
        assert 'report(days=2, password="***")' in page.words
        assert "hunter22" not in page.text


async def test_tenants_that_are_not_there_are_told_at_their_field(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        name = house.shop.add(FailsForSome)
        visitor = house.visitor()
        unknown = await send(visitor, name, tenants="acme\nnobody")
        assert "unknown tenant 'nobody' The list of tenants , in a new tab" in unknown.words
        assert 'id="error-tenants-1"' in unknown.text
        both = await send(visitor, name, tenants="acme", **{"except": "acme"})
        assert "'acme' is among the tenants, too" in both.words
        where = await send(visitor, name, where="plan=pro\nplan~x")
        assert "condition 'plan~x': expected KEY=VALUE" in where.words
        odd = await send(visitor, name, where="colour=red")
        assert odd.status in {303, 422}
        assert (await visitor.get("/start?job=nothing_such")).status == 404
        times = await send(visitor, name, at="2030-01-01T09:00", delay="5m")
        assert "it says when, as the time does" in times.words


async def test_waits_as_it_is_told(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        name = house.shop.add(Sums)
        visitor = house.visitor()
        at = (await send(visitor, name, at="2090-01-01T09:00", priority="interactive")).location
        assert "for its time at 2090-01-01 09:00:00Z" in (await visitor.get(at)).words
        assert (await send(visitor, name, delay="1h")).status == 303


async def test_begins_like_a_run_that_was(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        name = house.shop.add(Report)
        visitor = house.visitor()
        await send(visitor, name, arg__days="7", arg__speed="slow", arg__password="hunter22")
        (run,) = await runs(house)
        form = await visitor.get(f"/start?job={name}&like={run.id}")
        assert 'name="arg-days" value="7"' in form.text
        assert '<option value="slow" selected>' in form.text
        assert "hunter22" not in form.text
        assert (await visitor.get(f"/start?job={name}&like=nothing")).status == 200


async def test_what_a_run_has_redacted_stays_so_where_its_job_shows_it(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        name = house.shop.add(Report)
        await send(house.visitor(), name, arg__days="7", arg__password="hunter22")
        (run,) = await runs(house)

    class Shows(Report):
        redact = ("title",)

    async with open_house(project_folder) as house:
        house.shop.add(Shows, name)
        form = await house.visitor().get(f"/start?job={name}&like={run.id}")
        assert form.text.count('type="password"') == 1
        assert 'name="arg-days" value="7"' in form.text
        assert "hunter22" not in form.text


async def test_asks_first_which_job(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        name = house.shop.add(Report)
        assert f'<option value="{name}">' in (await house.visitor().get("/start")).text


async def test_lets_nobody_start_who_may_not(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        name, alone = house.shop.add(FailsForSome), house.shop.add(Sums)
        reader = house.visitor("reader")
        assert (await reader.get(f"/start?job={name}")).status == 403
        assert (await reader.post("/start", job=name, key="1")).status == 403
        assert (await house.visitor().post("/start", job=name, key="1", csrf="made-up")).status == 403
        support = house.visitor("support")
        assert (await support.post("/start", job=alone, key="1")).status == 403
        assert (await support.post("/start", job=name, key="1")).status == 422
        for dry in ({}, {"dry_run": "1"}):
            assert (await support.post("/start", job=name, key="1", tenants="birch", **dry)).status == 403
            others = await support.post("/start", job=name, key="1", tenants="acme", **{"except": "birch"}, **dry)
            assert others.status == 403
            narrowed = await support.post(
                "/start", job=name, key="1", tenants="acme", where="plan__begins_with=p", **dry
            )
            assert (narrowed.status, "it is for those who see all tenants" in narrowed.words) == (422, True)
        assert 'name="where"' not in (await support.get(f"/start?job={name}")).text
        assert await runs(house) == []
        assert (await support.post("/start", job=name, key="1", tenants="acme")).status == 303


async def test_as_many_tenants_as_a_form_holds_keep_nobody_waiting(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        name = house.shop.add(FailsForSome)
        tenants, others = ("\n".join(f"{letter}{i}" for i in range(40_000)) for letter in "nm")
        began = process_time()
        assert (
            "unknown tenants 'n0'" in (await send(house.visitor(), name, tenants=tenants, **{"except": others})).words
        )
        assert process_time() - began < 5


async def test_a_form_has_so_many_conditions_at_most(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        name = house.shop.add(FailsForSome)
        lines = "\n".join(f"plan__ne={number}" for number in range(50_000))
        page = await send(house.visitor(), name, where=lines, dry_run="1")
        assert "expected at most 100 conditions, got 50,000" in page.words
