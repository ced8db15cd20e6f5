from __future__ import annotations

import sys
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.errors import InvalidJob
from pinstripe.importing import import_file
from pinstripe.loading import RESERVED, define, suspicious_attributes, the_job

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from pinstripe.background_job import BackgroundJob
    from pinstripe.definition import Definition
    from tests.conftest import ProjectFolder

HEAD = "from pinstripe import BackgroundJob, Schedule\n"
"""One line, so that the class is on line 2."""


@pytest.fixture
def found(project_folder: ProjectFolder) -> Callable[[str], tuple[type[BackgroundJob], Path]]:
    """Give the one job of a file with this source."""
    sys.path.insert(0, str(project_folder.path))

    def find(source: str) -> tuple[type[BackgroundJob], Path]:
        path = project_folder.job("the_job", HEAD + dedent(source).lstrip("\n"))
        module = import_file(path, "lib.background_jobs.the_job", InvalidJob)
        return the_job(module, path), path

    return find


@pytest.fixture
def load(found: Callable[[str], tuple[type[BackgroundJob], Path]]) -> Callable[..., Definition]:
    def define_it(source: str, *, multi_tenant: bool = False, services: Collection[str] | None = None) -> Definition:
        job_class, path = found(source)
        return define(
            "the_job",
            job_class,
            path=path,
            multi_tenant=multi_tenant,
            services=services,
            undeclared=[name for name in services or () if name == "database"],
        )

    return define_it


@pytest.fixture
def refused(load: Callable[..., Definition]) -> Callable[..., InvalidJob]:
    def refuse(source: str, **options: Any) -> InvalidJob:
        with pytest.raises(InvalidJob) as caught:
            load(source, **options)
        assert caught.value.path is not None
        assert caught.value.path.name == "the_job.py"
        return caught.value

    return refuse


# The one job of a file


def test_imported_and_abstract_ones_do_not_count(
    load: Callable[..., Definition], project_folder: ProjectFolder
) -> None:
    project_folder.job(
        "_shared", HEAD + "class Shared(BackgroundJob):\n    abstract = True\n    async def run(self): ..."
    )
    definition = load("""
        from abc import ABC, abstractmethod
        from lib.background_jobs._shared import Shared
        class Parent(Shared):
            abstract = True
        class Unfinished(BackgroundJob, ABC):
            @abstractmethod
            async def run(self): ...
        class WithoutRun(BackgroundJob): ...
        class Child(Parent):
            \"\"\"Do it.

            At length.
            \"\"\"
        Alias = Child
        """)
    assert definition.job_class.__name__ == "Child"
    assert definition.summary == "Do it."


def test_none(refused: Callable[..., InvalidJob]) -> None:
    assert refused("a = 1").reason == "defines no background job: expected one class that inherits from BackgroundJob"


def test_none_that_could_run(refused: Callable[..., InvalidJob]) -> None:
    error = refused("class A(BackgroundJob): ...\nclass B(BackgroundJob):\n    abstract = True")
    assert error.line == 2
    assert error.reason == (
        "defines no background job that could run: A (line 2) has no run method, B (line 3) is abstract"
    )


def test_two(refused: Callable[..., InvalidJob]) -> None:
    error = refused("""
        class A(BackgroundJob):
            async def run(self): ...
        class B(A): ...
        """)
    assert error.line == 2
    assert error.reason.startswith("one file is one job, but this one defines A (line 2) and B (line 4); give each")


# What run may be


@pytest.mark.parametrize(
    ("run", "runs_in"),
    [
        ("async def run(self): ...", "loop"),
        ("def run(self): ...", "thread"),
        ("runs_in = 'process'\n    def run(self): ...", "process"),
        ("def run(this, *args): ...", "thread"),
        ("def run(*args): ...", "thread"),
    ],
)
def test_where_it_runs(load: Callable[..., Definition], run: str, runs_in: str) -> None:
    assert load(f"class Job(BackgroundJob):\n    {run}").runs_in == runs_in


def test_a_decorated_async_def_is_one_still(load: Callable[..., Definition]) -> None:
    definition = load("""
        from functools import wraps
        def plain(function):
            @wraps(function)
            def wrapper(*args): return function(*args)
            return wrapper
        class Job(BackgroundJob):
            @plain
            async def run(self, a: int): ...
        """)
    assert definition.runs_in == "loop"
    assert definition.usage == "the_job(a: int)"


def test_usage_shows_what_annotations_name(load: Callable[..., Definition]) -> None:
    definition = load("""
        from datetime import date
        class Job(BackgroundJob):
            async def run(self, day: 'date', *more: 'int | None', segment: str = "all") -> "Nothing": ...
        """)
    assert definition.usage == "the_job(day: datetime.date, *more: int | None, segment: str = 'all')"


