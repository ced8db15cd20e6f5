from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import ForeignKeyConstraint, insert
from sqlalchemy.exc import IntegrityError

from pinstripe.errors import IsolationError, TenantRequired, WorkspaceClosed
from tests.examples.conftest import rows

if TYPE_CHECKING:
    from pathlib import Path

    from newsletter.mail import Mailer
    from pinstripe import Project

pytestmark = pytest.mark.anyio

OF_TENANTS = ("articles", "deliveries", "issues", "sessions", "users")


def ids(database_file: Path) -> list[str]:
    return [tenant for (tenant,) in rows(database_file, "select id from tenants order by id")]


def test_every_table_of_tenants_is_kept_to_them_by_the_database_itself() -> None:
    from newsletter.models import Base

    tables = {table.name: table for table in Base.metadata.tables.values()}
    assert {name for name, table in tables.items() if "tenant_id" in table.columns} == set(OF_TENANTS)
    for table in (tables[name] for name in OF_TENANTS):
        tenant = table.columns["tenant_id"]
        assert (tenant.nullable, tenant.default, tenant.server_default) == (False, None, None)
        for constraint in table.constraints:
            if isinstance(constraint, ForeignKeyConstraint) and constraint.referred_table.name in OF_TENANTS:
                [first, _] = constraint.elements
                assert (first.parent.name, first.column.name) == ("tenant_id", "tenant_id")


@pytest.mark.parametrize("table", ["articles", "deliveries", "sessions"])
def test_the_database_takes_nothing_that_belongs_to_another_tenants_row(database_file: Path, table: str) -> None:
    from newsletter import models
    from newsletter.database import open_database
    from tests.examples.conftest import NOW

    first, second = ids(database_file)[:2]
    [(theirs,)] = rows(database_file, "select min(id) from users where tenant_id = ?", second)
    [(issue,)] = rows(database_file, "select min(id) from issues where tenant_id = ?", second)
    model, values = {
        "articles": (models.Article, {"issue_id": issue, "headline": "", "body": ""}),
        "deliveries": (models.Delivery, {"issue_id": issue, "user_id": theirs, "sent_at": NOW}),
        "sessions": (models.Session, {"user_id": theirs, "last_accessed_at": NOW}),
    }[table]
    engine = open_database(database_file, "rw")

    with engine.connect() as connection:
        connection.execute(insert(model), {"tenant_id": second, **values})
        with pytest.raises(IntegrityError, match="FOREIGN KEY"):
            connection.execute(insert(model), {"tenant_id": first, **values})


async def test_every_tenant_sees_its_own_rows_and_together_they_are_all(project: Project, database_file: Path) -> None:
    seen: list[int] = []
    for tenant in ids(database_file):
        async with project.workspace(tenant=tenant) as workspace:
            users = await workspace.database.users.all()
            assert {user.email.replace("(at)", "@").partition("@")[2] for user in users} == {f"{tenant}.example"}
            seen += [user.id for user in users]

    assert len(seen) == len(set(seen)) == 60


async def test_another_tenants_rows_can_be_neither_read_nor_changed(project: Project, database_file: Path) -> None:
    first, second = ids(database_file)[:2]
    [(theirs, name)] = rows(database_file, "select id, name from users where tenant_id = ? limit 1", second)
    async with project.workspace(tenant=first) as workspace:
        users = workspace.database.users
        assert await users.where(id=theirs).all() == []
        assert await users.where(id=theirs).update(name="changed") == 0
        assert await users.where(id=theirs).delete() == 0
        with pytest.raises(IsolationError, match="tenant_id"):
            await users.update(tenant_id=second)

    assert rows(database_file, "select name from users where id = ?", theirs) == [(name,)]


async def test_without_a_tenant_only_shared_tables_are_reached(project: Project) -> None:
    async with project.workspace(tenant=None) as workspace:
        assert await workspace.database.tenants.count() == 6
        assert {plan.name for plan in await workspace.database.plans.all()} == {"free", "pro", "business"}
        for table in OF_TENANTS:
            with pytest.raises(TenantRequired, match=f"table '{table}' belongs to tenants"):
                await workspace.database[table].count()


async def test_rows_kept_past_the_workspace_cannot_reach_the_database(project: Project, mailer: Mailer) -> None:
    async with project.workspace(tenant="harbour-books") as workspace:
        user: Any = await workspace.database.users.first()

    with pytest.raises(WorkspaceClosed, match="read it again"):
        await user.send_newsletter(mailer)
    assert mailer.sent == 0


async def test_times_are_aware_and_text_in_the_database(project: Project, database_file: Path) -> None:
    from newsletter import moments

    async with project.workspace(tenant="harbour-books") as workspace:
        user: Any = await workspace.database.users.first()
        same = workspace.database.users.where(joined_at=user.joined_at)
        assert user in await same.all()

    [(text,)] = rows(database_file, "select joined_at from users where id = ?", user.id)
    assert text == moments.written(user.joined_at)
    assert user.joined_at.utcoffset() is not None


async def test_the_tenants_are_those_of_the_table(project: Project, database_file: Path) -> None:
    assert project.tenants is not None
    tenants = [tenant async for tenant in project.tenants]

    assert [tenant.id for tenant in tenants] == ids(database_file)
    assert [tenant.active for tenant in tenants].count(False) == 1
    assert all(tenant.owner_email == f"owner@{tenant.id}.example" for tenant in tenants)
