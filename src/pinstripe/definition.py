"""What loading a job's class found out: everything that is checked once, so that an attempt need not look again."""

from __future__ import annotations

import inspect  # noqa: TC003 - a dataclass field
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pinstripe.redaction import MASK, Mask, redacted_of
from pinstripe.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pinstripe.background_job import BackgroundJob
    from pinstripe.limits import Limits
    from pinstripe.priority import Priority
    from pinstripe.schedule import Schedule
    from pinstripe.tenants import TenantSource


@dataclass(frozen=True, slots=True)
class Definition:
    """A loaded job. `name` is its normalised name, `path` its file (None for one that code registered).

    `services` are the names of the services it declares, in that order. `timeout` is in seconds. `runs_in` is where
    `run` runs: on the event `loop`, in a `thread`, or in a `process`. `tenants_filter` is the author's own, if any.
    `overlap` is `"skip"`, `"queue"` or `"allow"`; `limits` and `priority` are None where the job says nothing. `redact`
    are the names of the parameters whose arguments nobody is shown.
    """

    name: str
    job_class: type[BackgroundJob]
    path: Path | None
    multi_tenant: bool
    runs_in: Literal["loop", "thread", "process"]
    services: tuple[str, ...]
    schedules: tuple[Schedule, ...]
    signature: inspect.Signature
    tenants_filter: Callable[[TenantSource], TenantSource] | None
    timeout: float | None = None
    retry: Retry = field(default_factory=lambda: Retry.of(None))
    overlap: str = "skip"
    limits: Limits | None = None
    priority: Priority | None = None
    redact: frozenset[str] = frozenset()
    shapes: dict[tuple[object, ...], Sequence[object]] = field(default_factory=dict, compare=False, repr=False)
    """What `pinstripe.arguments` has found out of calls; it says nothing of the job."""

    @property
    def summary(self) -> str:
        """The first line of the class's docstring, or an empty string."""
        lines = (self.job_class.__doc__ or "").strip().splitlines()
        return lines[0].strip() if lines else ""

    @property
    def usage(self) -> str:
        """The job's name with `run`'s signature, for messages: `send_newsletter(segment: str = 'all')`."""
        signature = self.signature
        if self.redact:
            parameters = signature.parameters.values()
            signature = signature.replace(parameters=[self._without_secret(parameter) for parameter in parameters])
        return f"{self.name}{signature}"

    def redacted(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[int | str, ...]:
        """Give the positions and the names of those of some arguments that nobody is shown."""
        return redacted_of(self.signature, self.redact, args, kwargs) if self.redact else ()

    def mask(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Mask | None:
        """Give what hides the secrets among some arguments, as JSON, in text; None where there are none."""
        return Mask.of(args, kwargs, self.redacted(args, kwargs)) if self.redact else None

    def _without_secret(self, parameter: inspect.Parameter) -> inspect.Parameter:
        if parameter.name not in self.redact or parameter.default is parameter.empty:
            return parameter
        return parameter.replace(default=_Hidden())


class _Hidden:
    """A default that nobody is shown."""

    def __repr__(self) -> str:
        return MASK


class BrokenJob(NamedTuple):
    """A job file that can't be loaded: its name, its file, the line if known, and the reason in one sentence."""

    name: str
    path: Path | None
    line: int | None
    reason: str


Arguments = tuple[tuple[Any, ...], dict[str, Any]]
"""Positional and keyword arguments of a job."""
