"""Retries of some tenants only, of all that a retry would be for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pinstripe.actor import Actor, Door
from pinstripe.errors import ConfigurationError, TenantSourceFailed, UnknownTenant
from tests.jobs import Alone, Picky
from tests.shop import open_shop, retried

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pinstripe.run import Run
    from tests.conftest import ProjectFolder
    from tests.shop import Shop

pytestmark = pytest.mark.anyio

ALL = frozenset({"acme", "birch", "cedar"})


@pytest.fixture(autouse=True)
def _good_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Picky, "bad", frozenset())
    monkeypatch.setattr(Alone, "ok", False)


async def worked(shop: Shop, reference: str, tenants: Sequence[str]) -> Run:
    """Retry a run for these tenants by a worker; give the finished retry."""
    retry = await shop.project.enqueue_retry(reference, tenants=tenants)
    assert retry is not None
    await shop.project.worker().work(drain=True)
    return await shop.project.ledger.find_run(retry.id)


async def test_a_worker_retries_only_them(project_folder: ProjectFolder) -> None:
    Picky.bad = ALL
    async with open_shop(project_folder) as shop:
        first = await shop.run(Picky, "weekly")
        Picky.bad = frozenset()
        done = await worked(shop, first.id, ["cedar", "acme", "cedar"])
        assert (done.retry_of, done.status, done.executions.total) == (first.id, "succeeded", 2)
        assert await shop.statuses(done, "acme", "cedar") == ["succeeded", "succeeded"]
        rest = await retried(shop, first)
        assert [execution.tenant for execution in [await shop.execution(rest, "birch")]] == ["birch"]
        assert rest.executions.total == 1


async def test_the_audit_trail_names_them_and_both_runs(project_folder: ProjectFolder) -> None:
    Picky.bad = ALL
    ann = Actor(Door.DASHBOARD, "ann")
    async with open_shop(project_folder) as shop:
        first = await shop.run(Picky)
        retry = await shop.project.enqueue_retry("last", tenants=["acme", "birch"], actor=ann)
        assert retry is not None
        assert await shop.project.enqueue_retry(first.id, tenants=[], actor=ann) is None
        nothing, entry = (await shop.project.ledger.history.audit()).entries
        assert (str(entry.action), entry.job, entry.run, entry.outcome) == ("retry", "picky", first.id, "done")
        assert entry.detail == f"for acme, birch, by run {retry.id}"
        assert (nothing.run, nothing.outcome) == (first.id, "nothing to retry")


async def test_whom_it_is_not_for_are_named(project_folder: ProjectFolder) -> None:
    Picky.bad = frozenset({"acme", "birch"})
    async with open_shop(project_folder) as shop:
        first = await shop.run(Picky)
        with pytest.raises(UnknownTenant, match=f"run {first.id} of picky has no tenants 'nobody', 'gone'"):
            await shop.project.enqueue_retry(first.id, tenants=["acme", "nobody", "gone"])
        with pytest.raises(ConfigurationError, match=r"is to be retried for tenant 'cedar'; expected .* failed or was"):
            await shop.project.enqueue_retry(first.id, tenants=["acme", "cedar"])
        await shop.project.enqueue_retry(first.id, tenants=["acme"])
        again = await shop.project.enqueue_retry(first.id, tenants=["acme"])  # its tenants are not selected yet
        assert again is not None
        await shop.project.worker().work(drain=True)
        assert (await shop.project.ledger.find_run(again.id)).executions.total == 0
        await worked(shop, first.id, ["birch"])
        Picky.bad = frozenset()
        await worked(shop, first.id, ["birch"])
        with pytest.raises(ConfigurationError, match=r"for tenant 'birch'; expected .* succeeded since"):
            await shop.project.enqueue_retry(first.id, tenants=["birch"])


async def test_what_was_skipped_is_retried_only_where_that_is_asked_for(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        shop.add(Picky)
        await shop.project.pause("picky", "acme")
        first = await shop.run(Picky)
        await shop.project.resume("picky", "acme")
        with pytest.raises(ConfigurationError, match="acme"):
            await shop.project.enqueue_retry(first.id, tenants=["acme"])
        assert await shop.project.enqueue_retry(first.id, tenants=["acme"], skipped=True) is not None


async def test_a_job_without_tenants_has_none_to_choose(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        first = await shop.run(Alone)
        with pytest.raises(ConfigurationError, match="alone is not multi-tenant"):
            await shop.project.enqueue_retry(first.id, tenants=["acme"])


async def test_a_run_that_was_never_selected_is_selected_for_them(project_folder: ProjectFolder) -> None:
    async def fail(_: int) -> None:
        raise OSError("gone away")

    async with open_shop(project_folder) as shop:
        shop.on_reading(fail)
        first = await shop.run(Picky, tenants=None)
        with pytest.raises(TenantSourceFailed):
            await shop.project.enqueue_retry(first.id, tenants=["acme"])
        shop.on_reading(None)
        with pytest.raises(UnknownTenant, match="has no tenant 'gone'"):
            await shop.project.enqueue_retry(first.id, tenants=["gone", "acme"])
        done = await worked(shop, first.id, ["acme"])
        assert (done.status, done.executions.total) == ("succeeded", 1)
        with pytest.raises(ConfigurationError, match="acme"):
            await shop.project.enqueue_retry(first.id, tenants=["acme"])


async def test_a_retry_that_was_not_selected_to_its_end_is_retried_for_the_same(project_folder: ProjectFolder) -> None:
    Picky.bad = ALL
    async with open_shop(project_folder) as shop:
        first = await shop.run(Picky)
        some = await shop.project.enqueue_retry(first.id, tenants=["birch"])
        assert some is not None
        await shop.project.cancel(some.id)
        Picky.bad = frozenset()
        by_hand = await retried(shop, some.id)
        assert (by_hand.retry_of, by_hand.executions.total) == (first.id, 1)
        assert await shop.statuses(by_hand, "birch") == ["succeeded"]
