"""Jobs that run jobs, and code that awaits them: whose tenants, which errors, and what a cancellation leaves behind."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.faults.conftest import Faulty

JOBS = {
    "greet": """
        class Greet(BackgroundJob):
            multi_tenant = True
            async def run(self, fail: bool = False):
                with open("done", "a") as done:
                    done.write(self.tenant.id + "\\n")
                if fail:
                    raise ValueError("no " + self.tenant.id)
                return "hello " + self.tenant.id
        """,
    "wait": """
        class Wait(BackgroundJob):
            multi_tenant = True
            async def run(self):
                print("waiting", flush=True)
                await asyncio.Event().wait()
        """,
    "wait_in_thread": """
        class WaitInThread(BackgroundJob):
            def run(self):
                while not self.attempt.cancelled:
                    self.wait(asyncio.sleep(0))
        """,
    "from_inside": """
        class FromInside(BackgroundJob):
            multi_tenant = True
            async def run(self):
                run = await self.run_background_job("greet")
                assert run.executions.total == 1 and run.parent, run
                return run.result
        """,
    "for_others": """
        class ForOthers(BackgroundJob):
            multi_tenant = True
            async def run(self):
                for options in (dict(tenants=["globex"]), dict(exclude=["globex"]), dict(where={"id": "globex"})):
                    try:
                        await self.options(**options).run_background_job("greet")
                    except pinstripe.PinstripeError as error:
                        print(error)
                    else:
                        print("let through", options)
        """,
    "for_itself": """
        class ForItself(BackgroundJob):
            multi_tenant = True
            async def run(self):
                await self.run_background_job("for_itself_by_way_of")
        """,
    "for_itself_by_way_of": """
        class ByWayOf(BackgroundJob):
            multi_tenant = True
            async def run(self):
                await self.run_background_job("for_itself")
        """,
    "for_all": """
        class ForAll(BackgroundJob):
            async def run(self, job: str = "greet", fail: bool = True):
                try:
                    arguments = [fail] if job == "greet" else []
                    await self.run_background_job(job, *arguments)
                except pinstripe.TenantFailures as failures:
                    assert sorted(failures.by_tenant) == ["acme", "globex"]
                    assert [each.__notes__ for each in failures.exceptions] == [["tenant: acme"], ["tenant: globex"]]
                    print(failures.run.status, *map(repr, failures.exceptions))
                    raise
        """,
}


@pytest.fixture(scope="module")
def nested(shared: Faulty) -> Faulty:
    """Give a project of two tenants, whose jobs run one another."""
    shared.tenants("def tenants():\n    yield from ({'id': 'acme'}, {'id': 'globex'})\n")
    for name, source in JOBS.items():
        shared.job(name, source)
    return shared


UNTIL = """
        async def until(project, job, running):
            only = pinstripe.ledger.RunFilter(limit=1)
            while not [run for run in await project.ledger.list_runs(only)
                       if run.job == job and run.executions.running == running]:
                await asyncio.sleep(0)
