"""What becomes of what a dead process left behind, in every ledger: without SQL, and without a driver."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pinstripe.run import ExecutionStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

MAY_NOT_REPEAT = "its worker died while it ran, and the job may not be run again after a crash (Retry(crashes=0))"


class Rescued(NamedTuple):
    """What a rescue found: dead processes, runs of theirs that it closed, executions it gave back, and that failed."""

    owners: int = 0
    runs: int = 0
    given_back: int = 0
    failed: int = 0

    def and_(self, other: Rescued) -> Rescued:
        """Add up."""
        return Rescued(*(one + more for one, more in zip(self, other, strict=True)))


class Left(NamedTuple):
    """What a dead process ran: who runs `again`, and who ends, by the state and the reason."""

    again: list[int]
    ends: dict[tuple[ExecutionStatus, str], list[int]]

    @property
    def failed(self) -> int:
        """How many have failed."""
        return sum(len(ids) for (status, _), ids in self.ends.items() if status is ExecutionStatus.FAILED)


def judge(rows: Iterable[tuple[int, int, str | None]]) -> Left:
    """Tell who of those that a dead process ran runs again, each given with how many crashes it survives, and its stop.

    One that may not be repeated has failed; one whose run was cancelled is.
    """
    left = Left([], {})
    for id_, crashes, stop in rows:
        if stop is not None:
            left.ends.setdefault((ExecutionStatus.CANCELLED, stop), []).append(id_)
        elif crashes == 0:
            left.ends.setdefault((ExecutionStatus.FAILED, MAY_NOT_REPEAT), []).append(id_)
        else:
            left.again.append(id_)
    return left
