from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pinstripe.background_job import BackgroundJob
from pinstripe.definition import BrokenJob, Definition
from pinstripe.errors import InvalidJob, UnknownJob
from pinstripe.registry import Registry
from pinstripe.services import Services

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import ProjectFolder

JOB = """
    from pinstripe import BackgroundJob

    class Job(BackgroundJob):
        async def run(self): ...
    """


class FromCode(BackgroundJob):
    async def run(self) -> None: ...


@pytest.fixture
def registry(project_folder: ProjectFolder) -> Registry:
    sys.path.insert(0, str(project_folder.path))
    lib = project_folder.path / "lib"
    services = Services(lib / "services", "lib.services")
    return Registry(lib / "background_jobs", package="lib.background_jobs", multi_tenant=False, services=services)


def install(site: Path, entry_points: str) -> None:
    """Install a package that has nothing but entry points, as pip would."""
    info = site / "brings_jobs-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: brings-jobs\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[pinstripe.background_jobs]\n{entry_points}\n", encoding="utf-8")
    sys.path.insert(0, str(site))


@pytest.mark.parametrize("name", ["cleanup_old_data", "Cleanup-OldData", "cleanupOldData", " CleanupOldData "])
def test_every_spelling_is_one_job(registry: Registry, project_folder: ProjectFolder, name: str) -> None:
    path = project_folder.job("cleanup_old_data", JOB)
    definition = registry.find(name)
    assert (definition.name, definition.path) == ("cleanup_old_data", path)
    assert definition.job_class.__module__ == "lib.background_jobs.cleanup_old_data"
    assert registry.find("cleanup_old_data") is definition


def test_only_that_file_is_imported(registry: Registry, project_folder: ProjectFolder) -> None:
    project_folder.job("billing/close_month", JOB)
    project_folder.job("billing/broken", "raise RuntimeError")
    assert registry.names() == ["billing/broken", "billing/close_month"]
    assert registry.find("billing/close-month").name == "billing/close_month"
    assert "lib.background_jobs.billing.broken" not in sys.modules


def test_an_unknown_name(registry: Registry, project_folder: ProjectFolder) -> None:
    with pytest.raises(
        UnknownJob, match=r"there are none in .*; `pinstripe generate-background-job close_month` makes it"
    ):
        registry.find("close_month")
    project_folder.job("billing/close_month", JOB)
    with pytest.raises(
        UnknownJob, match=r"there is no background job 'close_mont'; did you mean billing/close_month\?"
    ):
        registry.find("close_mont")
    with pytest.raises(UnknownJob, match="there is no background job 'xyz'; `pinstripe list-background-jobs` shows"):
        registry.find("xyz")
    with pytest.raises(UnknownJob, match="expected a job name such as"):
        registry.find("../..")


@pytest.mark.parametrize("job", [3, str, None, FromCode()])
def test_what_is_neither_name_nor_class(registry: Registry, job: object) -> None:
    with pytest.raises(UnknownJob, match="expected a background job's name or its class, got "):
        registry.find(job)  # type: ignore[arg-type]


def test_a_class_is_found_by_its_file(registry: Registry, project_folder: ProjectFolder) -> None:
    project_folder.job("billing/close_month", JOB)
    from lib.background_jobs.billing.close_month import Job  # type: ignore[import-not-found]

    assert registry.find(Job).name == "billing/close_month"
    assert registry.find(Job) is registry.find("billing/close_month")


def test_a_class_of_elsewhere_is_told_how_to_be_registered(registry: Registry) -> None:
    with pytest.raises(UnknownJob, match=r"register it with project\.registry\.add\('from_code', FromCode\)"):
        registry.find(FromCode)


def test_a_class_that_is_not_the_one_of_its_file(registry: Registry, project_folder: ProjectFolder) -> None:
    project_folder.job("x", JOB.rstrip() + "\n\n    class Parent(BackgroundJob):\n        abstract = True\n")
    from lib.background_jobs.x import Parent  # type: ignore[import-not-found]

    with pytest.raises(UnknownJob, match=r"the class lib\.background_jobs\.x\.Parent is no job of this project"):
        registry.find(Parent)


# Registered by code


def test_added(registry: Registry) -> None:
    definition = registry.add("From-Code", FromCode)
    assert (definition.name, definition.path) == ("from_code", None)
    assert registry.find(FromCode) is registry.find("fromCode") is definition
    assert registry.names() == ["from_code"]
    assert registry.load_all() == [definition]
    assert registry.add("from_code", FromCode).job_class is FromCode


def test_a_name_that_is_taken(registry: Registry, project_folder: ProjectFolder) -> None:
    class Other(BackgroundJob):
        async def run(self) -> None: ...

    project_folder.job("x", JOB)
    registry.add("from_code", FromCode)
    for name in ("x", "from_code"):
        with pytest.raises(
            InvalidJob, match=f"there already is a background job '{name}'; add Other under another name"
        ):
            registry.add(name, Other)
    assert registry.find("from_code").job_class is FromCode


def test_what_is_added_keeps_the_rules(registry: Registry) -> None:
    class Wrong(BackgroundJob):
        timeout = "5s"

        def run(self) -> None: ...

    with pytest.raises(InvalidJob, match=r"test_registry\.py.*timeout on a plain def run"):
        registry.add("wrong", Wrong)
    with pytest.raises(InvalidJob, match="expected a job name such as"):
        registry.add("--", FromCode)
    assert registry.names() == []


