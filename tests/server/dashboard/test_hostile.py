"""What comes from outside is shown as it is, and does nothing: HTML, escapes of terminals, what turns lines around."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from pinstripe.actor import Actor, Door
from pinstripe.background_job import BackgroundJob
from pinstripe.history import Action, AuditEntry
from pinstripe.views.text import visible
from tests.server.dashboard.conftest import Mail

if TYPE_CHECKING:
    from tests.server.dashboard.conftest import Dashboard

pytestmark = pytest.mark.anyio

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"><svg onload=alert(1)>'",
    "{{ 7 * 7 }}{% raw %}${7*7}",
    "javascript:alert(1)",
    "\x1b[31mred\x1b]8;;http://evil.example\x07",
    "invoice\u202efdp.exe",
    "ze\u200bro\u200d\ufeff",
    "line\nbreak\ttab\r",
    "../../etc/passwd?x=1&y=2#z",
    " begins with a space",
    "ünïcödé 日本語",
    "a" * 3_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
async def test_a_tenant_named_so_is_shown_and_does_nothing(dashboard: Dashboard, text: str) -> None:
    dashboard.shop.tenants([{"id": text, "active": True}, {"id": "acme", "active": True}])
    run = await dashboard.ran(text, "acme")
    await dashboard.shop.project.pause("mail", text)
    asked = quote(text, safe="")
    shown = visible(text[:40])
    for path in ("/", f"/runs/{run.id}", f"/tenant?id={asked}", f"/runs/{run.id}/execution?tenant={asked}"):
        page = await dashboard.page(path)
        assert " ".join(shown.split()) in page.text, path
    page = await dashboard.page(f"/runs?tenant={asked[:900]}")
    assert page.one("input", name="tenant").attributes["value"] == text[: len(text) if len(asked) <= 900 else 900]


async def test_an_error_of_a_megabyte_is_cut_and_says_so(dashboard: Dashboard) -> None:
    long = "<b>\x1b[1m" + "x" * 1_000_000

    class Loud(BackgroundJob):
        async def run(self) -> None:
            raise ValueError(long)

    dashboard.shop.add(Loud, "loud")
    run = await dashboard.ran(job=Loud)
    for path in ("/", "/runs", "/jobs", f"/runs/{run.id}"):
        answer = await dashboard.ask(path)
        assert len(answer.content) < 100_000, path
        page = await dashboard.page(path)
        assert not page.all("b", class_="")
        if path in {"/", f"/runs/{run.id}"}:
            assert r"ValueError: <b>\x1b[1mxxx" in page.text


@pytest.mark.parametrize("text", HOSTILE[:8], ids=range(8))
async def test_the_audit_trail_may_say_anything(dashboard: Dashboard, text: str) -> None:
    entry = AuditEntry(1_790_000_000_000_000, Actor(Door.API, text), Action.PAUSE, job=text, tenant=text, detail=text)
    number = await dashboard.context.history.begin_audit(entry)
    await dashboard.context.history.end_audit(number, text)
    page = await dashboard.page("/audit")
    ((_, who, did, to, more, came),) = page.rows()
    once = " ".join(visible(text).split())
    assert (who, did, more, came) == (f"{once}, by the API", "pause", once, once)
    assert to == f"{once} for {once}"
    found = await dashboard.page(f"/audit?name={quote(text)}&job={quote(text)}")
    assert len(found.rows()) == 1
    assert found.one("input", name="name").attributes["value"] == text


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
async def test_what_an_address_says_is_shown_and_does_nothing(dashboard: Dashboard, text: str) -> None:
    asked = quote(text, safe="")
    for path in (f"/runs?job={asked}&status={asked}&since={asked}", f"/schedules?job={asked}&after={asked}"):
        answer = await dashboard.ask(path)
        assert answer.status_code in {200, 422}
        await dashboard.page(path, status=answer.status_code)
    for path in (f"/jobs?search={asked}&after={asked}", f"/runs?before={asked}", f"/audit?name={asked}&before={asked}"):
        await dashboard.page(path)
    for name in ("action", "run", "since"):
        await dashboard.page(f"/audit?{name}={asked}", status=422)
    await dashboard.page(f"/nowhere/{quote(text)}", status=404)
    await dashboard.page(f"/runs/{asked.replace('%2F', '-')}", status=404)
    await dashboard.page(f"/find?q={asked}")


async def test_a_job_may_be_documented_with_anything(dashboard: Dashboard) -> None:
    class Odd(BackgroundJob):
        __doc__ = "<script>alert(1)</script> \u202e it"
        schedule = "0 0 * * *"

        async def run(self) -> None:
            return None

    dashboard.shop.add(Odd, "odd")
    page = await dashboard.page("/jobs")
    assert r"<script>alert(1)</script> \u202e it" in page.text
    assert Mail.bad == set()