"""


def by_job(project: Faulty, last: int) -> dict[str, Any]:
    """Give the latest runs, by job."""
    return {run["job"]: run for run in project.runs()[:last]}


def test_inside_a_tenants_workspace_a_job_is_for_that_tenant_only(nested: Faulty) -> None:
    answer = nested("run-background-job", "from_inside", "--tenant", "acme", "--json")
    assert answer.code == 0, answer
    assert answer.json["result"] == "hello acme"
    runs = by_job(nested, 2)
    assert runs["greet"]["parent"] == runs["from_inside"]["id"]
    assert runs["greet"]["executions"]["total"] == 1


def test_asking_for_other_tenants_from_inside_one_raises(nested: Faulty) -> None:
    answer = nested("run-background-job", "for_others", "--tenant", "acme")
    assert answer.code == 0, answer
    assert "let through" not in answer.out
    assert answer.out.count("from the workspace of tenant 'acme'; expected that tenant alone") == 3


def test_a_job_that_starts_itself_is_an_error(nested: Faulty) -> None:
    answer = nested("run-background-job", "for_itself", "--tenant", "acme", "--json")
    assert answer.code == 1, answer
    assert "for_itself was started for tenant 'acme' from inside itself" in answer.json["failures"][0]["error"]
    runs = by_job(nested, 2)
    assert {run["status"] for run in runs.values()} == {"failed"}


def test_failures_of_a_nested_run_reach_the_caller(nested: Faulty) -> None:
    answer = nested("run-background-job", "for_all", "--json")
    assert answer.code == 1, answer
    assert "failed ValueError('no acme') ValueError('no globex')" in answer.err
    assert answer.json["failures"][0]["error"].startswith("TenantFailures: greet failed for 2 of 2 tenants")
    assert by_job(nested, 2)["greet"]["executions"]["failed"] == 2


def test_ctrl_c_stops_nested_runs_too(nested: Faulty) -> None:
    run = nested.start("run-background-job", "for_all", "wait")
    run.wait_for("waiting", times=2)
    run.send(signal.SIGINT)
    assert run.end() == 130
    runs = by_job(nested, 2)
    assert {name: (each["status"], each["executions"]["cancelled"]) for name, each in runs.items()} == {
        "for_all": ("cancelled", 1),
        "wait": ("cancelled", 2),
    }


def test_a_timeout_ends_nested_runs_too(nested: Faulty) -> None:
    answer = nested("run-background-job", "for_all", "wait", "--timeout", "300ms", "--json")
    assert answer.code == 1, answer
    assert answer.json["failures"][0]["error"] == "TimeoutError: exceeded its timeout of 300ms"
    runs = by_job(nested, 2)
    assert (runs["wait"]["status"], runs["wait"]["executions"]["cancelled"]) == ("cancelled", 2)


def test_a_timeout_around_a_run_from_code_cancels_it_cleanly(nested: Faulty) -> None:
    answer = nested.python(
        UNTIL
        + """
        async def main():
            async with pinstripe.open_project() as project:
                async with project.workspace(tenant=None) as workspace:
                    for job, executions in (("wait", 2), ("wait_in_thread", 1)):
                        try:
                            async with asyncio.timeout(None) as limit, asyncio.TaskGroup() as group:
                                group.create_task(workspace.run_background_job(job))
                                await until(project, job, executions)
                                limit.reschedule(0)
                        except TimeoutError:
                            run = await project.ledger.find_run("last")
                            print(run.job, run.status, run.executions.cancelled, run.executions.total)
                    print((await workspace.options(tenants=["acme"]).run_background_job("greet")).result)
                print(len(asyncio.all_tasks()))
        asyncio.run(main())
        """
    )
    assert answer.out.splitlines()[-4:] == ["wait cancelled 2 2", "wait_in_thread cancelled 1 1", "hello acme", "1"], (
        answer
    )


def test_a_run_cancelled_by_another_hand_raises_run_cancelled(nested: Faulty) -> None:
    answer = nested.python(
        UNTIL
        + """
        async def main():
            async with pinstripe.open_project() as project:
                async with project.workspace(tenant=None) as workspace:
                    run = asyncio.create_task(workspace.run_background_job("wait"))
                    await until(project, "wait", 2)
                    project.stop()
                    try:
                        await run
                    except pinstripe.RunCancelled as error:
                        print(error.run.status, error.run.executions.cancelled)
        asyncio.run(main())
        """
    )
    assert answer.out.splitlines()[-1] == "cancelled 2", answer


def test_code_gets_the_jobs_own_exception_or_all_of_them(nested: Faulty) -> None:
    answer = nested.python(
        """
        async def main():
            async with pinstripe.open_project() as project:
                async with project.workspace(tenant="acme") as workspace:
                    try:
                        await workspace.run_background_job("greet", True)
                    except ValueError as error:
                        print(repr(error))
                async with project.workspace(tenant=None) as workspace:
                    try:
                        await workspace.run_background_job("greet", fail=True)
                    except* ValueError as group:
                        print(sorted(str(error) + "/" + error.__notes__[0] for error in group.exceptions))
        asyncio.run(main())
        with pinstripe.open_project() as project:
            with project.workspace(tenant=None) as workspace:
                try:
                    workspace.run_background_job("greet", True)
                except pinstripe.TenantFailures as failures:
                    print(failures.run.executions.failed)
        """
    )
    assert answer.out.splitlines() == [
        "ValueError('no acme')",
        "['no acme/tenant: acme', 'no globex/tenant: globex']",
        "2",
    ], answer


def test_a_project_that_is_closed_while_a_run_goes_on(nested: Faulty) -> None:
    """Who leaves the project with a run still going on leaves no open run behind in the ledger."""
    answer = nested.python(
        UNTIL
        + """
        async def main():
            async with pinstripe.open_project() as project:
                workspace = await project.workspace(tenant=None).__aenter__()
                going = asyncio.create_task(workspace.run_background_job("wait"))
                await until(project, "wait", 2)
            print(type((await asyncio.gather(going, return_exceptions=True))[0]).__name__)
        asyncio.run(main())
        """
    )
    assert answer.code == 0, answer
    run = nested.show()
    assert (run["job"], run["status"]) == ("wait", "cancelled")
    assert run["executions"]["cancelled"] == 2


def test_a_tenant_must_be_said_and_known(nested: Faulty) -> None:
    answer = nested.python(
        """
        async def main():
            async with pinstripe.open_project() as project:
                for make in (lambda: project.workspace(), lambda: project.workspace(tenant="nobody")):
                    try:
                        async with make():
                            pass
                    except pinstripe.PinstripeError as error:
                        print(type(error).__name__)
        asyncio.run(main())
        """
    )
    assert answer.out.splitlines() == ["TenantRequired", "UnknownTenant"], answer
