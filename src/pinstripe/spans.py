"""The spans themselves, by OpenTelemetry: imported only where a tracer provider is set.

Where a run's span is, is kept in the ledger as W3C Trace Context, so that those of its executions are below it, in
whatever process they go on. Arguments and results are in no span.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from opentelemetry import context as contexts
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Status, StatusCode, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from pinstripe.clock import to_datetime, to_iso
from pinstripe.names import full_name
from pinstripe.ongoing import Ongoing, guarded
from pinstripe.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextvars import Token

    from opentelemetry.trace import Span, TracerProvider
    from opentelemetry.util.types import AttributeValue

    from pinstripe.assignment import Assignment
    from pinstripe.fires import Fire
    from pinstripe.outcome import Outcome
    from pinstripe.queue import NewWork, QueuedRun
    from pinstripe.run import Run

LONGEST = 600
"""How many characters are kept of where a span is: a traceparent has 55, and a tracestate should have at most 512."""

_W3C = TraceContextTextMapPropagator()


class Spans:
    """Makes the spans of one tracer provider."""

    def __init__(self, provider: TracerProvider) -> None:
        """Take the `provider`."""
        self._tracer = provider.get_tracer("pinstripe", VERSION)

    def asking(self, operation: str, job: str, trigger: str, count: int) -> Ongoing:
        """Begin a span for the writing of `count` runs, below the one that the caller is in."""
        facts = _facts_of_message(operation, "send", job) | {"pinstripe.trigger": trigger}
        if count != 1:
            facts["messaging.batch.message_count"] = count
        return _Span(self._tracer.start_span(f"{operation} {job}", kind=SpanKind.PRODUCER, attributes=facts))

    def running(self, job: str, trigger: str) -> Ongoing:
        """Begin a span for the whole of a run in the foreground, below the one that the caller is in."""
        facts = {"pinstripe.job": job, "pinstripe.trigger": trigger}
        return _Span(self._tracer.start_span(f"run {job}", attributes=facts), is_whole=True)

    def selecting(self, run: QueuedRun) -> Ongoing:
        """Begin a span below a run's own for the selection of its tenants."""
        facts = {"pinstripe.job": run.job, "pinstripe.run": run.id}
        context = read_context(run.trace)
        return _Span(self._tracer.start_span(f"select {run.job}", context=context, attributes=facts))

    def firing(self, fires: Sequence[Fire]) -> tuple[Sequence[Fire], Callable[[Sequence[bool]], None]]:
        """Begin a span for the run of each fire, below no other; those of fires that were not new are never ended."""
        spans = [None if fire.work is None else self._fire(fire) for fire in fires]

        def end(new: Sequence[bool]) -> None:
            with guarded():
                for span, is_new in zip(spans, new, strict=True):
                    if span is not None and is_new:
                        span.end()

        return [
            fire if fire.work is None or span is None else fire._replace(work=_marked(fire.work, write_span(span)))
            for fire, span in zip(fires, spans, strict=True)
        ], end

    def here(self) -> str | None:
        """Write down the span that the running code is in."""
        return write_span(get_current_span())

    def begin(self, assignment: Assignment) -> Span | None:
        """Begin the span of an attempt, below its run's, and be in it; or be in the one of another process."""
        parent = read_context(assignment.trace)
        if assignment.has_span:
            contexts.attach(parent)
            return None
        job, run = assignment.definition.name, assignment.run_id
        facts: dict[str, AttributeValue] = {
            "pinstripe.job": job,
            "pinstripe.run": run,
            "pinstripe.attempt": assignment.attempt.number,
            "pinstripe.trigger": str(assignment.trigger),
        }
        if assignment.tenant is not None:
            facts["pinstripe.tenant"] = assignment.tenant.id
        kind = SpanKind.INTERNAL
        if assignment.claimed:
            kind = SpanKind.CONSUMER
            facts |= _facts_of_message("execute", "process", job, run)
        span = self._tracer.start_span(f"execute {job}", context=parent, kind=kind, attributes=facts)
        contexts.attach(set_span_in_context(span, Context()))
        return span

    def end(self, span: Span, outcome: Outcome) -> None:
        """End the span of an attempt by its outcome."""
        span.set_attribute("pinstripe.status", str(outcome.status))
        if outcome.status == "failed" and outcome.retry_after is None:
            _note_error(span, outcome)
        elif outcome.error is not None:
            span.set_attribute("pinstripe.reason", outcome.error)
        span.end()

    def _fire(self, fire: Fire) -> Span | None:
        work = fire.work
        if work is None:
            return None
        facts = _facts_of_message("fire", "send", work.run.job, work.run.id) | {
            "pinstripe.run": work.run.id,
            "pinstripe.trigger": str(work.run.trigger),
            "pinstripe.schedule": work.schedule or "",
            "pinstripe.scheduled_for": to_iso(to_datetime(fire.at)),
        }
        name = f"fire {work.run.job}"
        return self._tracer.start_span(name, context=Context(), kind=SpanKind.PRODUCER, attributes=facts)


