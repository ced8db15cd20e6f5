"""An application that opens the project itself, at its import and in its lifespan, in a server that has it open too."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pinstripe import open_project

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import ProjectFolder
    from tests.server.conftest import Serve

APP = """
    import asyncio
    from contextlib import asynccontextmanager

    import pinstripe
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    at_import = pinstripe.open_project().__enter__()

    @asynccontextmanager
    async def lifespan(app):
        async with pinstripe.open_project() as project:
            yield {"project": project}
        at_import.close()

    async def together(request):
        '''Run one job in each project, at the same time, and enqueue another one in each.'''
        projects = [request.scope["pinstripe.project"], request.state.project]

        async def run(project, name):
            async with project.workspace(tenant=None) as workspace:
                run = await workspace.run_background_job("meet", name)
                await workspace.enqueue_background_job("meet_again", name)
            return run

        def plain():
            with at_import.workspace(tenant=None) as workspace:
                run = workspace.run_background_job("meet", "plain")
                workspace.enqueue_background_job("meet_again", "plain")
            return run

        runs = await asyncio.gather(run(projects[0], "first"), run(projects[1], "second"), asyncio.to_thread(plain))
        return JSONResponse([[run.id, run.result] for run in runs])

    app = Starlette(routes=[Route("/together", together)], lifespan=lifespan)
"""

BOOT = """
    met = None

    def setup():
        import threading

        global met
        assert met is None, "setup is called once"
        met = threading.Barrier(3)
"""

MEET = """
    import asyncio
    import boot
    from pinstripe import BackgroundJob

    class Meet(BackgroundJob):
        def run(self, name: str):
            boot.met.wait(20)
            print("met by", name)
            boot.met.wait(20)
            return name
"""

MEET_AGAIN = """
    from pinstripe import BackgroundJob

    class MeetAgain(BackgroundJob):
        async def run(self, name: str):
            print("met again by", name)
"""


async def read_logs(folder: Path, runs: list[str]) -> list[str | None]:
    async with open_project(folder) as project:
        found = [await project.ledger.find_execution(run, None) for run in runs]
    return [None if execution is None else execution.log for execution in found]


def test_each_project_is_a_process_of_the_ledger_by_itself(site: ProjectFolder, serve: Serve) -> None:
    site.file("web.py", APP)
    site.file("boot.py", BOOT)
    site.job("meet", MEET)
    site.job("meet_again", MEET_AGAIN)
    site.configure('app = "web:app"\nsetup = "boot:setup"')
    server = serve()
    server.until()
    answer = server.get("/together")
    assert answer.status == 200, server.seen
    runs = answer.json
    assert [result for _, result in runs] == ["first", "second", "plain"]
    for name in ("first", "second", "plain"):
        server.wait_for(f"meet_again | met again by {name}")
    assert server.ready().status == 200
    server.process.terminate()
    assert server.end() == 143
    assert "Traceback" not in server.seen
    logs = asyncio.run(read_logs(site.path, [id_ for id_, _ in runs]))
    assert logs == [f"met by {result}\n" for _, result in runs], "each keeps its own output"
    assert list((site.path / ".pinstripe" / "ledger.db-owners").iterdir()) == []
