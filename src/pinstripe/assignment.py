"""What an executor is given to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from pinstripe.background_job import Attempt
    from pinstripe.capture import Capture
    from pinstripe.definition import Definition
    from pinstripe.redaction import Mask
    from pinstripe.tenants import Tenant


@dataclass(slots=True)
class Assignment:
    """What to execute. `args` and `kwargs` are the values that `run` is called with; `timeout` is in seconds.

    `progress` hears, on the event loop's thread, what the job says by `self.progress(done, total)`. `solo` has the
    attempt made in a process of its own, wherever its job runs else. One that a worker has `claimed` waits for no
    other's process: the ledger has it as running. `trigger` is what its run was made by, and `trace` where the span is
    that is above its own (W3C Trace Context); one that `has_span` has its own in another process, and that is it.
    `mask` hides what nobody is shown in what it prints and leaves.
    """

    definition: Definition
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    run_id: str
    tenant: Tenant | None
    attempt: Attempt
    timeout: float | None = None
    capture: Capture | None = None
    progress: Callable[[float, float | None], None] | None = None
    solo: bool = False
    claimed: bool = False
    trigger: str = ""
    trace: str | None = None
    has_span: bool = False
    mask: Mask | None = None
