"""How many executions of a job may go on at once, over all workers of a ledger."""

from __future__ import annotations

from dataclasses import dataclass

MOST = 1_000_000_000
"""The largest limit: what every ledger can count to."""


@dataclass(frozen=True, slots=True)
class Limits:
    """At most `total` executions of a job at once, and at most `per_tenant` for each tenant; None is no limit.

    They are counted over all workers of the ledger, and hold for enqueued and scheduled executions, not for a run in
    the foreground. Raises `TypeError` and `ValueError` for what is no whole number of at least 1.
    """

    total: int | None = None
    per_tenant: int | None = None

    def __post_init__(self) -> None:
        """Check both."""
        given: tuple[tuple[str, object], ...] = (("total", self.total), ("per_tenant", self.per_tenant))
        for name, value in given:
            if value is None:
                continue
            if not isinstance(value, int) or isinstance(value, bool):
                message = f"limits: expected {name} to be a whole number of at least 1, got {value!r}"
                raise TypeError(message)
            if value > MOST:
                message = f"limits: expected {name} to be at most {MOST:,}, got {value}; None is for no limit"
                raise ValueError(message)
            if value < 1:
                message = f"limits: expected {name} to be at least 1, got {value}; `pinstripe pause` stops a job"
                raise ValueError(message)
        if self.total is None and self.per_tenant is None:
            message = "limits: expected total=…, per_tenant=… or both; leave `limits` away for none"
            raise ValueError(message)
