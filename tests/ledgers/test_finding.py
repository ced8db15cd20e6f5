"""How every ledger finds runs again: by their ids, by what is asked, and with what they were selected by."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from pinstripe.errors import UnknownRun
from pinstripe.ledger import RunFilter
from pinstripe.run import RunStatus
from tests.ledgers.moves import FAILED, SELECTION, SUCCEEDED, carry_out, new_run, select

if TYPE_CHECKING:
    from pinstripe.ledger import Ledger
    from tests.ledgers.conftest import HandClock

pytestmark = pytest.mark.anyio


async def test_a_run_is_found_by_its_id_or_the_end_of_it(ledger: Ledger) -> None:
    ids = [f"0199aaaa-0000-7000-8000-00000000{end}" for end in ("abcd", "1bcd", "ffff")]
    for id_ in ids:
        await ledger.create(new_run(id=id_))
    for reference in (ids[0], "abcd", " ABCD ", "0000abcd", "-00000000abcd", ids[0].upper(), ids[0][1:]):
        assert (await ledger.find_run(reference)).id == ids[0]
    assert (await ledger.find_run("f")).id == ids[2]


async def test_an_end_that_several_runs_have_names_two_of_them(ledger: Ledger) -> None:
    ids = [f"0199aaaa-0000-7000-8000-00000000{end}" for end in ("abcd", "1bcd")]
    for id_ in ids:
        await ledger.create(new_run(id=id_))
    with pytest.raises(UnknownRun, match="several runs") as refused:
        await ledger.find_run("bcd")
    assert all(id_ in str(refused.value) for id_ in ids)


@pytest.mark.parametrize(
    "reference", ["", " ", "fast", "lastly", "%", "a_b", "'", "0" * 36, "f" * 37, "cafe", "🦓", "\0"]
)
async def test_what_names_no_run_is_refused(ledger: Ledger, reference: str) -> None:
    await ledger.create(new_run(id="0199aaaa-0000-7000-8000-000000000001"))
    with pytest.raises(UnknownRun):
        await ledger.find_run(reference)


async def test_last_is_the_newest_that_no_job_started(ledger: Ledger) -> None:
    with pytest.raises(UnknownRun):
        await ledger.find_run("last")
    await ledger.create(new_run("older"))
    newest = await ledger.create(new_run("newer"))
    nested = await ledger.create(new_run("nested", parent=newest.id))
    assert (await ledger.find_run("last")).id == newest.id
    assert (await ledger.find_run(" LAST ")).id == newest.id
    assert (await ledger.list_runs(RunFilter(limit=1)))[0].id == nested.id


async def test_runs_are_listed_newest_first_by_what_is_asked(ledger: Ledger, clock: HandClock) -> None:
    greet = await select(ledger, ["a", "b"], "greet")
    await carry_out(ledger, greet.id, {"a": SUCCEEDED, "b": FAILED})
    clock.advance(timedelta(days=2))
    since = clock.now()
    clean = await select(ledger, ["b"], "clean_up")
    again = await select(ledger, ["a"], "greet")
    await carry_out(ledger, again.id, {"a": SUCCEEDED})

    async def listed(**asked: object) -> list[str]:
        names = {greet.id: "greet", clean.id: "clean", again.id: "again"}
        return [names[run.id] for run in await ledger.list_runs(RunFilter(**asked))]  # type: ignore[arg-type]

    assert await listed() == ["again", "clean", "greet"]
    assert await listed(limit=2) == ["again", "clean"]
    assert await listed(job="greet") == ["again", "greet"]
    assert await listed(job="greet", limit=1) == ["again"]
    assert await listed(job="gree") == []
    assert await listed(tenant="a") == ["again", "greet"]
    assert await listed(tenant="b") == ["clean", "greet"]
    assert await listed(tenant="A") == []
    assert await listed(status=RunStatus.FAILED) == ["greet"]
    assert await listed(status=RunStatus.QUEUED) == ["clean"]
    assert await listed(status=RunStatus.CANCELLED) == []
    assert await listed(since=since) == ["again", "clean"]
    assert await listed(since=since + 10**15) == []
    assert await listed(job="greet", tenant="b", status=RunStatus.FAILED, since=0) == ["greet"]
    assert await listed(job="greet", tenant="b", since=since) == []
    assert await listed(status=RunStatus.SUCCEEDED, tenant="a", limit=1) == ["again"]


async def test_the_newest_run_of_each_job(ledger: Ledger) -> None:
    await ledger.create(new_run("greet"))
    newest = await ledger.create(new_run("greet"))
    nested = await ledger.create(new_run("clean_up", parent=newest.id))
    found = await ledger.last_runs(["greet", "clean_up", "never"])
    assert {job: run.id for job, run in found.items()} == {"greet": newest.id, "clean_up": nested.id}


async def test_an_execution_that_there_is_not(ledger: Ledger) -> None:
    run = await select(ledger, ["a"])
    assert await ledger.find_execution(run.id, "b") is None
    assert await ledger.find_execution(run.id, None) is None
    with pytest.raises(UnknownRun):
        await ledger.find_execution("no such run", "a")


async def test_what_a_run_was_selected_by(ledger: Ledger) -> None:
    run = await ledger.create(new_run(selection={**SELECTION, "tenants": ["a"]}))
    before = await ledger.selected_by(run.id)
    await ledger.end_selection(run.id)
    after = await ledger.selected_by(run.id)
    assert (before.selection["tenants"], before.complete, after.complete) == (["a"], False, True)
    assert before.origin == run.id
    retry = await ledger.create(new_run(retry_of=run.id, origin=run.id))
    assert (await ledger.selected_by(retry.id)).origin == run.id
    with pytest.raises(UnknownRun):
        await ledger.selected_by("no such run")
