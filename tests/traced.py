"""What tests of tracing share: a tracer provider for one test, whose spans are kept in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.sampling import Sampler
    from opentelemetry.trace import SpanContext


class Traced:
    """The spans that have ended since the test began."""

    def __init__(self, sampler: Sampler | None = None) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(sampler=sampler)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    @property
    def names(self) -> list[str]:
        """Their names, in the order in which they began."""
        return [span.name for span in self.all()]

    def all(self) -> list[ReadableSpan]:
        """Give all of them, in the order in which they began."""
        return sorted(self._exporter.get_finished_spans(), key=lambda span: span.start_time or 0)

    def of(self, name: str) -> list[ReadableSpan]:
        """Give those of a name."""
        return [span for span in self.all() if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        """Give the only one of a name."""
        (span,) = self.of(name)
        return span


def context(span: ReadableSpan) -> SpanContext:
    found = span.get_span_context()
    assert found is not None
    return found


def is_below(span: ReadableSpan, other: ReadableSpan) -> bool:
    """Tell whether a span's parent is that other one, in one trace."""
    parent, above = span.parent, context(other)
    return parent is not None and (parent.trace_id, parent.span_id) == (above.trace_id, above.span_id)


def facts(span: ReadableSpan) -> dict[str, Any]:
    """Give a span's attributes."""
    attributes: Mapping[str, Any] = span.attributes or {}
    return dict(attributes)


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> Traced:
    """Have a tracer provider be set, as an application's `setup` does, for this test."""
    traced = Traced()
    # It can be set once in a process, for good.
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", traced.provider)
    return traced
