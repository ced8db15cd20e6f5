"""Row-level security that is off, isn't forced, or doesn't hold for this role: nothing is read before it is mended."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event, select

from pinstripe.background_job import BackgroundJob
from pinstripe.database.policies import TENANT_VARIABLE
from pinstripe.errors import ConfigurationError
from tests.database.cases.applications import TENANTS, Application, Place, application_at, make_place
from tests.database.cases.models import User
from tests.postgres import OWNER
from tests.shop import open_shop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from sqlalchemy import Connection

    from pinstripe.database.service import Database
    from tests.conftest import ProjectFolder
    from tests.postgres import Postgres

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("place", ["guarded"], indirect=True)]

FAULTS = {
    "disabled": "alter table users disable row level security",
    "not forced, and the owner": "alter table users no force row level security; alter table users owner to app",
    "bypassrls": "alter role app bypassrls",
    "superuser": "alter role app superuser",
    "a superuser's view": "create view posts_of_all as select * from posts; grant select on posts_of_all to app",
}
MENDS = {"bypassrls": "alter role app nobypassrls", "superuser": "alter role app nosuperuser"}


async def every_way(database: Database) -> None:
    """See that nothing at all can be done."""
    ways: list[Callable[[], Awaitable[object]]] = [
        database.users.all,
        database.users.count,
        lambda: database.users.insert(name="new"),
        lambda: database.users.where(id=1).update(value=1),
        database.users.delete,
        lambda: database.session.scalars(select(User)),
        lambda: anext(database.users.pages()),
    ]
    for way in ways:
        with pytest.raises(ConfigurationError):
            await way()


@pytest.mark.parametrize("fault", FAULTS)
async def test_nothing_is_read_or_written_where_it_does_not_hold(place: Place, fault: str) -> None:
    place.execute(FAULTS[fault])
    try:
        async with application_at(place) as application, application.workspace("acme") as database:
            await every_way(database)
    finally:
        if fault in MENDS:
            place.execute(MENDS[fault])
    assert len(place.names("acme")) == 3


async def test_what_the_message_says_mends_it_and_no_restart_is_needed(place: Place) -> None:
    place.execute(FAULTS["disabled"])
    async with application_at(place) as application, application.workspace("acme") as database:
        with pytest.raises(ConfigurationError) as caught:
            await database.users.all()
        mend = "\n".join(re.findall(r"^    (.*;)$", str(caught.value), re.MULTILINE))
        assert mend
        place.execute(mend)
        assert {user.tenant_id for user in await database.users.all()} == {"acme"}


class Reads(BackgroundJob):
    multi_tenant = True
    database: Database

    async def run(self) -> int:
        return await self.database.users.count()


async def test_every_multi_tenant_job_is_refused_with_what_mends_it(
    place: Place, project_folder: ProjectFolder
) -> None:
    place.execute(FAULTS["disabled"])
    async with open_shop(project_folder, TENANTS, settings=place.settings()) as shop:
        run = await shop.run(Reads)
        assert await shop.statuses(run, *TENANTS) == ["failed"] * 3
        assert "enable row level security" in str((await shop.execution(run, "acme")).error)


async def test_required_where_there_is_none(postgres: Postgres, tmp_path: Path, place: Place) -> None:
    with postgres.database() as name:
        bare = make_place("postgresql", tmp_path, postgres, name)
        async with application_at(bare, row_security="required") as required, required.workspace("acme") as database:
            await every_way(database)


@pytest.mark.parametrize("value", ["", "acme'", "unknown", "ACME", "acme ", "null"])
async def test_the_database_itself_shows_nothing_for_what_is_no_tenant(place: Place, value: str) -> None:
    assert place.postgres is not None
    connection = await place.postgres.connect(place.database, "app")
    try:
        assert await connection.fetch("select * from users") == []
        async with connection.transaction():
            await connection.execute("select set_config($1, $2, true)", TENANT_VARIABLE, value)
            assert await connection.fetch("select * from users") == []
            assert await connection.fetch("update users set value = 9 returning id") == []
        with pytest.raises(Exception, match="row-level security"):
            await connection.execute("insert into users (tenant_id, name) values ('acme', 'forged')")
        assert await connection.fetch("select * from users") == []
    finally:
        await connection.close()


async def test_it_holds_for_what_escapes_everything_above_it(application: Application) -> None:
    """A statement past all guards, as a listener of the author's own on the engine might make one."""
    found: set[str] = set()

    def listen(connection: Connection, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith("SELECT users"):
            cursor = connection.connection.cursor()
            cursor.execute("select tenant_id from users")
            found.update(tenant for (tenant,) in cursor.fetchall())

    engine = (await application.engine()).sync_engine
    async with application.workspace("acme") as database:
        event.listen(engine, "before_cursor_execute", listen)
        await database.users.all()
        event.remove(engine, "before_cursor_execute", listen)
    assert found == {"acme"}


async def test_the_owner_is_kept_to_the_tenant_too(postgres: Postgres, place: Place) -> None:
    owned = Place(place.kind, postgres.url(place.database, OWNER), place.folder, postgres, place.database)
    async with application_at(owned) as application, application.workspace("acme") as database:
        assert {user.tenant_id for user in await database.users.all()} == {"acme"}
