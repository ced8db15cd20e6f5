"""What every test may ask for: a project folder of its own, an interpreter that forgets it afterwards, a PostgreSQL."""

from __future__ import annotations

import gc
import os
import sys
from dataclasses import dataclass
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis.internal.conjecture import engine

from tests.postgres_server import memory_folder
from tests.thoroughness import examples

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.firing import World
    from tests.pgbouncer import PgBouncer
    from tests.postgres import Postgres

_POSTGRES = os.environ.get("PINSTRIPE_TEST_POSTGRES")  # read here: no test finds it in its environment

for _name in ("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"):
    os.environ.pop(_name, None)  # commands that tests start behave as a user's, whatever the developer's shell has set

# What tests write is synced to its disk with every change of a ledger; in memory that takes no time.
if folder := memory_folder():
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", folder)

# A slow machine is no failure; on a build server the examples are the same each time.
settings.register_profile(
    "steady", max_examples=examples(200), deadline=None, derandomize="CI" in os.environ, print_blob=True
)
settings.load_profile("steady")
engine.MAX_SHRINKING_SECONDS = 45  # not 300: before `faulthandler_timeout` ends the run, and what was found is lost


def pytest_collection() -> None:
    """Let the garbage collector rest while all is loaded and collected, of which next to nothing is garbage."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Let the garbage collector pass by all that was loaded and collected: some tests let it look again and again."""
    gc.enable()
    gc.collect()
    gc.freeze()


@pytest.fixture
def anyio_backend() -> str:
    """Run `async def` tests on asyncio, the loop that Pinstripe is made for."""
    return "asyncio"


@dataclass(frozen=True, slots=True)
class ProjectFolder:
    """A project in a temporary folder. Text may be indented as the test is: it is dedented before it is written."""

    path: Path

    def configure(self, settings: str) -> Path:
        """Write `pyproject.toml`, with `settings` as what follows its `[tool.pinstripe]` line."""
        return self.file("pyproject.toml", "[tool.pinstripe]\n" + dedent(settings))

    def job(self, name: str, source: str) -> Path:
        """Write the job file of `name` (`billing/close_month` is in a folder)."""
        return self.file(f"lib/background_jobs/{name}.py", source)

    def service(self, name: str, source: str) -> Path:
        """Write the service file of `name`."""
        return self.file(f"lib/services/{name}.py", source)

    def file(self, name: str, text: str) -> Path:
        """Write any file of the project, with the folders that it needs."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
        return path


@pytest.fixture
def project_folder(tmp_path: Path) -> ProjectFolder:
    """Give a project with an empty `[tool.pinstripe]` and without jobs."""
    folder = ProjectFolder(tmp_path / "project")
    folder.configure("")
    (folder.path / "lib" / "background_jobs").mkdir(parents=True)
    return folder


@pytest.fixture(autouse=True)
def _forget_projects(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget, after each test, what it imported and put on the path; let no setting of the developer's shell in.

    Each project's jobs are imported by their real names (`lib.background_jobs.…`), so the next test's would be taken
    for this one's.
    """
    for name in [name for name in os.environ if name.startswith("PINSTRIPE_")]:
        monkeypatch.delenv(name)
    path = list(sys.path)
    modules = set(sys.modules)
    yield
    sys.path[:] = path
    for name in [name for name in sys.modules if name not in modules and _home(name) not in {None, *path}]:
        del sys.modules[name]
    sys.path_importer_cache.clear()


def _home(name: str) -> str | None:
    """Give the folder on the path from which a module, or the package that it is in, was imported."""
    module = sys.modules.get(name.partition(".")[0])
    for folder in getattr(module, "__path__", ()):
        return os.path.dirname(str(folder))  # noqa: PTH120 - it is compared with entries of the path, which are text
    file = getattr(module, "__file__", None)
    return os.path.dirname(file) if isinstance(file, str) else None  # noqa: PTH120 - as above


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Give the PostgreSQL of all tests, which starts for the first that asks; `tests.postgres` says what it can do."""
    from tests.postgres import Postgres

    started = Postgres.start(_POSTGRES)
    yield started
    started.close()


@pytest.fixture(scope="session")
def postgres_to_stop(postgres: Postgres) -> Iterator[Postgres]:
    """Give a PostgreSQL that the test may stop: the same, or one of its own where that one is somebody else's."""
    if postgres.own_server:
        yield postgres
        return
    started = type(postgres).start_private()
    yield started
    started.close()


@pytest.fixture(scope="session")
def pgbouncer(postgres: Postgres) -> Iterator[PgBouncer]:
    """Give a PgBouncer in transaction mode before that PostgreSQL; where none is installed, the test is skipped."""
    from tests.pgbouncer import MISSING, PgBouncer, find_program

    if find_program() is None:
        pytest.skip(MISSING)
    started = PgBouncer(postgres)
    yield started
    started.close()


@pytest.fixture
def postgres_database(postgres: Postgres) -> Iterator[str]:
    """Give the name of an empty database, which is dropped after the test, whoever is still connected."""
    with postgres.database() as name:
        yield name


@pytest.fixture
async def world(project_folder: ProjectFolder) -> AsyncIterator[World]:
    """Give a machine whose clock is told, for processes with bots on one ledger."""
    from tests.firing import machine

    async with machine(project_folder) as world:
        yield world
