"""Tenants with schemas or databases of their own: the same row's number, the same statement, different tenants."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import InvalidRequestError

from pinstripe.background_job import BackgroundJob
from pinstripe.errors import DatabaseUnavailable, IsolationError
from tests.shop import open_shop

if TYPE_CHECKING:
    from pinstripe.database.service import Database
    from tests.conftest import ProjectFolder
    from tests.database.cases.separate import Separate

pytestmark = pytest.mark.anyio

THREE = ("acme", "globex", "initech")


async def test_the_same_primary_key_in_two_of_them_is_two_rows(separate: Separate) -> None:
    for tenant in THREE:
        separate.make(tenant)
    async with separate.workspace("acme") as acme, separate.workspace("globex") as globex:
        ours: Any = await acme.session.get(separate.note, 1)
        theirs: Any = await globex.session.get(separate.note, 1)
        assert (ours is not theirs, ours.body, theirs.body) == (True, "acme-note", "globex-note")
        with pytest.raises((IsolationError, InvalidRequestError)):
            globex.session.add(ours)
        await globex.session.rollback()
        ours.body = "acme-changed"
        await acme.session.commit()
        assert [note.body for note in await globex.notes.all()] == ["globex-note"]
        assert [note.body for note in await acme.notes.all()] == ["acme-changed"]


async def test_no_statement_is_sent_to_another_tenants(separate: Separate) -> None:
    for tenant in THREE:
        separate.make(tenant)
    async with separate.workspace("acme") as acme, separate.workspace("globex") as globex:
        await globex.notes.first()
        other = globex.session.sync_session.means.binding.engine.sync_engine
        with pytest.raises(IsolationError):
            await acme.session.execute(
                select(separate.note), execution_options={"schema_translate_map": {"tenant": "globex"}}
            )
        with pytest.raises(IsolationError):
            await acme.session.execute(select(separate.note), bind_arguments={"bind": other})
        await acme.session.rollback()
        if separate.kind == "schemas":
            with pytest.raises(IsolationError):
                await acme.session.execute(text("select body from globex.notes"))
            await acme.session.rollback()
        assert [note.body for note in await acme.notes.all()] == ["acme-note"]


async def test_the_same_statement_in_turn_for_tenants_that_share_connections(separate: Separate) -> None:
    for tenant in THREE:
        separate.make(tenant)
    statement = select(separate.note)
    for number in range(60):  # a statement that asyncpg has prepared for one schema is another one's in the next
        tenant = THREE[number % 3]
        async with separate.workspace(tenant) as database:
            assert [note.body for note in await database.notes.all()] == [f"{tenant}-note"]
            assert [note.body for note in await database.session.scalars(statement)] == [f"{tenant}-note"]
            async with database.transaction():
                assert await database.notes.where(id=1).update(body=f"{tenant}-note") == 1


async def test_more_tenants_at_once_than_may_be_open(separate: Separate) -> None:
    tenants = [f"tenant{number}" for number in range(6)]
    for tenant in tenants:
        separate.make(tenant)

    async def work(tenant: str) -> None:
        async with separate.workspace(tenant) as database:
            async with database.transaction():
                await database.notes.where(id=1).update(body=f"{tenant}-changed")
                await asyncio.sleep(0)
            assert [note.body for note in await database.notes.all()] == [f"{tenant}-changed"]

    await asyncio.gather(*(work(tenant) for tenant in tenants * 3))


async def test_an_unknown_tenant_has_nothing_and_nothing_is_made_for_it(separate: Separate) -> None:
    separate.make("acme")
    before = sorted(separate.folder.rglob("*"))
    async with separate.workspace("acmee") as database:
        for work in (database.notes.all, database.notes.count, lambda: database.notes.insert(id=2, body="lost")):
            with pytest.raises(DatabaseUnavailable, match="never by pinstripe"):
                await work()
        with pytest.raises(DatabaseUnavailable, match="never by pinstripe"):
            await database.session.execute(select(separate.note))
    assert sorted(separate.folder.rglob("*")) == before


class Changes(BackgroundJob):
    multi_tenant = True
    database: Database

    async def run(self) -> Any:
        await self.database.notes.where(id=1).update(body=f"{self.tenant.id}-changed")
        return [note.body for note in await self.database.notes.all()]


async def test_jobs_for_tenants_of_which_one_has_none(separate: Separate, project_folder: ProjectFolder) -> None:
    folder = project_folder.path if separate.kind == "databases" else separate.folder
    made = type(separate)(separate.kind, folder, separate.access, separate.postgres, separate.database)
    for tenant in THREE:
        made.make(tenant)
    async with open_shop(project_folder, [*THREE, "none"], settings=made.settings()) as shop:
        run = await shop.run(Changes)
        assert await shop.statuses(run, *THREE, "none") == ["succeeded"] * 3 + ["failed"]
        assert "never by pinstripe" in str((await shop.execution(run, "none")).error)
        for tenant in THREE:
            assert (await shop.execution(run, tenant)).result == [f"{tenant}-changed"]


@pytest.mark.parametrize("separate", ["schemas"], indirect=True)
async def test_nobodys_schema_is_said_to_be_none(separate: Separate) -> None:
    """Beyond its tenant a workspace has no schema; where one is named, all are reached."""
    separate.make("acme")
    async with separate.access.unscoped(None, "to see that there is none", "a test") as database:
        with pytest.raises(IsolationError, match=r"'notes' is in a schema of each tenant's own.*as acme\.notes"):
            await database.notes.all()
        assert await database.session.scalar(text("select body from acme.notes")) == "acme-note"
