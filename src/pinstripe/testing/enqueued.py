"""What waits for workers, as a test looks at it: listed, compared with what was expected, and told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pinstripe import arguments
from pinstripe.clock import to_datetime, to_iso
from pinstripe.errors import InvalidArguments
from pinstripe.json_values import show
from pinstripe.priority import Priority

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from pinstripe.definition import Definition
    from pinstripe.ledgers.sqlite.waiting import WaitingWork
    from pinstripe.registry import Registry

ANY: Any = object()
"""Any tenant, and none as well."""

MAX_SHOWN = 20
"""How many of those that wait a message lists."""


@dataclass(frozen=True, slots=True)
class Enqueued:
    """What waits for a worker: a run of one execution, or the execution of one tenant of a larger run.

    `args` and `kwargs` are as `run` will be called with them. `due_at` is None where it may start at once; `attempts`
    says how often it was tried already. One that is `selecting` is for tenants that a worker is yet to select.
    """

    job: str
    tenant: str | None
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    due_at: datetime | None = None
    priority: Priority = Priority.DEFAULT
    key: str | None = None
    attempts: int = 0
    selecting: bool = False
    run: str = field(default="", repr=False)

    def __str__(self) -> str:
        """Write it as a call, with all that is special about it."""
        given = [*map(show, self.args), *(f"{name}={show(value)}" for name, value in self.kwargs.items())]
        facts = [
            f" for tenant {self.tenant}" if self.tenant is not None else "",
            " for tenants that a worker selects" if self.selecting else "",
            f", due {to_iso(self.due_at)}" if self.due_at is not None else "",
            f", priority {self.priority}" if self.priority is not Priority.DEFAULT else "",
            f", key {self.key!r}" if self.key is not None else "",
            f", tried {'once' if self.attempts == 1 else f'{self.attempts} times'}" if self.attempts else "",
        ]
        return f"{self.job}({', '.join(given)}){''.join(facts)}"


def restored(registry: Registry, work: WaitingWork) -> Enqueued:
    """Give what waits with its arguments as `run` will get them."""
    args, kwargs = arguments.restore(registry.find(work.job), work.args, work.kwargs)
    return Enqueued(
        job=work.job,
        tenant=work.tenant,
        args=tuple(args),
        kwargs=dict(kwargs),
        due_at=None if work.due_at is None else to_datetime(work.due_at),
        priority=work.priority,
        key=work.key,
        attempts=work.attempts,
        selecting=work.selecting,
        run=work.run,
    )


class Expected:
    """What a test expects to be enqueued. Arguments that it doesn't give may be anything."""

    def __init__(self, definition: Definition, args: tuple[Any, ...], kwargs: dict[str, Any], tenant: Any) -> None:
        """Take the job, some of its arguments, and the tenant's id; raises `InvalidArguments` for what `run` hasn't."""
        self._definition = definition
        self._tenant = tenant
        try:
            self._given = definition.signature.bind_partial(*args, **kwargs).arguments
        except TypeError as error:
            message = f"{definition.usage} can't have been enqueued with these arguments: {error}"
            raise InvalidArguments(message) from error

    def __str__(self) -> str:
        """Write it as a call."""
        given = ", ".join(f"{name}={show(value)}" for name, value in self._given.items())
        whose = f" for tenant {self._tenant}" if self._tenant is not None else " without a tenant"
        return f"{self._definition.name}({given}){'' if self._tenant is ANY else whose}"

    def differences(self, enqueued: Enqueued) -> list[str] | None:
        """Tell what of a run of the job is not as expected, nothing where all is; None for another job."""
        if enqueued.job != self._definition.name:
            return None
        bound = self._definition.signature.bind(*enqueued.args, **enqueued.kwargs)
        bound.apply_defaults()
        found = [
            f"{name} is {show(bound.arguments[name])}, not {show(value)}"
            for name, value in self._given.items()
            if bound.arguments[name] != value
        ]
        if self._tenant not in (ANY, enqueued.tenant):
            is_for = "yet to be selected" if enqueued.selecting else repr(enqueued.tenant)
            found.append(f"the tenant is {is_for}, not {self._tenant!r}")
        return found

    def find(self, waiting: Sequence[Enqueued]) -> Enqueued | None:
        """Find the first of those that wait that is as expected."""
        return next((each for each in waiting if self.differences(each) == []), None)

    def explain(self, waiting: Sequence[Enqueued]) -> str:
        """Tell what waits instead: of the same job first, with what is not as expected."""
        if not waiting:
            return f"expected {self} to be enqueued; nothing is"
        compared = [(each, self.differences(each)) for each in waiting]
        compared.sort(key=lambda pair: (pair[1] is None, len(pair[1] or ())))
        lines = [f"  {each}{'' if not found else '  <- ' + '; '.join(found)}" for each, found in compared]
        return f"expected {self} to be enqueued; what is:\n{_listed(lines)}"


def listed(waiting: Sequence[Enqueued]) -> str:
    """Write what waits, a line each."""
    return _listed([f"  {each}" for each in waiting])


def _listed(lines: list[str]) -> str:
    more = len(lines) - MAX_SHOWN
    return "\n".join(lines[:MAX_SHOWN] + ([f"  … and {more} more"] if more > 0 else []))
