from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe import tenant_lookup
from pinstripe.background_job import BackgroundJob
from pinstripe.errors import ConfigurationError, TenantSourceFailed
from pinstripe.loading import define
from pinstripe.queue import QueuedRun
from pinstripe.tenant_lookup import TenantLookup
from pinstripe.tenant_sources import Tenants
from tests.ledgers.conftest import HandClock
from tests.shop import FOUR

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pinstripe.definition import Definition

pytestmark = pytest.mark.anyio


class Greets(BackgroundJob):
    multi_tenant = True

    async def run(self) -> None: ...


class Everybody(Greets):
    @staticmethod
    def tenants_filter(tenants: Any) -> Any:
        return tenants


class Source:
    """Tenants in a plain function, which counts how often it is read."""

    def __init__(self) -> None:
        self.items = [*FOUR]
        self.readings = 0
        self.clock = HandClock()
        self.lookup = TenantLookup(lambda: self.tenants, "active", self.clock)
        self.tenants: Tenants | None = Tenants(self.read, clock=self.clock)

    def read(self) -> Iterator[object]:
        self.readings += 1
        yield from self.items

    async def find(self, *ids: str, job: Definition | None = None, **selection: Any) -> list[str]:
        """Give which of these are found."""
        definition = job or define("greets", Greets, multi_tenant=True)
        found = await self.lookup.find(definition, run(definition.name, **selection), ids, as_of=0)
        return sorted(found, reverse=True)


def run(job: str = "greets", **selection: Any) -> QueuedRun:
    """Make a run."""
    asked = {"tenants": None, "exclude": [], "where": [], "force": False, **selection}
    return QueuedRun(1, "run", job, "code", (), {}, asked, "run", None, None, None, 2, 1, 0)


async def test_tenants_are_found_through_the_filter_of_the_job() -> None:
    everybody = define("everybody", Everybody, multi_tenant=True)
    assert await Source().find("gone", "acme", "never") == ["acme"]
    assert await Source().find("gone", "acme", "never", job=everybody) == ["gone", "acme"]


async def test_tenants_are_found_through_what_the_run_asked_for() -> None:
    source = Source()
    assert await source.find("acme", "birch", where=[["plan", "pro"]]) == ["acme"]
    assert await source.find("acme", "gone", tenants=["acme", "gone"]) == ["acme"]
    assert await source.find("acme", "gone", tenants=["acme", "gone"], force=True) == ["gone", "acme"]
    assert await source.find("acme", "gone", force=True) == ["acme"]  # as it was selected: by the filter


async def test_a_plain_source_is_read_once_in_thirty_seconds() -> None:
    source, definition = Source(), define("greets", Greets, multi_tenant=True)
    for _ in range(5):
        assert await source.find("acme", "birch", job=definition) == ["birch", "acme"]
        assert await source.find("never", job=definition) == []
    first = source.readings
    assert first <= 2
    source.clock.advance(timedelta(seconds=29))
    assert await source.find("acme", job=definition) == ["acme"]
    assert source.readings == first
    source.items = []
    source.clock.advance(timedelta(seconds=1))
    assert await source.find("acme", job=definition) == []


async def test_what_may_be_found_together_has_the_same_key() -> None:
    lookup = Source().lookup
    assert lookup.key(run()) == lookup.key(run(tenants=["acme"])) == lookup.key(run(exclude=["acme"]))
    assert lookup.key(run()) == lookup.key(run(force=True))
    others = {
        lookup.key(run("other")),
        lookup.key(run(where=[["plan", "pro"]])),
        lookup.key(run(where=[["plan", "free"]])),
        lookup.key(run(tenants=["acme"], force=True)),
    }
    assert len(others | {lookup.key(run())}) == 5


async def test_few_sources_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tenant_lookup, "KEPT_SOURCES", 3)
    source = Source()
    for number in range(10):
        await source.find("acme", where=[["plan", f"plan {number}"]])
    assert len(source.lookup._sources) == 3  # noqa: SLF001 - what is to be bounded
    source.clock.advance(timedelta(seconds=30))
    await source.find("acme")
    assert len(source.lookup._sources) == 1  # noqa: SLF001


async def test_a_source_that_fails_is_an_error_and_not_nobody() -> None:
    source = Source()
    source.tenants = None
    with pytest.raises(ConfigurationError, match="the project says nothing of its tenants"):
        await source.find("acme")

    def fail() -> Iterator[object]:
        raise OSError("no route to host")
        yield

    source.tenants = Tenants(fail)
    with pytest.raises(TenantSourceFailed, match="no route to host"):
        await source.find("acme")
