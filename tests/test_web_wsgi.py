"""Plain web applications: they open the project once for each process, and a workspace for each request."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from wsgiref.util import setup_testing_defaults

import pytest

from pinstripe.errors import UnknownTenant, WorkspaceClosed
from pinstripe.opening import open_project
from tests.web import write_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from pinstripe.plain import PlainProject, PlainWorkspace
    from tests.conftest import ProjectFolder


@pytest.fixture
def project(project_folder: ProjectFolder) -> Iterator[PlainProject]:
    write_project(project_folder)
    project_folder.job(
        "meet",
        """
        import threading
        from pinstripe import BackgroundJob

        both = threading.Barrier(2)

        class Meet(BackgroundJob):
            multi_tenant = True

            def run(self):
                both.wait(30)
                return self.tenant.id
        """,
    )
    with open_project(project_folder.path) as project:
        yield project


def make_app(project: PlainProject, job: str, kept: list[PlainWorkspace]) -> WSGIApplication:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        with project.workspace(tenant=environ["HTTP_X_TENANT"]) as workspace:
            kept.append(workspace)
            run = workspace.run_background_job(job)
        start_response("200 OK", [])
        return [str(run.result).encode()]

    return app


def ask(app: WSGIApplication, tenant: str) -> bytes:
    environ: dict[str, Any] = {"HTTP_X_TENANT": tenant}
    setup_testing_defaults(environ)
    respond: Callable[..., Any] = lambda *_: None  # noqa: E731 - all that a server's would be asked
    return b"".join(app(environ, respond))


def test_requests_in_two_threads_are_for_two_tenants(project: PlainProject) -> None:
    app = make_app(project, "meet", [])
    with ThreadPoolExecutor(2) as threads:
        assert [*threads.map(lambda tenant: ask(app, tenant), ["acme", "birch"])] == [b"acme", b"birch"]


def test_the_workspace_is_closed_after_the_handler(project: PlainProject) -> None:
    kept: list[PlainWorkspace] = []
    assert ask(make_app(project, "who", kept), "acme") == b"hello acme"
    with pytest.raises(Exception, match="it went wrong"):
        ask(make_app(project, "risky_operation", kept), "acme")
    for workspace in kept:
        with pytest.raises(WorkspaceClosed):
            workspace.run_background_job("who")


def test_an_unknown_tenant_is_an_error(project: PlainProject) -> None:
    with pytest.raises(UnknownTenant):
        ask(make_app(project, "who", []), "nobody")


DJANGO = """
    import atexit
    import json
    import sys
    from contextlib import ExitStack

    import django
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import Http404, HttpResponse
    from django.test import Client
    from django.urls import path

    import pinstripe

    opened = ExitStack()
    atexit.register(opened.close)
    project = opened.enter_context(pinstripe.open_project())


    def who(request, tenant):
        try:
            with project.workspace(tenant=tenant) as workspace:
                return HttpResponse(workspace.run_background_job("who").result)
        except pinstripe.UnknownTenant:
            raise Http404(tenant) from None


    def risky(request, tenant):
        with project.workspace(tenant=tenant) as workspace:
            workspace.run_background_job("risky_operation")


    def later(request, tenant):
        with project.workspace(tenant=tenant) as workspace:
            return HttpResponse(workspace.enqueue_background_job("who").status)


    urlpatterns = [path("who/<tenant>", who), path("risky/<tenant>", risky), path("later/<tenant>", later)]

    if __name__ == "__main__":
        settings.configure(ROOT_URLCONF="__main__", SECRET_KEY="tests", ALLOWED_HOSTS=["testserver"])
        application = get_wsgi_application()
        client = Client(raise_request_exception=False)
        answers = [client.get("/" + path) for path in ("who/acme", "who/nobody", "risky/acme", "later/birch")]
        print(json.dumps([[answer.status_code, answer.content.decode()[:20]] for answer in answers]))
    """


def test_views_of_django_run_jobs_and_the_process_ends_cleanly(project_folder: ProjectFolder) -> None:
    write_project(project_folder)
    program = project_folder.file("site_of_one.py", DJANGO)

    done = subprocess.run(
        [sys.executable, str(program)],
        cwd=project_folder.path,
        env={**os.environ, "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    who, unknown, risky, later = json.loads(done.stdout)
    assert who == [200, "hello acme"]
    assert (unknown[0], risky[0]) == (404, 500)
    assert later == [200, "queued"]
    assert done.stderr == ""
    listed = subprocess.run(
        [sys.executable, "-m", "pinstripe", "list-runs", "--json"],
        cwd=project_folder.path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert [(run["job"], run["trigger"], run["status"]) for run in json.loads(listed.stdout)] == [
        ("who", "code", "queued"),
        ("risky_operation", "code", "failed"),
        ("who", "code", "succeeded"),
    ]


@pytest.mark.parametrize("job", ["meets_nobody", "in_a_process"])
def test_a_process_that_ends_closes_the_project_as_the_documentation_has_it(
    project_folder: ProjectFolder, job: str
) -> None:
    """At exit Python takes no new work for threads, so that closing must need none."""
    runs_in = 'runs_in = "process"' if job == "in_a_process" else ""
    project_folder.job(
        job,
        f"""
        from pinstripe import BackgroundJob

        class Job(BackgroundJob):
            {runs_in}

            def run(self):
                return "done"
        """,
    )
    program = f"""
        import atexit
        from contextlib import ExitStack
        import pinstripe

        if __name__ == "__main__":
            opened = ExitStack()
            atexit.register(opened.close)
            project = opened.enter_context(pinstripe.open_project())
            with project.workspace(tenant=None) as workspace:
                print(workspace.run_background_job("{job}").result)
        """
    file = project_folder.file("program.py", program)
    done = subprocess.run(
        [sys.executable, str(file)], cwd=project_folder.path, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
