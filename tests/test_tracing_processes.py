"""Traces that go through processes: workers and their children; and what there is without OpenTelemetry."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import pinstripe
from pinstripe.clock import to_microseconds
from tests.firing import HOUR, NOON, machine, scheduled
from tests.shop import Recorder
from tests.traced import Traced, facts, is_below, traced
from tests.working import drain

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import ProjectFolder
    from tests.postgres import Postgres

__all__ = ["traced"]

SETUP = """
    import json
    import os
    import pathlib

    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult


    class ToFile(SpanExporter):
        def export(self, spans):
            with pathlib.Path("spans.txt").open("a") as file:
                for span in spans:
                    file.write(json.dumps(json.loads(span.to_json()) | {"pid": os.getpid()}) + "\\n")
            return SpanExportResult.SUCCESS


    def setup():
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(ToFile()))
        trace.set_tracer_provider(provider)
    """

JOB = """
    from opentelemetry import trace

    from pinstripe import BackgroundJob

    class Render(BackgroundJob):
        runs_in = {}
        def run(self):
            with trace.get_tracer("application").start_as_current_span("inside"):
                pass
    """

ENQUEUES = """
    import sys
    import pinstripe
    from opentelemetry import trace

    with pinstripe.open_project() as project, project.workspace(tenant=None) as workspace:
        workspace.enqueue_background_job("warm_up")
        with trace.get_tracer("application").start_as_current_span("request"):
            workspace.enqueue_background_job("render")
    """

WARM_UP = """
    from pinstripe import BackgroundJob

    class WarmUp(BackgroundJob):
        async def run(self): ...
    """

BLOCKED = """
    import sys

    class Blocked:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] == "opentelemetry":
                raise ModuleNotFoundError(f"No module named {name!r}")

    sys.meta_path.insert(0, Blocked())
    """


def python(folder: Path, source: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
    from textwrap import dedent

    command = [sys.executable, "-c", dedent(source)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=check)


def spans_in(folder: Path) -> dict[str, dict[str, Any]]:
    lines = (folder / "spans.txt").read_text(encoding="utf-8").splitlines()
    return {span["name"]: span for span in map(json.loads, lines)}


@pytest.mark.parametrize("where", ["None", '"process"'], ids=["thread", "process"])
def test_a_trace_goes_from_who_asks_over_a_worker_to_what_its_job_does(
    project_folder: ProjectFolder, where: str
) -> None:
    folder = project_folder.path
    project_folder.configure('setup = "boot:setup"\ntracing = "required"\n')
    project_folder.file("boot.py", SETUP)
    project_folder.job("render", JOB.format(where))
    project_folder.job("warm_up", WARM_UP)
    python(folder, ENQUEUES)
    command = [sys.executable, "-m", "pinstripe", "start-worker", "--drain", "--project", str(folder)]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)
    spans = spans_in(folder)
    above = [spans[name] for name in ("request", "enqueue render", "execute render", "inside")]
    for parent, child in pairwise(above):
        assert child["parent_id"] == parent["context"]["span_id"]
        assert child["context"]["trace_id"] == parent["context"]["trace_id"]
    pids = [span["pid"] for span in above]
    assert pids[0] == pids[1] != pids[2]
    assert (pids[2] == pids[3]) is (where == "None")


@pytest.mark.anyio
async def test_each_fire_begins_a_trace(project_folder: ProjectFolder, traced: Traced) -> None:
    async with machine(project_folder, tenants=[]) as world:
        process = await world.start(scheduled("0 * * * *", name="Bill"))
        other = await world.start(scheduled("0 * * * *", name="Bill"))
        now = to_microseconds(NOON + HOUR)
        await world.go(HOUR)
        await other.tick(now)
        await drain(process.shop())
        (run,) = await process.runs()
    fired, executed = traced.one(f"fire {run.job}"), traced.one(f"execute {run.job}")
    assert fired.parent is None
    assert is_below(executed, fired)
    told = facts(fired)
    assert (told["pinstripe.trigger"], told["pinstripe.run"]) == ("schedule", run.id)
    assert told["pinstripe.scheduled_for"] == "2026-11-20T13:00:00.000000Z"
    assert facts(executed)["pinstripe.trigger"] == "schedule"


def test_without_opentelemetry_all_goes_on_and_nothing_is_imported(project_folder: ProjectFolder) -> None:
    project_folder.job("warm_up", WARM_UP)
    source = """
    import pinstripe

    with pinstripe.open_project() as project, project.workspace(tenant=None) as workspace:
        workspace.enqueue_background_job("warm_up")
        print(workspace.run_background_job("warm_up").status)
    print([name for name in sys.modules if "opentelemetry" in name or name == "pinstripe.spans"])
    """
    assert python(project_folder.path, BLOCKED + source).stdout == "succeeded\n[]\n"
    without = source.replace("import pinstripe", "import sys, pinstripe", 1)
    assert python(project_folder.path, without).stdout == "succeeded\n[]\n"  # nor is it where it is installed


def test_who_requires_it_is_told_what_is_missing(project_folder: ProjectFolder) -> None:
    project_folder.configure('tracing = "required"\n')
    source = """
    import sys, pinstripe

    with pinstripe.open_project() as project:
        try:
            project.registry
        except pinstripe.errors.ConfigurationError as error:
            print(error)
    """
    assert "`pip install 'pinstripe[tracing]'`" in python(project_folder.path, BLOCKED + source).stdout
    assert "expected a tracer provider to be set" in python(project_folder.path, source).stdout


@pytest.mark.anyio
async def test_a_trace_goes_through_a_caller_s_own_transaction(
    project_folder: ProjectFolder,
    traced: Traced,
    postgres: Postgres,
    postgres_database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = postgres.url(postgres_database)
    monkeypatch.setenv("PINSTRIPE_LEDGER", url)
    project_folder.job("warm_up", WARM_UP)
    async with pinstripe.open_project(project_folder.path) as project:
        await project.ledger.open()
        with psycopg.connect(url) as connection:
            async with project.workspace(tenant=None) as workspace:
                await workspace.options(connection=connection).enqueue_background_job("warm_up")
        await project.worker(watcher=Recorder()).work(drain=True)
    assert is_below(traced.one("execute warm_up"), traced.one("enqueue warm_up"))


@pytest.mark.anyio
async def test_what_a_sampler_leaves_out_is_left_out_everywhere(
    project_folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody, everybody = Traced(ALWAYS_OFF), Traced()
    project_folder.job("warm_up", WARM_UP)
    async with pinstripe.open_project(project_folder.path) as project:
        monkeypatch.setattr(trace, "_TRACER_PROVIDER", nobody.provider)
        async with project.workspace(tenant=None) as workspace:
            await workspace.enqueue_background_job("warm_up")
        monkeypatch.setattr(trace, "_TRACER_PROVIDER", everybody.provider)
        await project.worker(watcher=Recorder()).work(drain=True)
    assert nobody.names == everybody.names == []
