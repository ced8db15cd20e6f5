"""What went wrong with a request: one status, one title and one sentence for each error, as the command line has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pinstripe.errors import (
    ConfigurationError,
    InvalidArguments,
    InvalidJob,
    LedgerError,
    PinstripeError,
    TenantRequired,
    TenantSourceFailed,
    UnknownJob,
    UnknownRun,
    UnknownTenant,
)
from pinstripe.setting_keys import hide_passwords

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
"""What a problem is sent as by the HTTP API (RFC 9457)."""

MAX_DETAIL = 2_000
"""How many characters of an error's sentence are sent."""


class Problem(NamedTuple):
    """What is told of an error: the HTTP `status`, a `type` that programs know it by, a `title`, and one `detail`."""

    status: int
    type: str
    title: str
    detail: str
    headers: Mapping[str, str] = {}

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON, with its type as a reference."""
        return {
            "type": f"/_pinstripe/api/#problem-{self.type}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }


class Refused(PinstripeError):
    """Somebody may not have what they asked for; `.problem` says why, and becomes a page or a JSON document."""

    def __init__(
        self,
        status: int,
        title: str,
        sentence: str,
        *,
        type_: str = "forbidden",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Say the HTTP `status`, a short `title`, and one `sentence` with the remedy."""
        super().__init__(sentence)
        self.problem = Problem(status, type_, title, sentence, headers or {})


_KNOWN: tuple[tuple[type[PinstripeError], int, str, str], ...] = (
    (UnknownRun, 404, "unknown-run", "Unknown run"),
    (UnknownJob, 404, "unknown-job", "Unknown job"),
    (UnknownTenant, 404, "unknown-tenant", "Unknown tenant"),
    (InvalidArguments, 422, "invalid-arguments", "Invalid arguments"),
    (InvalidJob, 422, "invalid-job", "Invalid job"),
    (TenantRequired, 422, "tenant-required", "Tenant required"),
    (TenantSourceFailed, 503, "tenant-source-failed", "The tenant source failed"),
    (ConfigurationError, 422, "invalid-configuration", "Invalid configuration"),
    (LedgerError, 503, "ledger-unavailable", "The ledger can't be used"),
    (PinstripeError, 409, "not-done", "Not done"),
)
"""The first that fits counts."""

UNEXPECTED = Problem(
    500,
    "unexpected",
    "Unexpected error",
    "Something went wrong that nobody expected; the server's log tells what.",
)
"""What is told of every other error: nothing of what it says, for that may be anything."""


def problem_of(error: BaseException, *, is_confined: bool = False) -> Problem:
    """Find what is to be told of an error; who `is_confined` to some tenants is not told what fails in the server."""
    if isinstance(error, Refused):
        return error.problem
    for kind, status, type_, title in _KNOWN:
        if isinstance(error, kind):
            detail = OUT_OF_REACH if is_confined and status == UNAVAILABLE else hide_passwords(str(error))
            shown = detail if len(detail) <= MAX_DETAIL else detail[:MAX_DETAIL] + "…"
            return Problem(status, type_, title, shown, {"Retry-After": "5"} if status == UNAVAILABLE else {})
    return UNEXPECTED


UNAVAILABLE = 503
"""The status of what may go well in a moment."""


OUT_OF_REACH = "what is needed for this can't be reached just now; try again in a moment"
"""What is told of what fails in the server to those who are confined to some tenants."""


def problem_response(problem: Problem) -> Response:
    """Send a problem as JSON."""
    import json

    from starlette.responses import Response

    body = json.dumps(problem.to_json(), ensure_ascii=False).encode(errors="replace")
    return Response(body, problem.status, dict(problem.headers), MEDIA_TYPE)
