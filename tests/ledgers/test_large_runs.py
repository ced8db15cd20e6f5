"""A tenant's runs are found in large runs as in small ones, each once, and newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pinstripe.ledger import RunFilter
from pinstripe.run import RunStatus
from tests.ledgers.moves import new_run, select

if TYPE_CHECKING:
    from pinstripe.ledger import Ledger

pytestmark = pytest.mark.anyio

TENANTS = [f"t{number:04d}" for number in range(2_500)]
PAGE = 1_000
FIRST, BETWEEN, LAST = TENANTS[0], TENANTS[PAGE], TENANTS[-1]


async def large(ledger: Ledger, job: str = "greet") -> str:
    """Create a run for all the tenants, page by page."""
    run = await ledger.create(new_run(job))
    for first in range(0, len(TENANTS), PAGE):
        await ledger.add(run.id, TENANTS[first : first + PAGE])
    return (await ledger.end_selection(run.id)).id


async def listed(ledger: Ledger, only: RunFilter) -> list[str]:
    return [run.id for run in await ledger.list_runs(only)]


@pytest.mark.parametrize("tenant", [FIRST, TENANTS[PAGE - 1], BETWEEN, LAST])
async def test_a_tenant_of_large_and_small_runs_has_both(ledger: Ledger, tenant: str) -> None:
    runs = [
        (await select(ledger, [tenant])).id,
        await large(ledger),
        (await select(ledger, [tenant, "another"])).id,
        await large(ledger, "bill"),
        (await select(ledger, [tenant])).id,
    ]
    await select(ledger, ["another"])
    newest_first = runs[::-1]
    assert await listed(ledger, RunFilter(tenant=tenant)) == newest_first
    assert await listed(ledger, RunFilter(tenant=tenant, limit=2)) == newest_first[:2]
    assert await listed(ledger, RunFilter(tenant=tenant, limit=4)) == newest_first[:4]
    assert await listed(ledger, RunFilter(tenant=tenant, job="bill")) == [runs[3]]
    assert await listed(ledger, RunFilter(tenant=tenant, status=RunStatus.QUEUED)) == newest_first
    assert await listed(ledger, RunFilter(tenant=tenant, status=RunStatus.FAILED)) == []


async def test_a_tenant_that_is_in_no_large_run_has_none(ledger: Ledger) -> None:
    await large(ledger)
    assert await listed(ledger, RunFilter(tenant="t9999")) == []


async def test_a_run_of_exactly_a_page_and_one_more_is_found_by_all(ledger: Ledger) -> None:
    for size in (PAGE, PAGE + 1):
        run = await ledger.create(new_run())
        await ledger.add(run.id, TENANTS[:PAGE])
        await ledger.add(run.id, TENANTS[PAGE:size])
        await ledger.end_selection(run.id)
        for tenant in (FIRST, TENANTS[size - 1]):
            assert run.id in await listed(ledger, RunFilter(tenant=tenant))