class _Span(Ongoing):
    """What goes on in a span, which the running code is in meanwhile."""

    __slots__ = ("_forgotten", "_is_whole", "_span", "_token", "trace")

    def __init__(self, span: Span, *, is_whole: bool = False) -> None:
        """Take the span; one that `is_whole` is for all of a run, and not for the asking."""
        self._span = span
        self._is_whole = is_whole
        self._forgotten = False
        self._token: Token[Context] | None = None
        self.trace = write_span(span)

    def __enter__(self) -> Self:
        self._token = contexts.attach(set_span_in_context(self._span))
        return self

    def __exit__(self, kind: type[BaseException] | None, *raised: object) -> None:
        if self._token is not None:
            contexts.detach(self._token)
        if self._forgotten:
            return
        with guarded():
            if kind is not None:  # its message may have an argument in it
                self._span.set_attribute("error.type", kind.__qualname__)
                self._span.set_status(Status(StatusCode.ERROR, kind.__qualname__))
            self._span.end()

    def mark(self, works: Sequence[NewWork]) -> Sequence[NewWork]:
        return [_marked(work, self.trace) for work in works]

    def became(self, run: Run) -> None:
        with guarded():
            facts: dict[str, AttributeValue] = {"pinstripe.run": run.id, "pinstripe.job": run.job}
            if not self._is_whole:
                self._span.set_attributes(facts | {"messaging.message.id": run.id})
                return
            self._span.update_name(f"run {run.job}")
            facts["pinstripe.trigger"] = str(run.trigger)
            if run.finished:
                facts["pinstripe.status"] = str(run.status)
            self._span.set_attributes(facts)
            if run.status == "failed":
                counts = run.executions
                why = run.error or f"{counts.failed:,} of {counts.total:,} executions failed"
                self._span.set_status(Status(StatusCode.ERROR, why))

    def retries(self, trace: str | None) -> None:
        with guarded():
            old = get_current_span(read_context(trace)).get_span_context()
            if old.is_valid:
                self._span.add_link(old)

    def forget(self) -> None:
        self._forgotten = True


def write_span(span: Span) -> str | None:
    """Write where a span is: its `traceparent`, and after a space its `tracestate`, if it has one."""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier, set_span_in_context(span, Context()))
    parent, state = carrier.get("traceparent"), carrier.get("tracestate")
    written = f"{parent} {state}" if parent and state else parent
    return written if written is None or len(written) <= LONGEST else parent


def read_context(trace: str | None) -> Context:
    """Read what `write_span` wrote, as a context in which that is the current span; what isn't such is an empty one."""
    if not trace:
        return Context()
    parent, _, state = trace.partition(" ")
    return _W3C.extract({"traceparent": parent, "tracestate": state} if state else {"traceparent": parent}, Context())


def _marked(work: NewWork, trace: str | None) -> NewWork:
    """Give a work whose run keeps where its span is."""
    return work._replace(run=work.run._replace(trace=trace))


def _note_error(span: Span, outcome: Outcome) -> None:
    """Note what an attempt failed with, in the ledger's words: without passwords, and cut."""
    text, kind = outcome.error or "", type(outcome.exception)
    name = full_name(kind)
    facts = {"exception.type": name, "exception.message": text.removeprefix(f"{kind.__qualname__}: ")}
    if outcome.traceback is not None:
        facts["exception.stacktrace"] = outcome.traceback
    span.add_event("exception", facts)
    span.set_attribute("error.type", name)
    span.set_status(Status(StatusCode.ERROR, text))


def _facts_of_message(operation: str, kind: str, job: str, run: str | None = None) -> dict[str, AttributeValue]:
    """Give the attributes that OpenTelemetry's conventions have for messages, a run being one, and its job's."""
    facts: dict[str, AttributeValue] = {
        "messaging.system": "pinstripe",
        "messaging.operation.name": operation,
        "messaging.operation.type": kind,
        "messaging.destination.name": job,
        "pinstripe.job": job,
    }
    if run is not None:
        facts["messaging.message.id"] = run
    return facts
