from __future__ import annotations

from pinstripe.ledgers.rescues import MAY_NOT_REPEAT, Rescued, judge
from pinstripe.run import ExecutionStatus


def test_who_may_runs_again_and_the_others_end() -> None:
    left = judge([(1, 2, None), (2, 0, None), (3, 2, "not needed"), (4, 0, "not needed"), (5, 1, None)])
    assert left.again == [1, 5]
    assert left.ends == {
        (ExecutionStatus.FAILED, MAY_NOT_REPEAT): [2],
        (ExecutionStatus.CANCELLED, "not needed"): [3, 4],
    }
    assert left.failed == 1


def test_what_was_found_adds_up() -> None:
    assert Rescued(owners=1, failed=2).and_(Rescued(given_back=3, failed=1)) == Rescued(1, 0, 3, 3)
