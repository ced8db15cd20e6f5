from __future__ import annotations

import builtins
import inspect
from pathlib import Path

import pytest

from pinstripe import errors
from pinstripe.clock import to_datetime
from pinstripe.errors import ConfigurationError, RunCancelled, TenantFailures
from pinstripe.run import Counts, Run, RunStatus, Trigger

RUN = Run(
    id="0199",
    job="send_newsletter",
    status=RunStatus.FAILED,
    trigger=Trigger.CODE,
    args=(),
    kwargs={},
    created_at=to_datetime(0),
    executions=Counts(total=200, succeeded=50, failed=150),
)
BY_TENANT = {f"t{number}": ValueError(f"bad {number}") for number in range(150)}


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("UnknownJob", "LookupError"),
        ("UnknownTenant", "LookupError"),
        ("UnknownRun", "LookupError"),
        ("InvalidArguments", "TypeError"),
        ("InvalidJob", "Exception"),
        ("TenantFailures", "ExceptionGroup"),
    ],
)
def test_errors_are_also_what_python_calls_them(name: str, builtin: str) -> None:
    assert issubclass(getattr(errors, name), getattr(builtins, builtin))


def test_one_except_clause_catches_all_that_is_raised_on_purpose() -> None:
    ours = [each for _, each in inspect.getmembers(errors, inspect.isclass) if each.__module__ == errors.__name__]
    # A group of the jobs' own exceptions is theirs, not ours.
    assert {each for each in ours if not issubclass(each, errors.PinstripeError)} == {TenantFailures}


@pytest.mark.parametrize(
    ("path", "line", "told"),
    [
        (None, None, "no such key"),
        (Path("/p/pyproject.toml"), None, "/p/pyproject.toml: no such key"),
        (Path("/p/job.py"), 7, "/p/job.py, line 7: no such key"),
    ],
)
def test_a_place_stands_before_its_reason(path: Path | None, line: int | None, told: str) -> None:
    error = ConfigurationError("no such key", path=path, line=line)
    assert str(error) == told
    assert (error.reason, error.path, error.line) == ("no such key", path, line)


def test_failures_of_tenants_are_a_group_of_the_first_hundred() -> None:
    failures = TenantFailures(RUN, BY_TENANT)
    assert failures.run is RUN
    assert list(failures.by_tenant) == [f"t{number}" for number in range(100)]
    assert failures.exceptions == tuple(failures.by_tenant.values())
    assert str(failures).startswith("send_newsletter failed for 150 of 200 tenants")


def test_failures_of_tenants_can_be_taken_apart() -> None:
    by_tenant = {"a": ValueError("a"), "b": KeyError("b")}
    caught: list[BaseException] = []
    with pytest.raises(ExceptionGroup) as left:  # noqa: PT012 - `except*` is what is shown
        try:
            raise TenantFailures(RUN, by_tenant)
        except* ValueError as group:
            caught.extend(group.exceptions)
    assert caught == [by_tenant["a"]]
    assert left.value.exceptions == (by_tenant["b"],)
    assert not isinstance(left.value, TenantFailures)


def test_a_cancelled_run_is_named_with_its_error() -> None:
    assert str(RunCancelled(RUN)) == "run 0199 of send_newsletter was cancelled"
    assert RunCancelled(RUN).run is RUN
