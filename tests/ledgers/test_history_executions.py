"""Pages of a run's executions, on every ledger: by tenant, by status, and by what is in an id."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pinstripe.errors import UnknownRun
from pinstripe.history import MAX_ERROR
from pinstripe.run import ExecutionStatus
from tests.ledgers.moves import CANCELLED, FAILED, SKIPPED, SUCCEEDED, carry_out, ended, select, start

if TYPE_CHECKING:
    from pinstripe.history import History
    from pinstripe.ledger import Ledger
    from tests.ledgers.stores import NewStore

pytestmark = pytest.mark.anyio

QUEUED, RUNNING = ExecutionStatus.QUEUED, ExecutionStatus.RUNNING
HOSTILE = [
    "100%",
    "100 percent",
    "a_b",
    "a-b",
    "back\\slash",
    "it's",
    '"quoted"',
    "<script>",
    "Ünïcode",
    "ÜNÏCODE 2",
    "☃",
]


async def read_all(
    history: History, run: str, status: ExecutionStatus | None, search: str | None, limit: int
) -> list[tuple[str | None, ExecutionStatus]]:
    """Read page after page; each has no more than was asked for."""
    found: list[tuple[str | None, ExecutionStatus]] = []
    after = None
    while True:
        page = await history.executions(run, status=status, search=search, after=after, limit=limit)
        assert len(page.executions) <= limit
        found += [(each.tenant, each.status) for each in page.executions]
        if page.next is None:
            return found
        assert after is None or page.next > after
        after = page.next


async def test_a_run_that_there_is_not(ledger: Ledger) -> None:
    with pytest.raises(UnknownRun):
        await ledger.history.executions("0199aaaa-0000-7000-8000-00000000abcd")
    with pytest.raises(UnknownRun):
        await ledger.history.executions_of("0199aaaa-0000-7000-8000-00000000abcd", ["acme"])


async def test_a_page_is_without_what_may_be_long(ledger: Ledger) -> None:
    run = await select(ledger, ["acme"])
    claimed = await start(ledger, run.id, "acme")
    long = "é" * (MAX_ERROR + 1)
    settled = ended(claimed["acme"], FAILED, error=long, traceback=long, log=long)
    await ledger.turn(run.id, [settled], [])
    (found,) = (await ledger.history.executions(run.id)).executions
    assert (found.run, found.job, found.tenant, found.attempts) == (run.id, "greet", "acme", 1)
    assert (found.error, found.traceback, found.result, found.log) == (long[:MAX_ERROR], None, None, None)
    assert found.started_at is not None
    assert found.finished_at is not None
    assert await ledger.history.executions_of(run.id, ["acme"]) == [found]
    assert (await ledger.history.executions_of_tenant("acme")).executions == [found]


async def test_a_job_without_tenants_has_one_execution(ledger: Ledger) -> None:
    run = await select(ledger, [""])
    page = await ledger.history.executions(run.id, limit=1)
    assert ([each.tenant for each in page.executions], page.next) == ([None], None)
    assert [each.tenant for each in await ledger.history.executions_of(run.id, [""])] == [None]
    assert (await ledger.history.executions_of_tenant("")).executions == []


async def test_executions_for_some_tenants(ledger: Ledger) -> None:
    run = await select(ledger, HOSTILE)
    found = await ledger.history.executions_of(run.id, [*HOSTILE[:5], *HOSTILE[:2], "nobody"])
    assert [each.tenant for each in found] == sorted(HOSTILE[:5])
    assert await ledger.history.executions_of(run.id, []) == []


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("100%", ["100%"]),
        ("100", ["100 percent", "100%"]),
        ("A_B", ["a_b"]),
        ("A-b", ["a-b"]),
        ("_", ["a_b"]),
        ("%", ["100%"]),
        ("\\", ["back\\slash"]),
        ("'", ["it's"]),
        ('"', ['"quoted"']),
        ("<SCRIPT", ["<script>"]),
        ("üNÏ", ["ÜNÏCODE 2", "Ünïcode"]),
        ("☃", ["☃"]),
        ("", sorted(HOSTILE)),
        ("nobody", []),
        ("\0", []),
    ],
)
async def test_a_search_is_for_just_that_in_an_id(ledger: Ledger, search: str, expected: list[str]) -> None:
    run = await select(ledger, HOSTILE)
    found = await read_all(ledger.history, run.id, None, search, 3)
    assert [tenant for tenant, _ in found] == expected


@pytest.fixture(params=[2, 1_000], ids=["few looked at", "all looked at"])
def looked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Let a page look at few, so that most pages are short, or at all."""
    many: int = request.param
    for ledger in ("sqlite", "postgres"):
        monkeypatch.setattr(f"pinstripe.ledgers.{ledger}.execution_pages.LOOKED", many)
    return many


states = st.sampled_from(ExecutionStatus)
text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=3)
tenants = st.sampled_from(HOSTILE) | text
searches = st.none() | st.sampled_from(["%", "_", "a", "B", "\\", "Ü", "1"]) | text


@given(data=st.data())
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.usefixtures("looked")
async def test_pages_give_what_is_asked_for_once(new_store: NewStore, data: st.DataObject) -> None:
    store = new_store()
    store.prepare()
    ledger = store.ledger()
    await ledger.open()
    wanted = data.draw(st.dictionaries(tenants, states, max_size=12))
    run = await select(ledger, wanted)
    final = {tenant: state for tenant, state in wanted.items() if state not in {QUEUED, RUNNING}}
    await carry_out(ledger, run.id, final)
    await start(ledger, run.id, *(tenant for tenant, state in wanted.items() if state is RUNNING))
    kept = sorted(wanted.items())
    for status in (None, *ExecutionStatus):
        search = data.draw(searches)
        limit = data.draw(st.integers(1, 4))
        expected = [
            (tenant, state)
            for tenant, state in kept
            if status in {None, state} and (search or "").lower() in tenant.lower()
        ]
        assert await read_all(ledger.history, run.id, status, search, limit) == expected
    assert {SUCCEEDED, FAILED, CANCELLED, SKIPPED, QUEUED, RUNNING} == {*ExecutionStatus}
    await store.close()
