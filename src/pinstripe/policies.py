"""The policies that a job's class has as attributes, each read by its rule: what becomes of it in a queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pinstripe.retry import Retry

if TYPE_CHECKING:
    import inspect
    from collections.abc import Sequence

    from pinstripe.limits import Limits
    from pinstripe.priority import Priority

OVERLAPS = ("skip", "queue", "allow")
"""What becomes of a scheduled fire whose predecessor is unfinished."""


class Policies(NamedTuple):
    """The policies of one job, as its definition has them."""

    retry: Retry
    overlap: str
    limits: Limits | None
    priority: Priority | None


class BrokenRule(ValueError):
    """What an attribute should be and is not; `loading` tells it with the file and the line."""

    def __init__(self, attribute: str, reason: str) -> None:
        """Take the name of the `attribute` and the `reason`."""
        super().__init__(reason)
        self.attribute = attribute


def read_policies(job_class: type, *, multi_tenant: bool) -> Policies:
    """Read the attributes `retries`, `overlap`, `limits` and `priority` of a job's class. Raises `BrokenRule`."""
    given = {name: getattr(job_class, name) for name in ("retries", "overlap", "limits", "priority")}
    try:
        retry = Retry.of(given["retries"])
    except (TypeError, ValueError) as failure:
        raise BrokenRule("retries", str(failure)) from failure
    return Policies(
        retry,
        _overlap(given["overlap"]),
        _limits(given["limits"], multi_tenant=multi_tenant),
        _priority(given["priority"]),
    )


def read_redact(job_class: type, signature: inspect.Signature) -> frozenset[str]:
    """Read which parameters of `run` a job names in `redact`. Raises `BrokenRule` for one that there is not.

    A `run` that takes `**kwargs` may be given arguments of any name.
    """
    chosen: object = getattr(job_class, "redact", ())
    if not isinstance(chosen, list | tuple | set | frozenset) or not all(isinstance(name, str) for name in chosen):
        hint = f"; expected [{chosen!r}]" if isinstance(chosen, str) else ""
        reason = f"redact: expected a list of names of parameters of run, got {type(chosen).__name__}{hint}"
        raise BrokenRule("redact", reason)
    known = [*signature.parameters]
    unknown = [name for name in chosen if name not in known]
    if unknown and not any(each.kind.name == "VAR_KEYWORD" for each in signature.parameters.values()):
        takes = f"run takes {', '.join(known)}" if known else "run takes none"
        reason = f"redact: run has no parameter {unknown[0]!r}{_meant(unknown[0], known, 3) or f'; {takes}'}"
        raise BrokenRule("redact", reason)
    return frozenset(chosen)


def _overlap(chosen: object) -> str:
    if isinstance(chosen, str) and chosen in OVERLAPS:
        return chosen
    reason = f"overlap: expected 'skip', 'queue' or 'allow', got {chosen!r}"
    raise BrokenRule("overlap", reason + _meant(chosen, OVERLAPS))


def _limits(chosen: object, *, multi_tenant: bool) -> Limits | None:
    if chosen is None:
        return None
    from pinstripe.limits import Limits

    if not isinstance(chosen, Limits):
        reason = f"limits: expected Limits(total=…, per_tenant=…) or None, got {chosen!r}"
        raise BrokenRule("limits", reason)
    if chosen.per_tenant is not None and not multi_tenant:
        reason = "limits: per_tenant on a job without tenants; set multi_tenant = True, or limit its total"
        raise BrokenRule("limits", reason)
    return chosen


def _priority(chosen: object) -> Priority | None:
    if chosen is None:
        return None
    from pinstripe.priority import Priority

    if isinstance(chosen, str) and chosen in tuple(Priority):
        return Priority(chosen)
    reason = f"priority: expected 'interactive', 'default', 'bulk' or None, got {chosen!r}"
    raise BrokenRule("priority", reason + _meant(chosen, [str(priority) for priority in Priority]))


def _meant(chosen: object, known: Sequence[str], limit: int = 1) -> str:
    """Say which of the `known` words may have been meant."""
    from pinstripe.names import nearest

    near = nearest(chosen, known, limit=limit) if isinstance(chosen, str) else []
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
