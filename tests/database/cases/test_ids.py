"""Tenants whose ids differ in little, or look like something else: each has its own rows and nobody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from pinstripe.background_job import BackgroundJob
from pinstripe.errors import ConfigurationError, TenantRequired, UnknownTenant
from tests.database.cases.models import User
from tests.shop import open_shop

if TYPE_CHECKING:
    from pinstripe.database.service import Database
    from tests.conftest import ProjectFolder
    from tests.database.cases.applications import Application, Place
    from tests.database.cases.separate import Separate

pytestmark = pytest.mark.anyio

ODD = [
    *(
        "1",
        "01",
        "1.0",
        " 1",
        "1 ",
        "a/b",
        "a%2Fb",
        "a%2fb",
        "a\\b",
        "a",
        "A",
        "a ",
        "a.",
        "..",
        "../a",
        "/a",
        "~",
        ".",
    ),
    *("\u00e9", "e\u0301", "\u0435", "e", "\uff41", "a\u200b", "\u0130", "i", "I", "\u0131", "ß", "ss", "\U0001f600"),
    *("x" * 300, "x" * 299, "' or '1'='1", "'; drop table users; --", '"', "'", "''", "%", "_", "a%", "null", "None"),
    *("true", "0", "-1", "{id}", "{0}", ":name", "$1", "?", "public", "tenant", "pg_catalog", "*", "a\nb", "a\tb"),
]


async def test_odd_ids_have_rows_of_their_own(application: Application) -> None:
    for number, tenant in enumerate(ODD):
        async with application.workspace(tenant) as database:
            assert await database.users.count() == 0, tenant
            await database.users.insert(name=f"odd-{number}")
    for number, tenant in enumerate(ODD):
        async with application.workspace(tenant) as database:
            users = await database.users.all()
            assert [(user.tenant_id, user.name) for user in users] == [(tenant, f"odd-{number}")]
            assert await database.users.update(value=number) == 1
            found = (await database.session.scalars(select(User))).all()
            assert [user.value for user in found] == [number]
            await database.session.rollback()
    assert [name for tenant in ("acme", "globex") for name in application.place.names(tenant)] == [
        f"{tenant}-{number}" for tenant in ("acme", "globex") for number in range(3)
    ]


async def test_odd_ids_have_schemas_and_databases_of_their_own_or_none(separate: Separate) -> None:
    taken: list[str] = []
    for tenant in ODD:
        try:
            separate.make(tenant)
        except ConfigurationError:
            with pytest.raises(ConfigurationError):
                async with separate.workspace(tenant) as database:
                    await database.notes.count()
        else:
            taken.append(tenant)
    assert {"1", "01", "a", "A", "a/b", "e", "\u0435", "'; drop table users; --"} <= {*taken}
    for _ in range(2):
        for tenant in taken:
            async with separate.workspace(tenant) as database:
                assert [note.body for note in await database.notes.all()] == [f"{tenant}-note"]


@pytest.mark.parametrize("tenant", ["acme ", "Acme", "acm\u0435", "acme\u200b", "acme'--", "%", "ac_e", "unknown", ""])
async def test_a_look_alike_or_unknown_id_reads_nothing(application: Application, tenant: str) -> None:
    async with application.workspace(tenant) as database:
        assert await database.users.all() == []
        assert await database.users.count() == 0
        assert await database.users.update(value=9) == 0
        assert await database.users.delete() == 0
        assert [user async for user in database.users] == []
    assert len(application.place.names("acme")) == 3


async def test_without_a_tenant_nothing_of_a_tenant_is_read_or_written(application: Application) -> None:
    async with application.workspace(None) as database:
        users = database.users
        for work in (users.all, users.count, users.exists, users.delete, lambda: users.insert(name="lost")):
            with pytest.raises(TenantRequired):
                await work()
        with pytest.raises(TenantRequired):
            await database.session.execute(select(User))
        await database.session.rollback()
        assert [plan.name for plan in await database.plans.all()] == ["pro"]


class Counts(BackgroundJob):
    multi_tenant = True
    database: Database

    async def run(self) -> str:
        await self.database.users.insert(name=f"of {self.tenant.id!r}")
        return f"{self.tenant.id!r} {await self.database.users.count()}"


async def test_ids_that_differ_only_in_their_type_are_one_tenant(place: Place, project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder, [{"id": 1}, {"id": "1"}, {"id": "01"}], settings=place.settings()) as shop:
        run = await shop.run(Counts)
        assert run.executions.total == 2
        assert (await shop.execution(run, "1")).result == "'1' 1"
        assert (await shop.execution(run, "01")).result == "'01' 1"
        with pytest.raises(UnknownTenant):
            await shop.run(Counts, tenants=["1.0"])
