from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.config import load_settings
from pinstripe.errors import ConfigurationError, DatabaseUnavailable
from pinstripe.opening import open_project
from pinstripe.project_database import ProjectDatabase, database_service, find_tenant_source
from pinstripe.tenants import Tenant
from tests.database.settings import database_settings
from tests.database.shops import make_sqlite

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio


def workspace(**more: Any) -> Any:
    """Give what a project's database asks of a workspace."""
    given = {"tenant": None, "check": lambda: None, "loop": None, "job": None, "run_id": None, **more}
    return SimpleNamespace(**given)


@pytest.mark.parametrize(
    ("settings", "has_tenants", "count"),
    [({}, True, 3), ({}, False, 5), ({"isolation": "none"}, True, 5), ({"isolation": "rows"}, False, 3)],
)
async def test_where_nothing_is_said_a_project_with_tenants_keeps_rows_apart(
    tmp_path: Path, settings: dict[str, str], has_tenants: bool, count: int
) -> None:
    make_sqlite(tmp_path / "app.db")
    given = database_settings(tmp_path, url="sqlite:///app.db", **settings)
    database = ProjectDatabase(given, tmp_path, has_tenants=lambda: has_tenants)
    opened, close = database.open(workspace(tenant=Tenant("acme")))
    assert await opened.users.count() == count
    await close(None)
    await database.close()


async def test_going_beyond_the_tenant_needs_a_reason_in_words_and_says_who_does(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_sqlite(tmp_path / "app.db")
    given = database_settings(tmp_path, url="sqlite:///app.db")
    database = ProjectDatabase(given, tmp_path, has_tenants=lambda: True)
    reason: Any
    for reason in ("", "  ", None):
        with pytest.raises(ConfigurationError, match="expected the reason in words, which is logged"):
            async with database.unscoped(workspace(), reason):
                ...
    one = workspace(job="report", tenant=Tenant("acme"), run_id="r1")
    async with database.unscoped(one, "totals") as opened:
        assert await opened.users.count() == 5
    async with database.unscoped(workspace(), "totals"):
        ...
    assert [record.getMessage() for record in caplog.records] == [
        "job report of tenant acme in run r1 works beyond its tenant: totals",
        "a workspace without a tenant works beyond its tenant: totals",
    ]
    await database.close()


async def test_tenants_come_from_the_table_of_that_name_where_there_is_one(project_folder: ProjectFolder) -> None:
    tenants = "create table tenants (id text primary key); insert into tenants values ('1'), ('2');"
    make_sqlite(project_folder.path / "app.db", tenants)
    project_folder.file("pyproject.toml", "[tool.pinstripe.database]\nurl = 'sqlite:///app.db'\n")
    settings = load_settings(project_folder.path, environment={})
    assert settings.database is not None
    database = ProjectDatabase(settings.database, settings.folder, has_tenants=lambda: True)
    source = find_tenant_source(settings, database)
    assert source is not None
    assert [tenant.id async for tenant in source] == ["1", "2"]
    assert find_tenant_source(settings, None) is None
    await database.close()
    (project_folder.path / "app.db").unlink()
    with pytest.raises(DatabaseUnavailable, match=r"app\.db, found nothing"):
        find_tenant_source(settings, database)


async def test_there_is_a_service_only_where_there_is_a_url(tmp_path: Path) -> None:
    assert database_service(None) == {}
    assert database_service(database_settings(tmp_path, models="app.models")) == {}
    assert [*database_service(database_settings(tmp_path, url="sqlite:///app.db"))] == ["database"]
    assert [*database_service(database_settings(tmp_path, tenant_url="sqlite:///{id}.db"))] == ["database"]


async def test_a_project_gives_its_workspaces_the_database(project_folder: ProjectFolder) -> None:
    make_sqlite(project_folder.path / "app.db")
    project_folder.file("shop.py", "tenants = ['acme', 'globex']\n")
    project_folder.file(
        "pyproject.toml",
        """
        [tool.pinstripe.database]
        url = 'sqlite:///app.db'
        shared_tables = ['plans']
        [tool.pinstripe.tenants]
        source = 'shop:tenants'
        """,
    )
    async with open_project(project_folder.path) as project:
        async with project.workspace(tenant="acme") as one, project.workspace(tenant="globex") as other:
            assert (await one.database.users.count(), await other.database.users.count()) == (3, 2)
            assert one.database is one.database
            async with one.unscoped(reason="to compare") as database:
                assert await database.users.count() == 5
        async with project.workspace(tenant=None) as nobody:
            assert await nobody.database.plans.count() == 2


def test_nothing_of_sqlalchemy_is_imported_before_it_is_used(project_folder: ProjectFolder) -> None:
    make_sqlite(project_folder.path / "app.db")
    project_folder.file("pyproject.toml", "[tool.pinstripe.database]\nurl = 'sqlite:///app.db'\nisolation = 'rows'\n")
    program = (
        "import sys; from pinstripe.config import load_settings; from pinstripe.project import Project;"
        f"p = Project(load_settings({str(project_folder.path)!r})); p.database; p.databases; p.services.known();"
        "sys.exit(any(n.partition('.')[0] in ('sqlalchemy', 'asyncpg', 'aiosqlite') for n in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
