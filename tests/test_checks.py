from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from pinstripe.checks import look

if TYPE_CHECKING:
    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio


async def found(folder: ProjectFolder) -> list[tuple[str, str]]:
    return [(problem.where.removeprefix(f"{folder.path}/"), problem.reason) for problem in await look(folder.path)]


async def test_a_right_project_has_no_problems(project_folder: ProjectFolder) -> None:
    assert await found(project_folder) == []


async def test_settings_that_are_wrong(project_folder: ProjectFolder) -> None:
    project_folder.configure("ledgr = 'x'")
    ((where, reason),) = await found(project_folder)
    assert where.startswith(("pyproject.toml", "settings"))
    assert "ledgr" in reason


async def test_the_application_that_is_served(project_folder: ProjectFolder) -> None:
    project_folder.configure("app = 'web:app'")
    ((where, reason),) = await found(project_folder)
    assert (where, reason.partition(":")[0]) == ("setting app", "web can't be imported")
    project_folder.file("web.py", "async def app(scope, receive, send):\n    ...\n\n\nraise OSError('gone')\n")
    ((where, reason),) = await found(project_folder)
    assert (where, "OSError: gone" in reason) == ("web.py:5", True)
    project_folder.file("web.py", "async def app(scope, receive, send):\n    ...\n")
    assert await found(project_folder) == []


async def test_a_login_of_one_s_own(project_folder: ProjectFolder) -> None:
    project_folder.configure("server.access = 'login:who'")
    ((where, reason),) = await found(project_folder)
    assert (where, reason.partition(":")[0]) == ("setting server.access", "login can't be imported")
    project_folder.file("login.py", "async def how(request):\n    ...\n\n\nraise OSError('gone')\n")
    ((where, reason),) = await found(project_folder)
    assert (where, "OSError: gone" in reason) == ("login.py:5", True)
    project_folder.file("login.py", "async def how(request):\n    ...\n")
    ((where, reason),) = await found(project_folder)
    assert (where, reason) == ("setting server.access", "login has no attribute 'who'; the nearest is how")


async def test_a_setup_that_fails(project_folder: ProjectFolder) -> None:
    project_folder.configure("setup = 'boot:setup'")
    project_folder.file("boot.py", "def setup():\n    raise OSError('gone')\n")
    ((_, reason),) = await found(project_folder)
    assert "boot:setup raised OSError: gone" in reason


async def test_jobs_services_and_misspelled_attributes(project_folder: ProjectFolder) -> None:
    project_folder.job(
        "late",
        "from pinstripe import BackgroundJob\nclass Late(BackgroundJob):\n    schedule = '61 * * * *'\n"
        "    async def run(self): ...\n",
    )
    project_folder.job(
        "odd",
        "from pinstripe import BackgroundJob\nclass Odd(BackgroundJob):\n    mult_tenant = True\n"
        "    async def run(self): ...\n",
    )
    project_folder.service("one", "def one(two): ...\n")
    project_folder.service("two", "def two(one): ...\n")
    problems = await found(project_folder)
    assert {where.partition(":")[0] for where, _ in problems} == {
        "lib/services/two.py",
        "lib/services/one.py",
        "lib/background_jobs/late.py",
        "lib/background_jobs/odd.py",
    }
    assert any("did you mean multi_tenant?" in reason for _, reason in problems)


async def test_a_tenant_source_that_fails(project_folder: ProjectFolder) -> None:
    project_folder.configure("tenants.source = 'shop:tenants'")
    ((_, reason),) = await found(project_folder)
    assert "shop" in reason
    project_folder.file("shop.py", "def tenants():\n    raise OSError('gone')\n    yield\n")
    ((where, reason),) = await found(project_folder)
    assert where == "setting tenants.source"
    assert "OSError: gone" in reason


async def test_a_source_without_tenants_is_no_problem(project_folder: ProjectFolder) -> None:
    project_folder.configure("tenants.source = 'shop:tenants'")
    project_folder.file("shop.py", "tenants = []\n")
    project_folder.job(
        "pro",
        """
        from pinstripe import BackgroundJob
        class Pro(BackgroundJob):
            multi_tenant = True
            async def run(self): ...
        """,
    )
    assert await found(project_folder) == []


async def test_a_filter_that_fails_and_tenants_that_are_missing(project_folder: ProjectFolder) -> None:
    project_folder.job(
        "pro",
        """
        from pinstripe import BackgroundJob
        class Pro(BackgroundJob):
            multi_tenant = True
            @staticmethod
            def tenants_filter(tenants):
                return tenants.where(plan="pro")
            async def run(self): ...
        """,
    )
    ((where, reason),) = await found(project_folder)
    assert where == "lib/background_jobs/pro.py"
    assert "[tool.pinstripe.tenants]" in reason
    project_folder.configure("tenants.source = 'shop:tenants'")
    project_folder.file("shop.py", "tenants = [{'id': 'acme'}]")
    ((where, reason),) = await found(project_folder)
    assert where == "lib/background_jobs/pro.py"
    assert "plan" in reason


async def test_a_ledger_that_cannot_be_used(project_folder: ProjectFolder) -> None:
    project_folder.job("broken", "class Broken(:\n")
    project_folder.file(".pinstripe/ledger.db", "this is no database" * 1_000)
    ledger, job = await found(project_folder)
    assert ledger[0] == "ledger"
    assert job[0] == "lib/background_jobs/broken.py:1"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
async def test_a_ledger_that_cannot_be_written(project_folder: ProjectFolder) -> None:
    project_folder.path.chmod(0o500)
    try:
        ((where, reason),) = await found(project_folder)
    finally:
        project_folder.path.chmod(0o700)
    assert where == "ledger"
    assert "can't be written" in reason


async def test_jobs_that_git_ignores(project_folder: ProjectFolder) -> None:
    project_folder.file(".gitignore", "lib/\n")
    subprocess.run(["git", "init", "--quiet"], cwd=project_folder.path, check=True)  # noqa: ASYNC221 - a test may wait
    ((where, reason),) = await found(project_folder)
    assert where == "lib/background_jobs"
    assert "git ignores it by .gitignore:1:lib/" in reason
