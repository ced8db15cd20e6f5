"""The policies that a job's class says, as its definition has them, and what is told of wrong ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pinstripe import BackgroundJob, Limits, Priority, Retry
from pinstripe.errors import InvalidJob
from pinstripe.importing import import_file
from pinstripe.loading import define, suspicious_attributes, the_job
from pinstripe.policies import Policies, read_policies

if TYPE_CHECKING:
    from collections.abc import Callable

    from pinstripe.definition import Definition
    from tests.conftest import ProjectFolder

HEAD = "from pinstripe import BackgroundJob, Limits, Priority, Retry\n"
"""One line, so that the class is on line 2, and its attribute on line 3."""


@pytest.fixture
def load(project_folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Definition]:
    """Define the job of a file that has the one line `attribute` in its class, beside `run`."""
    monkeypatch.syspath_prepend(project_folder.path)

    def define_it(attribute: str, *, multi_tenant: bool = False) -> Definition:
        source = f"{HEAD}class Job(BackgroundJob):\n    {attribute}\n    async def run(self): ..."
        path = project_folder.job("the_job", source)
        module = import_file(path, "lib.background_jobs.the_job", InvalidJob)
        return define("the_job", the_job(module, path), path=path, multi_tenant=multi_tenant)

    return define_it


def policies(definition: Definition) -> Policies:
    return Policies(definition.retry, definition.overlap, definition.limits, definition.priority)


def test_what_holds_for_a_job_that_says_nothing(load: Callable[..., Definition]) -> None:
    assert policies(load("...")) == (Retry(times=0), "skip", None, None)


@pytest.mark.parametrize(
    ("attribute", "field", "value"),
    [
        ("retries = 3", "retry", Retry(times=3)),
        ("retries: int = 0", "retry", Retry(times=0)),
        ("retries = Retry(on=OSError, wait='5s')", "retry", Retry(on=OSError, wait="5s")),
        ("retries = Retry(wait=lambda failed: '5s', crashes=0)", "retry", None),
        ("overlap = 'queue'", "overlap", "queue"),
        ("overlap = 'allow'", "overlap", "allow"),
        ("limits = Limits(total=3)", "limits", Limits(total=3)),
        ("priority = 'interactive'", "priority", Priority.INTERACTIVE),
        ("priority = Priority.BULK", "priority", Priority.BULK),
    ],
)
def test_what_a_job_says(load: Callable[..., Definition], attribute: str, field: str, value: Any) -> None:
    definition = load(attribute)
    chosen = getattr(definition, field)
    assert chosen == value if value is not None else chosen.delay(1, 0).total_seconds() == 5
    assert type(chosen) is type(value) or value is None
    assert suspicious_attributes(definition.job_class) == []


def test_a_limit_of_each_tenant(load: Callable[..., Definition]) -> None:
    assert load("limits = Limits(per_tenant=1)", multi_tenant=True).limits == Limits(per_tenant=1)


@pytest.mark.parametrize(
    ("attribute", "reason"),
    [
        ("retries = '3'", "retries: expected a whole number such as 3, a Retry(…) or None, got '3'"),
        ("retries = True", "retries: expected a whole number such as 3, a Retry(…) or None, got True"),
        ("retries = -1", "retries: expected at least 0, got -1"),
        ("retries = Retry(times=-1)", "ValueError: retries: expected times to be at least 0, got -1"),
        ("overlap = 'drop'", "overlap: expected 'skip', 'queue' or 'allow', got 'drop'"),
        ("overlap = 'que'", "overlap: expected 'skip', 'queue' or 'allow', got 'que'; did you mean 'queue'?"),
        ("overlap = 'Skip'", "overlap: expected 'skip', 'queue' or 'allow', got 'Skip'; did you mean 'skip'?"),
        ("overlap = None", "overlap: expected 'skip', 'queue' or 'allow', got None"),
        ("overlap = ['skip']", "overlap: expected 'skip', 'queue' or 'allow', got ['skip']"),
        ("limits = 3", "limits: expected Limits(total=…, per_tenant=…) or None, got 3"),
        ("limits = {'total': 3}", "limits: expected Limits(total=…, per_tenant=…) or None, got {'total': 3}"),
        (
            "limits = Limits(total=2, per_tenant=1)",
            "limits: per_tenant on a job without tenants; set multi_tenant = True, or limit its total",
        ),
        (
            "priority = 'bulky'",
            "priority: expected 'interactive', 'default', 'bulk' or None, got 'bulky'; did you mean 'bulk'?",
        ),
        ("priority = 1", "priority: expected 'interactive', 'default', 'bulk' or None, got 1"),
        ("priority = Priority", "priority: expected 'interactive', 'default', 'bulk' or None, got <enum 'Priority'>"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(load: Callable[..., Definition], attribute: str, reason: str) -> None:
    with pytest.raises(InvalidJob) as caught:
        load(attribute)
    assert caught.value.reason == reason
    assert caught.value.path is not None
    assert caught.value.path.name == "the_job.py"
    assert caught.value.line == 3


@pytest.mark.usefixtures("load")
def test_an_inherited_policy_is_told_by_the_class(project_folder: ProjectFolder) -> None:
    project_folder.job("_shared", f"{HEAD}class Shared(BackgroundJob):\n    abstract = True\n    overlap = 'no'\n")
    path = project_folder.job(
        "child", "from lib.background_jobs._shared import Shared\nclass Child(Shared):\n    def run(self): ..."
    )
    module = import_file(path, "lib.background_jobs.child", InvalidJob)
    with pytest.raises(InvalidJob) as caught:
        define("child", the_job(module, path), path=path)
    assert caught.value.line == 2


def test_the_classes_own_defaults_are_the_default_policies() -> None:
    assert read_policies(BackgroundJob, multi_tenant=False) == Policies(Retry.of(None), "skip", None, None)
