"""The errors that callers catch. Each message has the facts and the remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pinstripe.run import Run

MAX_EXCEPTIONS = 100
"""How many of a run's exceptions are held, and carried by a `TenantFailures`."""


class PinstripeError(Exception):
    """The parent of every error that Pinstripe raises on purpose."""


class ConfigurationError(PinstripeError):
    """A project, a setting, a service or a tenant source is not as it must be; nothing was run.

    `.reason` is the sentence without the place, `.path` the file and `.line` the line where that is known.
    """

    def __init__(self, reason: str, *, path: Path | None = None, line: int | None = None) -> None:
        """Say the `reason`, and the place where it is to be mended."""
        super().__init__(reason)
        self.reason = reason
        self.path = path
        self.line = line

    def __str__(self) -> str:
        """Put the place before the reason, as compilers do."""
        if self.path is None:
            return self.reason
        return f"{self.path}, line {self.line}: {self.reason}" if self.line else f"{self.path}: {self.reason}"


class InvalidJob(ConfigurationError):
    """A job's file can't be loaded, or its class breaks a rule; the message names file, line and reason."""


class UnknownJob(PinstripeError, LookupError):
    """No job has that name; the message has the nearest names."""


class UnknownTenant(PinstripeError, LookupError):
    """The tenant source has no tenant with that id, or the job's filter leaves it out.

    `.reason` says so without what the command line has to tell who they are.
    """

    def __init__(self, reason: str, hint: str | None = None) -> None:
        """Take the reason, and the hint for who is at a command line."""
        super().__init__(reason if hint is None else f"{reason}: {hint}")
        self.reason = reason


class UnknownRun(PinstripeError, LookupError):
    """The ledger has no such run (any more), or the short id is not unique."""


class InvalidArguments(PinstripeError, TypeError):
    """The arguments don't fit the job's `run`, and the message has its signature; or an option of a run can't be."""


class TenantRequired(PinstripeError):
    """Something that belongs to a tenant was asked for where there is none."""


class UnknownTable(ConfigurationError, LookupError):
    """The database has no such table, or none of the declared models is for it; the message has the nearest names."""


class UnknownColumn(ConfigurationError, LookupError):
    """A table has no such column; the message has the nearest names."""


class IsolationError(PinstripeError):
    """A statement can't be kept to the workspace's tenant, or a row or value belongs to another one; nothing was done.

    `workspace.unscoped(reason=…)` is the one way to work beyond a tenant.
    """


class DatabaseUnavailable(PinstripeError):
    """The application's database can't be used: its file is missing, it can't be reached, or it refuses to log in."""


class WorkspaceClosed(PinstripeError):
    """A workspace or a service of it was used after the workspace had been closed."""


class TenantSourceFailed(PinstripeError):
    """The tenant source raised or gave something that is not a tenant; nothing was run."""


class LedgerError(PinstripeError):
    """The ledger can't be used: unreachable, corrupt, read-only, newer than this version, or its disk is full."""


class LedgerLost(LedgerError):
    """The ledger's file was removed, or another one is in its place, so that what this process does isn't recorded."""


class RunCancelled(PinstripeError):
    """The awaited run was cancelled, or its job cancelled itself; `.run` is the finished run."""

    def __init__(self, run: Run, reason: str | None = None) -> None:
        """Say which `run` it was, and the `reason` where the job has told one."""
        reason = run.error or reason
        super().__init__(f"run {run.id} of {run.job} was cancelled" + (f": {reason}" if reason else ""))
        self.run = run


class TenantFailures(ExceptionGroup[Exception]):
    """Some tenants of a run failed, after all of them had been tried.

    `.run` is the finished run, `.by_tenant` maps a tenant's id to its exception, `.exceptions` has the first 100, each
    with a note that names its tenant.
    """

    run: Run
    by_tenant: Mapping[str, Exception]

    def __new__(cls, run: Run, by_tenant: Mapping[str, Exception]) -> Self:
        """Group `by_tenant`, at most the first 100, under a sentence about `run`."""
        shown = dict(list(by_tenant.items())[:MAX_EXCEPTIONS])
        counts = run.executions
        group = super().__new__(
            cls, f"{run.job} failed for {counts.failed} of {counts.total} tenants", [*shown.values()]
        )
        group.run = run
        group.by_tenant = shown
        return group

    def derive(self, excs: Sequence[Exception], /) -> ExceptionGroup[Exception]:  # type: ignore[override]
        """Make the group that `except*` and `split` need: a plain one, since a part is no longer the run's account."""
        return ExceptionGroup(self.message, excs)
