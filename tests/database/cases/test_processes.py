"""Jobs in processes of their own, forks and signals: no connection is shared, and nothing is left half written."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.database.cases import models
from tests.database.cases.applications import TENANTS, Place, application_at
from tests.faults.conftest import HEADING, PATIENCE, Faulty
from tests.faults.conftest import project as faulty  # noqa: F401 - a fixture

pytestmark = pytest.mark.anyio

on_two = pytest.mark.parametrize("place", ["sqlite", "guarded"], indirect=True)

JOBS = {
    "in_process": """
        class InProcess(BackgroundJob):
            multi_tenant = True
            runs_in = "process"
            database: Database
            def run(self):
                found = self.wait(self.database.users.order_by("name").all())
                self.wait(self.database.users.insert(name=self.tenant.id + "-new"))
                return [os.getpid(), sorted({user.tenant_id for user in found}), len(found)]
        """,
    "forks": """
        class Forks(BackgroundJob):
            multi_tenant = True
            database: Database
            async def run(self):
                before = await self.database.users.count()
                child = os.fork()
                if child == 0:
                    os._exit(7)
                os.waitpid(child, 0)
                async with self.database.transaction():
                    child = os.fork()
                    if child == 0:
                        os._exit(7)
                    os.waitpid(child, 0)
                    await self.database.users.insert(name=self.tenant.id + "-new")
                return [before, await self.database.users.count()]
        """,
    "hangs": """
        class Hangs(BackgroundJob):
            multi_tenant = True
            database: Database
            async def run(self):
                async with self.database.transaction():
                    await self.database.users.insert(name=self.tenant.id + "-lost")
                    print("in the transaction", flush=True)
                    await asyncio.Event().wait()
        """,
}


@pytest.fixture
def project(faulty: Faulty, place: Place) -> Faulty:  # noqa: F811 - the fixture above
    """Give a project over the place, and the command line."""
    project = faulty
    project.folder.file("shop_models.py", Path(models.__file__).read_text(encoding="utf-8"))
    project.tenants(f"def tenants():\n    return {TENANTS!r}\n", place.settings(models='"shop_models"'))
    for name, source in JOBS.items():
        project.job(name, source, heading=HEADING + "from pinstripe.database.service import Database\n")
    return project


def results(run: dict[str, Any], project: Faulty) -> list[Any]:
    return [project("show-run", run["id"], "--tenant", tenant, "--json").json["result"] for tenant in TENANTS]


@on_two
def test_jobs_in_processes_have_connections_of_their_own(project: Faulty, place: Place) -> None:
    answer = project("run-background-job", "in_process", "--json")
    assert answer.code == 0, answer
    found = results(answer.json, project)
    assert [each[1:] for each in found] == [[[tenant], 3] for tenant in TENANTS]
    assert all(each[0] != os.getpid() for each in found)
    for tenant in TENANTS:
        assert place.names(tenant) == [*(f"{tenant}-{number}" for number in range(3)), f"{tenant}-new"]


@on_two
def test_a_job_that_forks_after_it_used_the_database(project: Faulty, place: Place) -> None:
    answer = project("run-background-job", "forks", "--json")
    assert answer.code == 0, answer
    assert results(answer.json, project) == [[3, 4]] * 3


@pytest.mark.parametrize(
    ("place", "number"),
    [("sqlite", signal.SIGTERM), ("sqlite", signal.SIGKILL), ("guarded", signal.SIGINT), ("guarded", signal.SIGKILL)],
    indirect=["place"],
)
def test_a_signal_in_the_middle_of_transactions_leaves_nothing(
    project: Faulty, place: Place, number: signal.Signals
) -> None:
    running = project.start("run-background-job", "hangs", "--tenant", "acme")
    running.wait_for("in the transaction")
    running.send(number)
    assert running.end() != 0
    assert place.settled_names("acme") == ["acme-0", "acme-1", "acme-2"]
    place.execute("insert into users (tenant_id, name) values ('acme', 'acme-new')")  # nothing is locked


@on_two
async def test_a_forked_child_makes_connections_of_its_own(place: Place) -> None:
    """A child that goes on with Python, as a pre-forking server's does, opens the project anew."""
    async with application_at(place) as application, application.workspace("acme") as database:
        assert await database.users.count() == 3
        context = multiprocessing.get_context("fork")
        receiver, sender = context.Pipe(duplex=False)
        child = context.Process(target=in_child, args=(place, sender))
        child.start()
        found = receiver.recv() if receiver.poll(PATIENCE) else "nothing"
        child.join(PATIENCE)
        assert found == [["globex"], 4]
        # What the parent has is as it was: the child has closed nothing of it.
        async with database.transaction():
            await database.users.insert(name="acme-new")
        assert await database.users.count() == 4


def in_child(place: Place, sender: Any) -> None:
    async def work() -> list[Any]:
        async with application_at(place) as application, application.workspace("globex") as database:
            await database.users.insert(name="globex-new")
            found = await database.users.all()
            return [sorted({user.tenant_id for user in found}), len(found)]

    asyncio.set_event_loop(None)
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        sender.send(runner.run(work()))
    os._exit(0)
