"""The database gone in the middle, and back: a clear error, nothing half written, and the next operation works."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest

from pinstripe.background_job import BackgroundJob
from pinstripe.database import sqlite
from pinstripe.errors import DatabaseUnavailable, PinstripeError
from tests.database.cases.applications import Application, Place, application_at, engine_of, lose, make_place
from tests.shop import Begun, open_shop

if TYPE_CHECKING:
    from pathlib import Path

    from pinstripe.database.service import Database
    from tests.conftest import ProjectFolder
    from tests.postgres import Postgres

pytestmark = pytest.mark.anyio

OLD = ["acme-0", "acme-1", "acme-2"]

on_postgresql = pytest.mark.parametrize("place", ["postgresql", "guarded"], indirect=True)
on_sqlite = pytest.mark.parametrize("place", ["sqlite"], indirect=True)


def break_connections(place: Place) -> None:
    assert place.postgres is not None
    place.postgres.terminate_backends(place.database)


async def write_across(database: Database, place: Place) -> None:
    async with database.transaction():
        await database.users.insert(name="acme-lost")
        break_connections(place)
        await database.users.insert(name="acme-lost too")


@on_postgresql
async def test_connections_broken_in_a_transaction(application: Application) -> None:
    async with application.workspace("acme") as database:
        for _ in range(3):
            with pytest.raises(DatabaseUnavailable, match="what was not committed is undone"):
                await write_across(database, application.place)
            assert [user.name for user in await database.users.order_by("name").all()] == OLD
    assert application.place.names("acme") == OLD


@on_postgresql
async def test_connections_broken_in_a_savepoint_take_the_whole_transaction(application: Application) -> None:
    async def nested(database: Database) -> None:
        async with database.transaction():
            await database.users.insert(name="acme-lost before")
            with pytest.raises(DatabaseUnavailable):
                await write_across(database, application.place)
            with pytest.raises(PinstripeError, match="has failed"):
                await database.users.insert(name="acme-lost after")

    async with application.workspace("acme") as database:
        with pytest.raises(PinstripeError, match="has failed"):
            await nested(database)
        assert await database.users.count() == 3
    assert application.place.names("acme") == OLD


@on_postgresql
async def test_connections_broken_before_the_commit(application: Application) -> None:
    async def work(database: Database) -> None:
        async with database.transaction():
            await database.users.insert(name="acme-lost")
            break_connections(application.place)

    async with application.workspace("acme") as database:
        with pytest.raises(DatabaseUnavailable):
            await work(database)
        assert await database.users.count() == 3
    assert application.place.names("acme") == OLD


@on_postgresql
async def test_connections_broken_between_operations(application: Application) -> None:
    async with application.workspace("acme") as database:
        assert await database.users.count() == 3
        break_connections(application.place)
        with suppress(DatabaseUnavailable):  # it was used just now, and nobody has told of its end yet
            await database.users.count()
        await database.users.insert(name="acme-new")
    assert application.place.names("acme") == [*OLD, "acme-new"]


async def test_a_server_that_stops_in_a_transaction_and_starts_again(
    postgres_to_stop: Postgres, tmp_path: Path
) -> None:
    with postgres_to_stop.database() as name:
        place = make_place("guarded", tmp_path, postgres_to_stop, name)
        place.fill()

        async def work(database: Database) -> None:
            async with database.transaction():
                await database.users.insert(name="acme-lost")
                with postgres_to_stop.stopped(), pytest.raises(DatabaseUnavailable):
                    await database.users.count()

        async with application_at(place) as application, application.workspace("acme") as database:
            with pytest.raises(PinstripeError, match="has failed"):
                await work(database)
            assert await database.users.count() == 3
            with postgres_to_stop.stopped(), pytest.raises(DatabaseUnavailable, match=r"lost|is the server running"):
                await database.users.count()
            assert await database.users.insert(name="acme-new") is not None
        async with application_at(place) as application, application.workspace("globex") as database:
            assert {user.tenant_id for user in await database.users.all()} == {"globex"}


@on_sqlite
async def test_a_file_that_is_removed_in_the_middle_is_not_made_again(application: Application) -> None:
    file = application.place.file
    away = file.with_suffix(".away")
    async with application.workspace("acme") as database:
        assert await database.users.count() == 3
        file.rename(away)
        with pytest.raises(DatabaseUnavailable, match=r"found nothing"):
            await database.users.count()
        with pytest.raises(DatabaseUnavailable, match=r"found nothing"):
            await lose(database, AssertionError())
        assert not file.exists()
        away.rename(file)
        assert await database.users.count() == 3


@on_sqlite
async def test_a_file_that_is_replaced_is_read_anew(place: Place, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = make_place("sqlite", tmp_path / "other")
    other.fill(users=1)
    for each in (place, other):
        each.execute("pragma journal_mode = delete")
    async with application_at(place) as application, application.workspace("acme") as database:
        assert await database.users.count() == 3
        other.file.replace(place.file)
        assert await database.users.count() == 1
        await database.users.insert(name="acme-new")
    assert place.names("acme") == ["acme-0", "acme-new"]


@on_sqlite
async def test_a_file_that_another_program_keeps_locked(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT", 0.2)
    async with application_at(place) as application, application.workspace("acme") as database:
        with closing(sqlite3.connect(place.file, isolation_level=None)) as other:
            other.execute("begin immediate")
            with pytest.raises(DatabaseUnavailable, match="another connection kept it locked"):
                await database.users.insert(name="acme-lost")
            with pytest.raises(DatabaseUnavailable, match="another connection kept it locked"):
                await lose(database, AssertionError())
            assert await database.users.count() == 3  # reading goes on
            other.execute("rollback")
        await database.users.insert(name="acme-new")
    assert place.names("acme") == [*OLD, "acme-new"]


class Waits(BackgroundJob):
    multi_tenant = True
    database: Database

    async def run(self) -> int:
        async with self.database.transaction():
            await self.database.users.insert(name=f"{self.tenant.id}-lost")
            self.workspace.progress(0)
            await asyncio.Event().wait()
        return 0


class Counts(BackgroundJob):
    multi_tenant = True
    database: Database

    async def run(self) -> int:
        return await self.database.users.count()


async def test_a_run_that_is_stopped_in_transactions_leaves_nothing(
    place: Place, project_folder: ProjectFolder
) -> None:
    async with open_shop(project_folder, ["acme", "globex"], settings=place.settings(pool_size=2)) as shop:
        watcher = Begun()
        running = asyncio.ensure_future(shop.run(Waits, watcher=watcher, timeout=None, concurrency=1))
        await watcher.begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        database = shop.project.database
        assert database is not None
        assert (await engine_of(database.access)).pool.checkedout() == 0  # type: ignore[attr-defined]
        run = await shop.run(Counts)
        assert [(await shop.execution(run, tenant)).result for tenant in ("acme", "globex")] == [3, 3]
    assert place.names("acme") == OLD
