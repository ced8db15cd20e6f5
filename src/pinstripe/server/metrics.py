"""`/_pinstripe/metrics`: what Prometheus scrapes, read from the ledger at most once a second."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from pinstripe.errors import PinstripeError
from pinstripe.server.problems import Problem, problem_of, problem_response
from pinstripe.threads import start_thread

if TYPE_CHECKING:
    from pinstripe.server.application import Receive, Scope, Send
    from pinstripe.server.context import WebContext
    from pinstripe.server.metric_families import Jobs, Snapshot

FRESH = 1.0
"""Seconds for which what was read is told again, whoever asks."""

NOT_INSTALLED = Problem(
    501,
    "metrics-not-installed",
    "Metrics are not installed",
    "what writes them is an extra: `pip install 'pinstripe[metrics]'`, and start the server again",
)

NOT_ALLOWED = Problem(
    405, "method-not-allowed", "Method not allowed", "metrics are read by GET", {"Allow": "GET, HEAD"}
)


def make_metrics(context: WebContext) -> Metrics:
    """Make the page, as an ASGI application; the guard has let in who asks."""
    return Metrics(context)


class Metrics:
    """An ASGI application that writes the metrics in the format that is asked for."""

    def __init__(self, context: WebContext) -> None:
        """Take what it is made with; nothing is imported or read before somebody asks."""
        self._context = context
        self._lock = asyncio.Lock()
        self._snapshot: Snapshot | None = None
        self._written: dict[str, bytes] = {}
        self._read_at = float("-inf")
        self._jobs: Jobs | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        if request.method not in {"GET", "HEAD"}:
            response = problem_response(NOT_ALLOWED)
        else:
            try:
                response = await self._respond(request.headers.get("accept", ""))
            except PinstripeError as error:
                response = problem_response(problem_of(error))
        await response(scope, receive, send)

    async def _respond(self, accept: str) -> Response:
        try:
            from prometheus_client.exposition import choose_encoder
        except ImportError:
            return problem_response(NOT_INSTALLED)
        encoder, content_type = choose_encoder(accept)
        async with self._lock:  # those who come meanwhile are told the same
            if self._snapshot is None or self._context.clock.monotonic() - self._read_at >= FRESH:
                self._snapshot = await self._read()
                self._read_at = self._context.clock.monotonic()
                self._written.clear()
            if content_type not in self._written:
                self._written[content_type] = await self._write(encoder, self._snapshot)
            body = self._written[content_type]
        return Response(body, headers={"Content-Type": content_type, "Cache-Control": "no-store"})

    async def _read(self) -> Snapshot:
        from pinstripe.server.metric_families import MAX_RUNS, Snapshot
        from pinstripe.views.status import look_at_status

        context = self._context
        ledger = "sqlite" if context.settings.ledger.startswith("sqlite:") else "postgresql"
        seen = await look_at_status(context.project, context.timeline)
        return Snapshot(seen, await context.history.totals(), await context.history.count_running(MAX_RUNS), ledger)

    async def _write(self, encoder: Any, snapshot: Snapshot) -> bytes:
        """Write a snapshot, in a thread: with 1,000 jobs that takes a while, in which others are to be served."""
        from prometheus_client import CollectorRegistry

        from pinstripe.server.metric_families import Jobs, SnapshotCollector

        self._jobs = self._jobs or Jobs()
        registry = CollectorRegistry()
        registry.register(SnapshotCollector(snapshot, self._jobs))
        write = partial(encoder, registry)
        written, raised = await start_thread(asyncio.get_running_loop(), "pinstripe metrics", write)
        if raised is not None:
            raise raised
        body: bytes = written
        return body
