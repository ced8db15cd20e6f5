"""What is asked for from outside, kept and counted where the ledger is on PostgreSQL, as it is in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pinstripe.actor import Actor, Door
from pinstripe.background_job import BackgroundJob
from pinstripe.errors import ConfigurationError, UnknownTenant
from pinstripe.options import Terms
from pinstripe.run import Trigger
from pinstripe.runs import Request
from tests.shop import open_shop

if TYPE_CHECKING:
    from tests.conftest import ProjectFolder
    from tests.postgres import Postgres

pytestmark = pytest.mark.anyio

ANN = Actor(Door.DASHBOARD, "ann \0 \N{RIGHT-TO-LEFT OVERRIDE}")


class Fails(BackgroundJob):
    multi_tenant = True
    redact = ("token",)

    async def run(self, token: str) -> None:
        raise ValueError(token)


async def test_what_is_done_is_kept_and_counted(
    project_folder: ProjectFolder, postgres: Postgres, postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PINSTRIPE_LEDGER", postgres.url(postgres_database))
    async with open_shop(project_folder) as shop:
        project = shop.project
        request = Request(shop.add(Fails), ("sk_live_4711",), trigger=Trigger.API)
        run = await project.enqueue(request, Terms(key="k"), actor=ANN)
        await project.worker().work(drain=True)
        execution = await shop.execution(run, "acme")
        assert (execution.error, (await project.ledger.find_run(run.id)).shown()) == ("ValueError: ***", (("***",), {}))

        with pytest.raises(UnknownTenant, match="has no tenant 'nobody'"):
            await project.enqueue_retry(run.id, tenants=["nobody", "acme"], actor=ANN)
        some = await project.enqueue_retry(run.id, tenants=["acme", "birch"], actor=ANN)
        assert some is not None
        assert (some.redacted, some.selecting) == ((0,), True)
        await project.worker().work(drain=True)
        assert (await project.ledger.find_run(some.id)).executions.failed == 2

        assert await project.pause("fails", "cedar", actor=ANN)
        assert not await project.pause("fails", "cedar", actor=ANN)
        assert await project.resume("fails", "cedar", actor=ANN)
        rest = await project.enqueue_retry(run.id, tenants=["cedar"], actor=ANN)
        assert rest is not None
        assert (await project.cancel(rest.id, actor=ANN)).after.status == "cancelled"
        with pytest.raises(ConfigurationError, match="is still queued"):
            await project.enqueue_retry((await project.enqueue(request)).id, actor=ANN)
        entries = (await project.ledger.history.audit()).entries
    assert [(str(entry.action), entry.run, entry.outcome) for entry in reversed(entries)][:7] == [
        ("start", run.id, "done"),
        ("retry", run.id, f"refused: run {run.id} of fails has no tenant 'nobody'"),
        ("retry", run.id, "done"),
        ("pause", None, "done"),
        ("pause", None, "paused already"),
        ("resume", None, "done"),
        ("retry", run.id, "done"),
    ]
    assert {entry.actor.name for entry in entries} == {"ann \N{REPLACEMENT CHARACTER} \N{RIGHT-TO-LEFT OVERRIDE}"}
    async with open_shop(project_folder) as shop:
        (total,) = await shop.project.ledger.history.totals()
        assert (total.job, str(total.status), total.executions) == ("fails", "failed", 5)
