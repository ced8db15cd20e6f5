"""Background jobs for Python applications that serve many tenants.

The public names are here and are imported when they are first used, so that a short command imports little.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pinstripe.version import VERSION

if TYPE_CHECKING:
    from pinstripe.answers import Cancel, RetryLater
    from pinstripe.background_job import Attempt, BackgroundJob
    from pinstripe.database.rows import Rows
    from pinstripe.database.service import Database, database_of
    from pinstripe.errors import (
        PinstripeError,
        RunCancelled,
        TenantFailures,
        TenantRequired,
        UnknownJob,
        UnknownTenant,
        WorkspaceClosed,
    )
    from pinstripe.limits import Limits
    from pinstripe.opening import open_project
    from pinstripe.priority import Priority
    from pinstripe.project import Project
    from pinstripe.retry import Retry
    from pinstripe.run import Execution, ExecutionStatus, Run, RunStatus, Trigger
    from pinstripe.schedule import Schedule
    from pinstripe.tenants import Tenant, TenantSource
    from pinstripe.workspace import Workspace


__version__ = VERSION

_HOMES = {
    "Attempt": "background_job",
    "BackgroundJob": "background_job",
    "Cancel": "answers",
    "Database": "database.service",
    "Execution": "run",
    "ExecutionStatus": "run",
    "Limits": "limits",
    "PinstripeError": "errors",
    "Priority": "priority",
    "Project": "project",
    "Retry": "retry",
    "RetryLater": "answers",
    "Rows": "database.rows",
    "Run": "run",
    "RunCancelled": "errors",
    "RunStatus": "run",
    "Schedule": "schedule",
    "Tenant": "tenants",
    "TenantFailures": "errors",
    "TenantRequired": "errors",
    "TenantSource": "tenants",
    "Trigger": "run",
    "UnknownJob": "errors",
    "UnknownTenant": "errors",
    "Workspace": "workspace",
    "WorkspaceClosed": "errors",
    "database_of": "database.service",
    "open_project": "opening",
}

__all__ = [
    "Attempt",
    "BackgroundJob",
    "Cancel",
    "Database",
    "Execution",
    "ExecutionStatus",
    "Limits",
    "PinstripeError",
    "Priority",
    "Project",
    "Retry",
    "RetryLater",
    "Rows",
    "Run",
    "RunCancelled",
    "RunStatus",
    "Schedule",
    "Tenant",
    "TenantFailures",
    "TenantRequired",
    "TenantSource",
    "Trigger",
    "UnknownJob",
    "UnknownTenant",
    "Workspace",
    "WorkspaceClosed",
    "database_of",
    "open_project",
]


def __getattr__(name: str) -> Any:
    """Import a public name, or the module `testing`, on its first use."""
    from importlib import import_module

    if name == "testing":
        return import_module("pinstripe.testing")
    home = _HOMES.get(name)
    if home is None:
        message = f"module 'pinstripe' has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(import_module(f"pinstripe.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
