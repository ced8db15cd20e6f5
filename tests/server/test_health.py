from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from pinstripe.ledger import Look
from pinstripe.server import health as health_module
from pinstripe.server.health import Health
from pinstripe.server.pages import make_pages
from tests.ledgers.conftest import HandClock

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio

LEASE = 60.0

SOUND = Look(is_current=True)


def make(
    look: Callable[[float], Look] | Look = SOUND,
    *,
    clock: HandClock | None = None,
    ticks: bool | None = None,
    pids: set[int] | None = None,
) -> Health:
    return Health(
        look if callable(look) else lambda lock_wait: look,
        clock=clock or HandClock(),
        lease=LEASE,
        is_ticking=None if ticks is None else lambda: ticks,
        processes=None if pids is None else lambda: pids,
    )


async def ask(health: Health, path: str = "/_pinstripe/health/ready", method: str = "GET") -> httpx2.Response:
    transport = httpx2.ASGITransport(make_pages(health))
    async with httpx2.AsyncClient(transport=transport, base_url="http://server") as client:
        return await client.request(method, path)


async def checks(health: Health) -> dict[str, Any]:
    answer = await ask(health)
    found: dict[str, Any] = answer.json()
    assert answer.status_code == (200 if found["ready"] else 503)
    assert found["ready"] == all(check["ok"] for check in found["checks"].values())
    assert answer.headers["cache-control"] == "no-store"
    return found["checks"]  # type: ignore[no-any-return]


async def test_it_is_ready_where_all_parts_are_or_are_left_out() -> None:
    left_out = {"ok": True, "left_out": True}
    ok = {"ok": True}
    assert await checks(make()) == {"ledger": ok, "schema": ok, "bot": left_out, "workers": left_out}
    clock = HandClock()
    look = Look(is_current=True, workers=((7, clock.microseconds),))
    found = await checks(make(look, clock=clock, ticks=True, pids={7}))
    assert found == {"ledger": ok, "schema": ok, "bot": ok, "workers": ok}


async def test_a_ledger_in_trouble_is_told() -> None:
    found = await checks(make(Look("it is locked"), pids={7}))
    assert found["ledger"] == {"ok": False, "reason": "it is locked"}
    assert not found["schema"]["ok"]
    assert not found["workers"]["ok"]
    found = await checks(make(Look(is_current=False)))
    assert found["ledger"] == {"ok": True}
    assert found["schema"] == {"ok": False, "reason": "the ledger's schema isn't the one of this version"}


async def test_a_bot_that_does_not_tick_is_told() -> None:
    assert (await checks(make(ticks=False)))["bot"] == {
        "ok": False,
        "reason": "the bot hasn't looked for due schedules lately",
    }


@pytest.mark.parametrize(
    ("alive", "silent_for", "ok"),
    [({7}, 0, True), ({7, 8}, LEASE - 1, True), ({7}, LEASE + 1, False), ({8}, 0, False), (set(), 0, False)],
)
async def test_a_worker_must_live_and_must_have_said_so_within_the_lease(
    alive: set[int], silent_for: float, ok: bool
) -> None:
    clock = HandClock()
    look = Look(is_current=True, workers=((7, clock.microseconds - int(silent_for * 1e6)),))
    assert (await checks(make(look, clock=clock, pids=alive)))["workers"]["ok"] is ok


async def test_a_ledger_that_does_not_answer_is_waited_for_once_and_not_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(health_module, "LIMIT", 0.05)
    go_on, asked = threading.Event(), []

    def look(lock_wait: float) -> Look:
        asked.append(lock_wait)
        go_on.wait()
        return SOUND

    health = make(look)
    answers = await asyncio.gather(*(checks(health) for _ in range(3)), checks(health))
    assert {answer["ledger"]["reason"] for answer in answers} == {"it didn't answer within 0.05s"}
    assert len(asked) == 1, "those who ask share one look"
    go_on.set()
    while not (await checks(health))["ledger"]["ok"]:
        pass


async def test_a_look_that_fails_is_told_without_its_words() -> None:
    def look(lock_wait: float) -> Look:
        message = "/secret/path"
        raise OSError(message)

    answer = await ask(make(look))
    assert answer.status_code == 503
    assert "secret" not in answer.text
    assert answer.json()["checks"]["ledger"] == {"ok": False, "reason": "it can't be read (OSError)"}


async def test_it_is_not_ready_from_the_moment_of_a_stop() -> None:
    health = make(ticks=True)
    health.stopping = True
    stopping = {"ok": False, "reason": "the server is stopping"}
    left_out = {"ok": True, "left_out": True}
    assert await checks(health) == {"ledger": stopping, "schema": stopping, "bot": stopping, "workers": left_out}
    assert (await ask(health, "/_pinstripe/health/live")).status_code == 200


async def test_that_it_lives_is_told_without_looking() -> None:
    answer = await ask(make(Look("gone")), "/_pinstripe/health/live")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("page", ["live", "ready"])
async def test_pages_are_read_only_and_have_one_address(page: str) -> None:
    path = f"/_pinstripe/health/{page}"
    assert (await ask(make(), path, "HEAD")).status_code == 200
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert (await ask(make(), path, method)).status_code == 405
    assert (await ask(make(), f"{path}/")).status_code == 404
    assert (await ask(make(), "/_pinstripe")).status_code == 404