@pytest.mark.parametrize(
    ("body", "line", "reason"),
    [
        ("run = 3", 3, "run is an int"),
        ("@staticmethod\n    def run(): ...", 4, "run is a staticmethod"),
        ("@classmethod\n    def run(cls): ...", 4, "run is a classmethod"),
        ("@property\n    def run(self): ...", 4, "run is a property"),
        ("def run(): ...", 3, "run doesn't take self"),
        ("def run(*, self): ...", 3, "run doesn't take self"),
        ("def run(self):\n        yield 1", 3, "run is a generator"),
        ("async def run(self):\n        yield 1", 3, "run is a generator"),
        ("def run(self, a: 'Nowhere'): ...", 3, "an annotation of run can't be resolved: NameError: name 'Nowhere'"),
        ("runs_in = 'moon'\n    def run(self): ...", 3, "runs_in: expected 'process' or None, got 'moon'"),
        ("runs_in = 'process'\n    async def run(self): ...", 3, "runs_in = 'process' is for a plain def run"),
        ("multi_tenant = 1\n    async def run(self): ...", 3, "multi_tenant: expected True, False or None, got 1"),
        ("timeout = 30\n    async def run(self): ...", 3, "timeout: expected a duration such as '30s'"),
        ("timeout = '0s'\n    async def run(self): ...", 3, "timeout: expected more than nothing, got '0s'"),
        ("timeout = '30s'\n    def run(self): ...", 3, "timeout on a plain def run, which runs in a thread"),
        ("schedule = 'x * * * *'\n    async def run(self): ...", 3, "schedule: "),
        ("schedule = 5\n    async def run(self): ...", 3, "schedule: "),
        ("async def run(self): ...\n    def __init__(self, a, b=1): ...", 4, "__init__ requires a, but a job is made"),
        (
            "async def run(self): ...\n    def tenants_filter(tenants): ...",
            4,
            "tenants_filter on a job without tenants",
        ),
    ],
)
def test_rules(refused: Callable[..., InvalidJob], body: str, line: int, reason: str) -> None:
    error = refused(f"class Job(BackgroundJob):\n    {body}")
    assert error.reason.startswith(reason)
    assert error.line in {line, line - 1}, error  # 3.11 counts a decorated function from its def, others may not


def test_both_remedies_for_a_timeout_in_a_thread(refused: Callable[..., InvalidJob]) -> None:
    reason = refused("class Job(BackgroundJob):\n    timeout = '30s'\n    def run(self): ...").reason
    assert "a thread can't be stopped" in reason
    assert "make it an async def run" in reason
    assert "runs_in = 'process'" in reason


def test_an_init_without_required_arguments_is_fine(load: Callable[..., Definition]) -> None:
    source = "class Job(BackgroundJob):\n    async def run(self): ...\n    def __init__(self, *a, b=1, **c): ..."
    assert load(source).runs_in == "loop"


@pytest.mark.parametrize("name", sorted(RESERVED))
@pytest.mark.parametrize("form", ["{} = 1", "{}: object", "def {}(self): ..."])
def test_reserved_names(refused: Callable[..., InvalidJob], name: str, form: str) -> None:
    error = refused(f"class Job(BackgroundJob):\n    {form.format(name)}\n    async def run(self): ...")
    assert error.reason.startswith(f"{name!r} is what Pinstripe gives a job under that name")
    assert error.line == 3


def test_the_reserved_names_are_those_that_a_job_has() -> None:
    assert {
        "workspace", "tenant", "logger", "attempt", "options", "wait", "progress", "run_background_job",
    } <= RESERVED  # fmt: skip


# What attributes give


@pytest.mark.parametrize(
    ("own", "default", "given"), [("True", False, True), ("False", True, False), ("None", True, True)]
)
def test_multi_tenant(load: Callable[..., Definition], own: str, default: bool, given: bool) -> None:
    source = f"class Job(BackgroundJob):\n    multi_tenant = {own}\n    async def run(self): ..."
    assert load(source, multi_tenant=default).multi_tenant is given


@pytest.mark.parametrize(("timeout", "seconds"), [("'90s'", 90.0), ("timedelta(minutes=2)", 120.0), ("None", None)])
def test_timeout(load: Callable[..., Definition], timeout: str, seconds: float | None) -> None:
    job = f"class Job(BackgroundJob):\n    timeout = {timeout}\n    async def run(self): ..."
    assert load(f"from datetime import timedelta\n{job}").timeout == seconds


def test_schedules(load: Callable[..., Definition]) -> None:
    lines = "['0 * * * *', Schedule('@daily', name='d')]"
    schedules = load(f"class Job(BackgroundJob):\n    schedule = {lines}\n    async def run(self): ...").schedules
    assert [each.name for each in schedules] == [None, "d"]


def test_a_schedule_in_each_tenants_zone_needs_tenants(refused: Callable[..., InvalidJob]) -> None:
    schedule = "schedule = Schedule('@daily', time_zone='tenant')"
    error = refused(f"class Job(BackgroundJob):\n    {schedule}\n    async def run(self): ...")
    assert error.reason.startswith('schedule: time_zone="tenant" on a job without tenants')


