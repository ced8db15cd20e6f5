"""Spans of runs and executions: below one another, whoever asks and wherever they go on, and nothing of arguments."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from pinstripe.answers import Cancel, RetryLater
from pinstripe.background_job import BackgroundJob
from pinstripe.errors import UnknownJob
from pinstripe.ongoing import UNTRACED
from pinstripe.retry import Retry
from pinstripe.run import RunStatus
from pinstripe.runs import Request
from pinstripe.tracing import Tracing
from tests.shop import Recorder, in_global_workspace, open_shop
from tests.traced import Traced, context, facts, is_below, traced
from tests.working import drain, enqueue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.conftest import ProjectFolder
    from tests.shop import Shop

__all__ = ["traced"]

pytestmark = pytest.mark.anyio

SECRET = "the-quick-brown-fox"


class Greet(BackgroundJob):
    async def run(self, name: str = "") -> str:
        with trace.get_tracer("application").start_as_current_span("inside"):
            return name


class GreetInThread(BackgroundJob):
    def run(self, name: str = "") -> None:
        with trace.get_tracer("application").start_as_current_span("inside"):
            pass


class GreetAll(BackgroundJob):
    multi_tenant = True

    async def run(self) -> None: ...


class Fails(BackgroundJob):
    async def run(self, name: str = "") -> None:
        raise ValueError("no postgresql://me:s3cret@db/shop")


@pytest.fixture(params=["sqlite", "postgres"])
async def shop(
    request: pytest.FixtureRequest, project_folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch, traced: Traced
) -> AsyncIterator[Shop]:
    """Give a shop with each kind of ledger in turn."""
    if request.param == "postgres":
        postgres = request.getfixturevalue("postgres")
        monkeypatch.setenv("PINSTRIPE_LEDGER", postgres.url(request.getfixturevalue("postgres_database")))
    async with open_shop(project_folder) as shop:
        yield shop


@pytest.mark.parametrize("job", [Greet, GreetInThread])
async def test_what_is_enqueued_and_executed_is_one_trace(shop: Shop, traced: Traced, job: type[BackgroundJob]) -> None:
    with trace.get_tracer("application").start_as_current_span("request"):
        run = await enqueue(shop, job, SECRET)
    await drain(shop)
    name = run.job
    assert traced.names == ["request", f"enqueue {name}", f"execute {name}", "inside"]
    request, enqueued, executed, inside = traced.all()
    assert is_below(enqueued, request)
    assert is_below(executed, enqueued)
    assert is_below(inside, executed)
    assert (enqueued.kind, executed.kind) == (SpanKind.PRODUCER, SpanKind.CONSUMER)
    common = {
        "messaging.system": "pinstripe",
        "messaging.destination.name": name,
        "messaging.message.id": run.id,
        "pinstripe.job": name,
        "pinstripe.run": run.id,
        "pinstripe.trigger": "code",
    }
    sent = {"messaging.operation.name": "enqueue", "messaging.operation.type": "send"}
    assert facts(enqueued) == common | sent
    assert facts(executed) == common | {
        "messaging.operation.name": "execute",
        "messaging.operation.type": "process",
        "pinstripe.attempt": 1,
        "pinstripe.status": "succeeded",
    }
    assert executed.status.status_code is StatusCode.UNSET
    assert SECRET not in "".join(span.to_json() for span in traced.all())


async def test_many_runs_that_are_enqueued_at_once_have_one_span_above_them(shop: Shop, traced: Traced) -> None:
    name = shop.add(Greet)
    async with shop.project.workspace(tenant=None) as workspace:
        await workspace.enqueue_background_jobs(name, [("a",), ("b",), ("c",)])
    await drain(shop)
    enqueued = traced.one(f"enqueue {name}")
    assert facts(enqueued)["messaging.batch.message_count"] == 3
    assert [is_below(executed, enqueued) for executed in traced.of(f"execute {name}")] == [True] * 3


async def test_what_workers_select_is_below_the_run_too(shop: Shop, traced: Traced) -> None:
    run = await enqueue(shop, GreetAll)
    await drain(shop)
    enqueued, selected = traced.one(f"enqueue {run.job}"), traced.one(f"select {run.job}")
    assert is_below(selected, enqueued)
    executed = traced.of(f"execute {run.job}")
    assert all(is_below(span, enqueued) for span in executed)
    assert sorted(facts(span)["pinstripe.tenant"] for span in executed) == ["acme", "birch", "cedar"]


async def test_a_failure_is_told_as_the_ledger_has_it(shop: Shop, traced: Traced) -> None:
    run = await enqueue(shop, Fails, SECRET)
    await drain(shop)
    executed = traced.one(f"execute {run.job}")
    error = "ValueError: no postgresql://me:***@db/shop"
    assert (executed.status.status_code, executed.status.description) == (StatusCode.ERROR, error)
    assert (facts(executed)["error.type"], facts(executed)["pinstripe.status"]) == ("ValueError", "failed")
    (event,) = executed.events
    told = dict(event.attributes or {})
    assert (event.name, told["exception.type"]) == ("exception", "ValueError")
    assert told["exception.message"] == "no postgresql://me:***@db/shop"
    assert "in run" in str(told["exception.stacktrace"])
    everything = executed.to_json()
    assert "s3cret" not in everything
    assert SECRET not in everything


async def test_a_redacted_argument_is_in_no_error_either(project_folder: ProjectFolder, traced: Traced) -> None:
    class Leaks(BackgroundJob):
        redact = ("name",)

        async def run(self, name: str) -> None:
            raise ValueError(f"no {name}")

    async with open_shop(project_folder) as shop:
        run = await enqueue(shop, Leaks, SECRET)
        await drain(shop)
        await shop.project.run(Request(run.job, (SECRET,)), Recorder())
    assert len(traced.all()) == 4
    assert SECRET not in "".join(span.to_json() for span in traced.all())


async def test_each_attempt_has_a_span(project_folder: ProjectFolder, traced: Traced) -> None:
    class Tries(Fails):
        retries = Retry(1, wait="1ms")

    async with open_shop(project_folder) as shop:
        run = await enqueue(shop, Tries)
        while (await shop.project.ledger.find_run(run.id)).status != "failed":
            await drain(shop)
    enqueued = traced.one(f"enqueue {run.job}")
    executed = traced.of(f"execute {run.job}")
    assert [facts(span)["pinstripe.attempt"] for span in executed] == [1, 2]
    assert all(is_below(span, enqueued) for span in executed)


async def test_answers_are_no_errors(project_folder: ProjectFolder, traced: Traced) -> None:
    class GivesUp(BackgroundJob):
        async def run(self) -> None:
            raise Cancel("nothing to do")

    class Waits(BackgroundJob):
        async def run(self) -> None:
            raise RetryLater(timedelta(days=1))

    async with open_shop(project_folder) as shop:
        names = [(await enqueue(shop, job)).job for job in (GivesUp, Waits)]
        await drain(shop)
    gave_up, waits = (traced.one(f"execute {name}") for name in names)
    assert (facts(gave_up)["pinstripe.status"], facts(gave_up)["pinstripe.reason"]) == ("cancelled", "nothing to do")
    assert {gave_up.status.status_code, waits.status.status_code} == {StatusCode.UNSET}


async def test_a_run_by_hand_has_a_span_for_all_of_it(shop: Shop, traced: Traced) -> None:
    name = shop.add(GreetAll)
    with trace.get_tracer("application").start_as_current_span("request"):
        run = await shop.project.run(Request(name), Recorder())
    whole, executed = traced.one(f"run {name}"), traced.of(f"execute {name}")
    assert is_below(whole, traced.one("request"))
    assert len(executed) == 3
    assert all(is_below(span, whole) for span in executed)
    assert {span.kind for span in (whole, *executed)} == {SpanKind.INTERNAL}
    expected = {"pinstripe.job": name, "pinstripe.run": run.id, "pinstripe.trigger": "code"}
    assert facts(whole) == expected | {"pinstripe.status": "succeeded"}
    assert (whole.end_time or 0) >= max(span.end_time or 0 for span in executed)


async def test_a_run_that_fails_is_an_error(shop: Shop, traced: Traced) -> None:
    name = shop.add(Fails)
    await shop.project.run(Request(name), Recorder())
    whole = traced.one(f"run {name}")
    assert (whole.status.status_code, whole.status.description) == (StatusCode.ERROR, "1 of 1 executions failed")


async def test_one_that_can_not_begin_is_told_by_the_kind_of_its_error(shop: Shop, traced: Traced) -> None:
    with pytest.raises(UnknownJob):
        await shop.project.run(Request(SECRET), Recorder())
    (span,) = traced.all()
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "UnknownJob")


async def test_a_retry_is_linked_with_the_run_that_it_retries(shop: Shop, traced: Traced) -> None:
    old = await enqueue(shop, Fails)
    await drain(shop)
    enqueued = traced.one(f"enqueue {old.job}")
    assert await shop.project.enqueue_retry(old.id) is not None
    asked = traced.one(f"retry {old.job}")
    assert [link.context.span_id for link in asked.links] == [context(enqueued).span_id]
    await drain(shop)
    assert [
        is_below(span, above) for span, above in zip(traced.of(f"execute {old.job}"), (enqueued, asked), strict=True)
    ]
    await shop.project.retry(old.id, watcher=Recorder())
    whole = traced.one(f"run {old.job}")
    assert [link.context.span_id for link in whole.links] == [context(enqueued).span_id]
    assert facts(whole)["pinstripe.trigger"] == "retry"


class Outer(BackgroundJob):
    async def run(self, name: str) -> None:
        await self.run_background_job(name)
        await self.enqueue_background_job(name)


class OuterInThread(BackgroundJob):
    def run(self, name: str) -> None:
        self.workspace.wait(self.run_background_job(name))
        self.workspace.wait(self.enqueue_background_job(name))


@pytest.mark.parametrize("outer", [Outer, OuterInThread])
async def test_what_a_job_asks_for_is_below_its_own_execution(
    shop: Shop, traced: Traced, outer: type[BackgroundJob]
) -> None:
    name = shop.add(Greet)
    run = await enqueue(shop, outer, name)
    await drain(shop)
    above = traced.one(f"execute {run.job}")
    assert is_below(traced.one(f"run {name}"), above)
    assert is_below(traced.one(f"enqueue {name}"), above)


async def test_whoever_executes_is_not_in_the_span_of_who_was_the_first_to_ask(
    project_folder: ProjectFolder, traced: Traced
) -> None:
    async with open_shop(project_folder) as shop:
        with trace.get_tracer("application").start_as_current_span("request"):
            await in_global_workspace(shop, Greet)
        await in_global_workspace(shop, Greet)
    first, second = traced.of("execute greet")
    assert context(first).trace_id != context(second).trace_id


async def test_nothing_to_retry_is_no_span(project_folder: ProjectFolder, traced: Traced) -> None:
    async with open_shop(project_folder) as shop:
        run = await shop.project.run(Request(shop.add(Greet)), Recorder())
        before = len(traced.all())
        assert await shop.project.retry(run.id, watcher=Recorder()) is None
        assert await shop.project.enqueue_retry(run.id) is None
    assert len(traced.all()) == before


async def test_an_exporter_that_fails_harms_no_run(
    project_folder: ProjectFolder, traced: Traced, caplog: pytest.LogCaptureFixture
) -> None:
    from opentelemetry.sdk.trace import SpanProcessor

    class Broken(SpanProcessor):
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            if span.name.startswith("enqueue"):
                raise RuntimeError("no")

        def on_end(self, span: Any) -> None:
            if span.name != "inside":
                raise RuntimeError("no")

    traced.provider.add_span_processor(Broken())
    async with open_shop(project_folder) as shop:
        run = await enqueue(shop, Greet)
        await drain(shop)
        assert (await shop.project.ledger.find_run(run.id)).status is RunStatus.SUCCEEDED
        by_hand = await shop.project.run(Request(run.job), Recorder())
    assert by_hand.status is RunStatus.SUCCEEDED


async def test_with_tracing_off_there_are_none(project_folder: ProjectFolder, traced: Traced) -> None:
    async with open_shop(project_folder, settings='tracing = "off"\n') as shop:
        await enqueue(shop, Greet)
        await drain(shop)
    assert traced.names == ["inside"]


async def test_a_span_s_state_goes_with_it(shop: Shop, traced: Traced) -> None:
    from pinstripe.spans import LONGEST, read_context, write_span

    written = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 vendor=a"
    assert write_span(trace.get_current_span(read_context(written))) == written
    long = f"{written},other={'b' * 200},third={'c' * 200},fourth={'d' * 200}"
    assert len(write_span(trace.get_current_span(read_context(long))) or "") <= LONGEST
    for nothing in (None, "", "00-nonsense", json.dumps({"traceparent": 1})):
        assert write_span(trace.get_current_span(read_context(nothing))) is None


async def test_a_provider_that_is_set_late_is_found(traced: Traced, monkeypatch: pytest.MonkeyPatch) -> None:
    tracing = Tracing()
    with monkeypatch.context() as before:
        before.setattr(trace, "_TRACER_PROVIDER", None)
        assert tracing.asking("enqueue", "greet", "code") is UNTRACED
    monkeypatch.setattr("pinstripe.tracing.LOOK_EVERY", 0.0)
    assert tracing.asking("enqueue", "greet", "code") is not UNTRACED
