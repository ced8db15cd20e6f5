"""What is asked for from outside, and what of it is kept in the audit trail: before it is done, and what came of it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.actor import Actor, Door
from pinstripe.errors import InvalidArguments, LedgerError, PinstripeError, UnknownJob, UnknownRun, UnknownTenant
from pinstripe.opening import open_project
from pinstripe.options import Terms
from pinstripe.run import Trigger
from pinstripe.runs import Request
from pinstripe.selection import Selection
from tests.jobs import Alone, Picky
from tests.shop import open_shop

if TYPE_CHECKING:
    from pinstripe.history import AuditEntry
    from pinstripe.project import Project
    from tests.conftest import ProjectFolder
    from tests.shop import Shop

pytestmark = pytest.mark.anyio

ANN = Actor(Door.API, "ann")


@pytest.fixture(autouse=True)
def _good_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Picky, "bad", frozenset())


async def kept(project: Project) -> list[AuditEntry]:
    """Give the audit trail, oldest entry first."""
    return [*reversed((await project.ledger.history.audit()).entries)]


async def last(project: Project) -> dict[str, Any]:
    """Give what the newest entry says, without what says nothing."""
    entry = (await kept(project))[-1]
    assert entry.actor == ANN
    facts = {**entry._asdict(), "action": str(entry.action)}
    return {name: fact for name, fact in facts.items() if fact is not None and name not in {"at", "actor"}}


async def enqueued(shop: Shop, job: Any = Picky, *, actor: Actor | None = None, **asked: Any) -> str:
    request = Request(shop.add(job), trigger=Trigger.API, **asked)
    return (await shop.project.enqueue(request, actor=actor)).id


async def test_what_is_started_is_kept_with_its_run_and_without_its_arguments(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        chosen = Selection(tenants=("acme", "birch"), exclude=("birch",), where=(("plan", "pro"),), force=True)
        id_ = await enqueued(shop, args=("weekly",), selection=chosen, actor=ANN)
        run = await shop.project.ledger.find_run(id_)
        assert (run.trigger, run.args) == (Trigger.API, ("weekly",))
        detail = "for acme, birch, except birch, where plan=pro, forced"
        assert await last(shop.project) == {
            "action": "start",
            "job": "picky",
            "run": id_,
            "detail": detail,
            "outcome": "done",
        }


async def test_what_is_started_for_one_tenant_is_found_by_it(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        await enqueued(shop, selection=Selection(tenants=("acme",)), actor=ANN)
        page = await shop.project.ledger.history.audit(filters={"tenant": "acme"})
        assert [entry.detail for entry in page.entries] == ["for acme"]


async def test_a_key_that_a_run_has_already_is_told(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        request = Request(shop.add(Alone))
        first = await shop.project.enqueue(request, Terms(key="k"), actor=ANN)
        assert await shop.project.enqueue(request, Terms(key="k"), actor=ANN) == first
        assert (await last(shop.project))["outcome"] == "a run has this key already"
        assert (await last(shop.project))["run"] == first.id


async def test_without_an_actor_nothing_is_kept(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        id_ = await enqueued(shop)
        await shop.project.pause("picky", None)
        await shop.project.resume("picky", None)
        await shop.project.cancel(id_)
        assert await shop.project.enqueue_retry(id_) is not None
        assert await kept(shop.project) == []


async def test_what_is_refused_is_kept_in_a_sentence_without_arguments(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        shop.add(Picky)
        with pytest.raises(UnknownJob):
            await shop.project.enqueue(Request("Pickyy"), actor=ANN)
        said = await last(shop.project)
        assert said["outcome"] == "refused: there is no background job 'pickyy'; did you mean picky?"
        assert said["job"] == "pickyy"
        with pytest.raises(InvalidArguments, match="hunter2"):
            await enqueued(shop, kwargs={"secret\nword": "hunter2"}, actor=ANN)
        assert "hunter2" not in str(await kept(shop.project))
        assert (await last(shop.project))["outcome"] == "refused: its arguments or options don't fit"
        with pytest.raises(UnknownTenant):
            await enqueued(shop, selection=Selection(tenants=("nobody\0",)), actor=ANN)
        assert (await last(shop.project))["tenant"] == "nobody\N{REPLACEMENT CHARACTER}"


async def test_an_entry_that_can_not_be_written_refuses_what_was_asked_for(
    project_folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_shop(project_folder) as shop:
        id_ = await enqueued(shop)
        store = shop.project.ledger._store  # type: ignore[attr-defined]  # noqa: SLF001 - what a full disk does to it
        write = store.write

        tried = []

        async def fail(*args: Any, **options: Any) -> Any:
            tried.append(args)
            raise LedgerError("the disk is full")

        monkeypatch.setattr(shop.project.ledger.history._store, "write", fail)  # type: ignore[attr-defined] # noqa: SLF001
        with pytest.raises(LedgerError, match="disk is full"):
            await enqueued(shop, actor=ANN)
        with pytest.raises(LedgerError, match="disk is full"):
            await shop.project.cancel(id_, actor=ANN)
        with pytest.raises(LedgerError, match="disk is full"):
            await shop.project.pause("picky", None, actor=ANN)
        assert len(tried) == 3, "each waits once for the ledger"
        monkeypatch.setattr(store, "write", write)
        assert [run.id for run in await shop.runs()] == [id_]
        assert not (await shop.project.ledger.find_run(id_)).finished
        assert await shop.project.ledger.queue.pauses() == []


async def test_what_was_done_stays_done_where_its_end_can_not_be_written(
    project_folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_shop(project_folder) as shop:
        shop.add(Picky)
        history = shop.project.ledger.history

        async def fail(*args: Any, **options: Any) -> None:
            raise LedgerError("gone away")

        monkeypatch.setattr(history, "end_audit", fail)
        with caplog.at_level(logging.WARNING):
            assert await shop.project.pause("picky", None, actor=ANN)
        assert "the audit trail lacks what came of a pause (done): gone away" in caplog.text
        (entry,) = await kept(shop.project)
        assert entry.outcome is None


async def test_cancelling_tells_before_and_after(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        id_ = await enqueued(shop, Alone)
        cancelled = await shop.project.cancel(id_[-8:], actor=ANN)
        assert (cancelled.before.status, cancelled.after.status, cancelled.again) == ("queued", "cancelled", False)
        assert (await shop.execution(cancelled.after)).error == "cancelled through the API"
        assert await last(shop.project) == {"action": "cancel", "job": "alone", "run": id_, "outcome": "done"}

        again = await shop.project.cancel("last", actor=ANN)
        assert (again.before, again.again) == (again.after, False)
        assert (await last(shop.project))["outcome"] == "finished already"
        with pytest.raises(UnknownRun):
            await shop.project.cancel("ffffffff", actor=ANN)
        said = await last(shop.project)
        assert (said["detail"], said["outcome"][:15]) == ("run ffffffff", "refused: the le")


async def test_pauses_begin_and_end_once(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        project = shop.project
        shop.add(Picky)
        answers = [
            await project.pause("Picky", "acme", actor=ANN),
            await project.pause("picky", "acme", actor=ANN),
            await project.resume("picky", None, actor=ANN),
            await project.resume("picky", "acme", actor=ANN),
        ]
        assert answers == [True, False, False, True]
        entries = await kept(project)
        assert [(str(entry.action), entry.job, entry.tenant, entry.outcome) for entry in entries] == [
            ("pause", "picky", "acme", "done"),
            ("pause", "picky", "acme", "paused already"),
            ("resume", "picky", None, "not paused"),
            ("resume", "picky", "acme", "done"),
        ]
        assert await project.pause(None, None, actor=ANN)
        assert await last(project) == {"action": "pause", "outcome": "done"}


@pytest.mark.parametrize(
    ("job", "tenant", "error"),
    [
        ("nothing", None, UnknownJob),
        ("/", None, UnknownJob),
        (None, "nobody", UnknownTenant),
        (None, "", UnknownTenant),
    ],
)
async def test_what_there_is_not_is_neither_paused_nor_resumed(
    project_folder: ProjectFolder, job: str | None, tenant: str | None, error: type[PinstripeError]
) -> None:
    async with open_shop(project_folder) as shop:
        for ask in (shop.project.pause, shop.project.resume):
            with pytest.raises(error):
                await ask(job, tenant, actor=ANN)
        assert not shop.project.ledger.is_made
        await enqueued(shop)
        with pytest.raises(error):
            await shop.project.pause(job, tenant, actor=ANN)
        assert (await last(shop.project))["outcome"].startswith("refused: ")
        assert await shop.project.ledger.queue.pauses() == []


async def test_a_source_that_fails_keeps_nobody_from_pausing(
    project_folder: ProjectFolder, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_: int) -> None:
        raise OSError("gone away")

    async with open_shop(project_folder) as shop:
        shop.on_reading(fail)
        heard: list[str] = []
        assert await shop.project.pause(None, "acme", warn=heard.append)
        assert heard[0].startswith("whether there is a tenant 'acme' can't be told: ")
        with caplog.at_level(logging.WARNING):
            assert not await shop.project.pause(None, "acme")
        assert "can't be told" in caplog.text


async def test_no_code_of_the_project_is_needed_to_cancel_and_to_pause(project_folder: ProjectFolder) -> None:
    project_folder.job(
        "hello", "from pinstripe import BackgroundJob\nclass Hello(BackgroundJob):\n def run(self): ...\n"
    )
    project_folder.configure("")
    async with open_project(project_folder.path) as project:
        await project.enqueue(Request("hello"))
    project_folder.configure('setup = "nothing.there:setup"')
    project_folder.job("hello", "import nothing_like_that\n")
    async with open_project(project_folder.path) as project:
        assert await project.pause("hello", None, actor=ANN)
        assert (await project.cancel("last", actor=ANN)).after.finished
        assert await project.resume("hello", None, actor=ANN)


async def test_a_closed_project_refuses_all(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        shop.add(Picky)
    for ask in (shop.project.pause("picky", None), shop.project.resume("picky", None), shop.project.cancel("last")):
        with pytest.raises(PinstripeError, match="has been closed"):
            await ask