@pytest.mark.parametrize(
    "definition",
    [
        "@staticmethod\n    def tenants_filter(tenants): return tenants.upper()",
        "@classmethod\n    def tenants_filter(cls, tenants): return tenants.upper()",
        "tenants_filter = str.upper",
    ],
)
def test_a_tenants_filter(load: Callable[..., Definition], definition: str) -> None:
    source = f"class Job(BackgroundJob):\n    multi_tenant = True\n    async def run(self): ...\n    {definition}"
    chosen: Any = load(source).tenants_filter
    assert chosen("acme") == "ACME"


@pytest.mark.parametrize(
    ("definition", "reason"),
    [
        ("tenants_filter = 'x'", "tenants_filter is 'x'; expected a @staticmethod"),
        ("def tenants_filter(self, tenants): ...", "tenants_filter can't be called with the tenants alone"),
        ("@staticmethod\n    def tenants_filter(): ...", "tenants_filter can't be called with the tenants alone"),
        ("@staticmethod\n    async def tenants_filter(tenants): ...", "tenants_filter only chooses"),
        ("@staticmethod\n    def tenants_filter(tenants): yield", "tenants_filter only chooses"),
    ],
)
def test_a_wrong_tenants_filter(refused: Callable[..., InvalidJob], definition: str, reason: str) -> None:
    error = refused(f"class Job(BackgroundJob):\n    async def run(self): ...\n    {definition}", multi_tenant=True)
    assert error.reason.startswith(reason)


# Services


SERVICES = "class Job(BackgroundJob):\n    mailer: 'Mailer'\n    async def run(self): ..."


def test_services(load: Callable[..., Definition]) -> None:
    assert load(SERVICES, services=["mailer"]).services == ("mailer",)


def test_a_service_that_needs_no_declaration_comes_first(load: Callable[..., Definition]) -> None:
    assert load(SERVICES, services=["mailer", "database"]).services == ("database", "mailer")


def test_a_declared_database_keeps_its_place(load: Callable[..., Definition]) -> None:
    source = "class Job(BackgroundJob):\n    mailer: 'M'\n    database: 'D'\n    async def run(self): ..."
    assert load(source, services=["mailer", "database"]).services == ("mailer", "database")


def test_a_database_of_the_authors_own_stays(load: Callable[..., Definition]) -> None:
    assert (
        load(
            "class Job(BackgroundJob):\n    database = 1\n    async def run(self): ...", services=["database"]
        ).services
        == ()
    )


def test_a_service_that_does_not_exist(refused: Callable[..., InvalidJob]) -> None:
    error = refused(SERVICES, services=["mail", "archive"])
    assert error.line == 3
    assert error.reason.startswith(
        "declares the service 'mailer', which doesn't exist; did you mean mail? Or make it in"
    )
    assert "lib/services/mailer.py" in error.reason


def test_services_are_not_checked_where_nobody_says_which_there_are(load: Callable[..., Definition]) -> None:
    assert load(SERVICES).services == ("mailer",)


# Misspelled attributes


def test_suspicious_attributes(found: Callable[[str], tuple[type[BackgroundJob], Path]]) -> None:
    job_class, _ = found("""
        class Job(BackgroundJob):
            mult_tenant = True
            time_out = "5s"
            runs = 3
            _timeout = 1
            segments = ()
            retries = 3
            overlaps = "allow"
            multi_tenant = True
            async def run(self): ...
            def tenant_filter(tenants): ...
        """)
    assert suspicious_attributes(job_class) == [
        "Job.mult_tenant is not read by Pinstripe; did you mean multi_tenant?",
        "Job.time_out is not read by Pinstripe; did you mean timeout?",
        "Job.overlaps is not read by Pinstripe; did you mean overlap?",
        "Job.tenant_filter is not read by Pinstripe; did you mean tenants_filter?",
    ]


def test_a_default_that_tenants_would_share(found: Callable[[str], tuple[type[BackgroundJob], Path]]) -> None:
    job_class, _ = found("""
        class Job(BackgroundJob):
            async def run(self, seen: list = [], *, by: dict = {}, names: tuple = (), count: int = 0): ...
        """)
    assert suspicious_attributes(job_class) == [
        f"Job.run: the default of {name} is a {kind} that all tenants share; expected None, or a tuple"
        for name, kind in (("seen", "list"), ("by", "dict"))
    ]


def test_a_class_without_a_file_is_told_by_its_name() -> None:
    from pinstripe.background_job import BackgroundJob

    job_class = type("Typed", (BackgroundJob,), {"__module__": "typed_in", "run": lambda: None})
    with pytest.raises(InvalidJob, match=r"^typed_in\.Typed: run doesn't take self"):
        define("typed", job_class)
