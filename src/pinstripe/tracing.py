"""Tracing: whether runs and executions have OpenTelemetry spans, and what makes them where they have.

OpenTelemetry is never imported from here: where the application has set up no tracing, all of this is one look into a
dictionary. Nothing that goes wrong in it is the end of a run.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Literal

from pinstripe.errors import ConfigurationError
from pinstripe.ongoing import UNTRACED, Ongoing, guarded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.trace import Span

    from pinstripe.assignment import Assignment
    from pinstripe.fires import Fire
    from pinstripe.outcome import Outcome
    from pinstripe.queue import QueuedRun
    from pinstripe.spans import Spans

FLUSH_LIMIT = 2.0
"""Seconds that spans have for being sent where a process ends."""

LOOK_EVERY = 1.0
"""Seconds between two looks whether a tracer provider is set by now: to ask for it takes longer than all else here."""

NOT_INSTALLED = (
    "setting tracing = \"required\": OpenTelemetry is not installed; `pip install 'pinstripe[tracing]'` installs it"
)

NO_PROVIDER = (
    'setting tracing = "required": expected a tracer provider to be set, as `trace.set_tracer_provider(…)` does in the '
    "function of the setting `setup`; there is none"
)


class Tracing:
    """Makes spans where a tracer provider is set; it looks again and again, since an application may set one late."""

    __slots__ = ("_looked", "_mode", "_provider", "_spans")

    def __init__(self, mode: Literal["auto", "required", "off"] = "auto") -> None:
        """Take the setting `tracing`."""
        self._mode = mode
        self._provider: object = None
        self._spans: Spans | None = None
        self._looked = float("-inf")

    def check(self) -> None:
        """Raise `ConfigurationError` where spans are required and nothing is there to make them; see to it at once."""
        self._looked = float("-inf")
        if self._mode != "required" or self._find() is not None:
            return
        try:
            import opentelemetry.sdk  # noqa: F401 - to see whether it is there
        except ImportError:
            raise ConfigurationError(NOT_INSTALLED) from None
        raise ConfigurationError(NO_PROVIDER)

    def asking(self, operation: str, job: str, trigger: str, count: int = 1) -> Ongoing:
        """While `count` runs of a job are written down by an `operation`, such as "enqueue", have a span for that."""
        spans = self._find()
        if spans is not None:
            with guarded():
                return spans.asking(operation, job, trigger, count)
        return UNTRACED

    def running(self, job: object, trigger: str) -> Ongoing:
        """While a run of a job (its name or class) goes on in the foreground, have a span for it."""
        spans = self._find()
        if spans is not None:
            with guarded():
                return spans.running(job if isinstance(job, str) else getattr(job, "__name__", ""), trigger)
        return UNTRACED

    def selecting(self, run: QueuedRun) -> Ongoing:
        """While the tenants of a run are selected, have a span for that, below the run's own."""
        spans = self._find()
        if spans is not None:
            with guarded():
                return spans.selecting(run)
        return UNTRACED

    def firing(self, fires: Sequence[Fire]) -> tuple[Sequence[Fire], Callable[[Sequence[bool]], None]]:
        """Begin a span for the run of each fire; give the fires with them, and what ends those that were new."""
        spans = self._find()
        if spans is not None:
            with guarded():
                return spans.firing(fires)
        return fires, _pass

    def here(self) -> str | None:
        """Write down the span that the running code is in; None where it is in none."""
        spans = self._find()
        if spans is not None:
            with guarded():
                return spans.here()
        return None

    def begin(self, assignment: Assignment) -> Span | None:
        """Begin the span of an attempt, and have the running task be in it from now on.

        For an attempt that has its span in another process, the task is in that one, and None is given.
        """
        spans = self._find()
        if spans is not None:
            with guarded():
                return spans.begin(assignment)
        return None

    def end(self, span: Span, outcome: Outcome) -> None:
        """End the span of an attempt."""
        if self._spans is not None:
            with guarded():
                self._spans.end(span, outcome)

    def _find(self) -> Spans | None:
        """Find what makes spans by the tracer provider that is set; None where none is."""
        api: Any = sys.modules.get("opentelemetry.trace")
        if api is None or self._mode == "off":
            return None
        if self._spans is None:
            now = time.monotonic()
            if now - self._looked < LOOK_EVERY:
                return None
            self._looked = now
        try:
            provider = api.get_tracer_provider()
        except Exception:  # noqa: BLE001 - another thread is about to import it, or its environment variables are wrong
            return None
        if provider is not self._provider:
            self._spans = None
            if not isinstance(provider, (api.ProxyTracerProvider, api.NoOpTracerProvider)):
                from pinstripe.spans import Spans

                self._spans = Spans(provider)
            self._provider = provider
        return self._spans


def current_ids() -> tuple[str, str] | None:
    """Give the ids of the trace and of the span that the running code is in, as text; None where it is in none."""
    api: Any = sys.modules.get("opentelemetry.trace")
    try:
        return None if api is None else ids_of(api.get_current_span())
    except Exception:  # noqa: BLE001 - half of it may be imported
        return None


def ids_of(span: Span) -> tuple[str, str] | None:
    """Give the ids of a span's trace and of the span, as text; None for one that isn't valid."""
    context = span.get_span_context()
    return (f"{context.trace_id:032x}", f"{context.span_id:016x}") if context.is_valid else None


def flush(within: float) -> None:
    """Have what was traced be sent within so many seconds, before the process ends without more ado."""
    api: Any = sys.modules.get("opentelemetry.trace")
    with guarded():
        force = None if api is None else getattr(api.get_tracer_provider(), "force_flush", None)
        if force is not None:
            force(round(within * 1_000))


def leave_spans() -> None:
    """Have the running code be in no span from here on."""
    api: Any = sys.modules.get("opentelemetry.context")
    if api is not None:
        with guarded():
            api.attach(api.Context())


def _pass(new: Sequence[bool]) -> None:
    """End nothing."""