# Registered by packages


def test_entry_points(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    source = "from pinstripe import BackgroundJob\nclass Job(BackgroundJob):\n    def run(self): ...\nother = 1\n"
    (tmp_path / "site" / "brings_jobs.py").write_text(source, encoding="utf-8")
    install(tmp_path / "site", "its-job = brings_jobs:Job\nno_job = brings_jobs:other\nmissing = brings_jobs:nothing")
    assert registry.names() == ["its_job", "missing", "no_job"]
    definition = registry.find("itsJob")
    assert (definition.name, definition.path) == ("its_job", None)
    assert registry.find(definition.job_class) is definition
    with pytest.raises(
        InvalidJob, match=r"the entry point brings_jobs:other of the group .* is no subclass of BackgroundJob"
    ):
        registry.find("no_job")
    with pytest.raises(InvalidJob, match=r"the entry point brings_jobs:nothing .* can't be loaded: AttributeError"):
        registry.find("missing")
    assert [type(each) for each in registry.load_all()] == [Definition, BrokenJob, BrokenJob]


def test_a_class_is_found_by_its_entry_point(registry: Registry, tmp_path: Path) -> None:
    install(tmp_path / "site", f"its_job = {__name__}:FromCode")
    assert registry.find(FromCode).name == "its_job"


def test_two_packages_with_one_name(registry: Registry, tmp_path: Path) -> None:
    install(tmp_path / "site", "x = one:Job\nX = two:Job")
    with pytest.raises(InvalidJob, match="several installed packages bring the job 'x': one:Job and two:Job"):
        registry.find("x")


def test_a_file_goes_before_a_package(registry: Registry, project_folder: ProjectFolder, tmp_path: Path) -> None:
    install(tmp_path / "site", "x = nowhere:Job")
    path = project_folder.job("x", JOB)
    assert registry.find("x").path == path
    assert [each.path for each in registry.load_all()] == [path]


# Broken ones


def test_a_broken_file_breaks_only_itself(registry: Registry, project_folder: ProjectFolder) -> None:
    syntax = project_folder.job("a_syntax", "def (")
    imports = project_folder.job("b_import", "\nimport os\nimport not_installed")
    one, two = project_folder.job("c_twice", JOB), project_folder.job("cTwice", JOB)
    dashed = project_folder.job("d-dashed", JOB)
    project_folder.job("e_fine", JOB)
    loaded = registry.load_all()
    assert [each.name for each in loaded] == ["a_syntax", "b_import", "c_twice", "d_dashed", "e_fine"]
    broken = [(each.path, each.line) for each in loaded if isinstance(each, BrokenJob)]
    assert broken == [(syntax, 1), (imports, 2), (two, None), (dashed, None)]
    assert isinstance(loaded[2], BrokenJob)
    assert str(one) in loaded[2].reason
    assert isinstance(loaded[4], Definition)
    with pytest.raises(InvalidJob, match="are both the job 'c_twice'"):
        registry.find("c_twice")


def test_a_mended_file_is_found(registry: Registry, project_folder: ProjectFolder) -> None:
    project_folder.job("x", JOB.replace("async def run", "async def walk"))
    for _ in range(2):
        with pytest.raises(InvalidJob, match="has no run method"):
            registry.find("x")
    project_folder.job("x", JOB)
    assert registry.find("x").name == "x"


def test_a_service_that_cannot_be_used_is_told_before_anything_runs(
    registry: Registry, project_folder: ProjectFolder
) -> None:
    job = project_folder.job("x", JOB.replace("async def run", "mailer: object\n        async def run"))
    with pytest.raises(InvalidJob, match="declares the service 'mailer', which doesn't exist"):
        registry.find("x")
    service = project_folder.service("mailer", "def mailer(mailer): ...")
    with pytest.raises(InvalidJob) as caught:
        registry.find("x")
    assert (caught.value.path, caught.value.line) == (job, 3)
    assert caught.value.reason == (
        f"needs a service that can't be used: {service}, line 1: the service waits on itself: mailer -> mailer; "
        "take one of these parameters away"
    )


def test_the_database_service_is_every_jobs(registry: Registry, project_folder: ProjectFolder) -> None:
    project_folder.service("database", "def database(): ...")
    project_folder.job("x", JOB)
    assert registry.find("x").services == ("database",)


def test_finding_a_job_stays_cheap(project_folder: ProjectFolder) -> None:
    """Import nothing that a cold run of a job without arguments doesn't need."""
    project_folder.job("x", JOB)
    source = f"""if True:
        import sys
        from pathlib import Path
        sys.path.insert(0, {str(project_folder.path)!r})
        from pinstripe.arguments import bind
        from pinstripe.registry import Registry
        from pinstripe.services import Services
        services = Services(Path("none"), "lib.services")
        folder = Path({str(project_folder.path)!r}, "lib", "background_jobs")
        registry = Registry(folder, package="lib.background_jobs", multi_tenant=False, services=services)
        assert bind(registry.find("x"), (), {{}}) == ((), {{}})
        costly = {{"pydantic", "pydantic_core", "importlib.metadata", "cronsim", "difflib", "asyncio"}}
        print(sorted(costly & {{*sys.modules}}))
        """
    result = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"
