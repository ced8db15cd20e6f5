"""Testing: a job by itself, and an application with the jobs that it enqueues.

`workspace` performs one job without a project and without a ledger. The fixtures `background_jobs` and
`plain_background_jobs` of the pytest plugin give the project itself, on a ledger and a clock of the test's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pinstripe.testing.background_jobs import BackgroundJobs, PlainBackgroundJobs
    from pinstripe.testing.by_itself import TestingWorkspace, workspace
    from pinstripe.testing.enqueued import Enqueued

_HOMES = {
    "BackgroundJobs": "background_jobs",
    "Enqueued": "enqueued",
    "PlainBackgroundJobs": "background_jobs",
    "TestingWorkspace": "by_itself",
    "workspace": "by_itself",
}

__all__ = ["BackgroundJobs", "Enqueued", "PlainBackgroundJobs", "TestingWorkspace", "workspace"]


def __getattr__(name: str) -> Any:
    """Import a public name on its first use."""
    from importlib import import_module

    home = _HOMES.get(name)
    if home is None:
        message = f"module 'pinstripe.testing' has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(import_module(f"pinstripe.testing.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
