"""Which arguments of a run nobody is shown, as both ledgers keep it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.ledger import RunFilter
from pinstripe.queue import NewWork
from tests.ledgers.moves import new_run

if TYPE_CHECKING:
    from pinstripe.ledger import Ledger

pytestmark = pytest.mark.anyio


async def test_a_run_keeps_them_however_it_was_made_and_is_read(ledger: Ledger) -> None:
    given: dict[str, Any] = {"args": ["a", "b"], "kwargs": {"c": "d"}, "redacted": (1, "c")}
    works = [
        NewWork(new_run(**given), [""]),
        NewWork(new_run(**given), ["t"], key="k"),
        NewWork(new_run(**given), None),
        NewWork(new_run(**given), ["t", "u"], due_at=2_000_000_000_000_000),
    ]
    made = [await ledger.create(new_run(**given))]
    for work in works:
        made += await ledger.queue.enqueue([work])
    made += await ledger.queue.enqueue([work._replace(run=new_run(**given), key=None) for work in works])
    for run in made:
        for each in (run, await ledger.find_run(run.id)):
            assert (each.args, each.kwargs, each.redacted) == (("a", "b"), {"c": "d"}, (1, "c"))
            assert each.shown() == (("a", "***"), {"c": "***"})
    listed = await ledger.list_runs(RunFilter())
    page = await ledger.history.runs(RunFilter())
    (last,) = (await ledger.last_runs(["greet"])).values()
    assert {run.redacted for run in [*listed, *page.runs, last]} == {(1, "c")}
    assert len(listed) == len(page.runs) == len(made)


async def test_most_runs_hide_nothing(ledger: Ledger) -> None:
    (queued,) = await ledger.queue.enqueue([NewWork(new_run(args=["a"]), [""])])
    assert (await ledger.find_run(queued.id)).redacted == ()
    assert (await ledger.create(new_run())).redacted == ()
