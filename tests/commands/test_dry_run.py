from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.commands.conftest import Command
    from tests.conftest import ProjectFolder


def test_it_tells_who_would_run_with_what_and_writes_nothing(shop: ProjectFolder, pinstripe: Command) -> None:
    answer = pinstripe("run-background-job", "greet", "2", "--except", "acme", "--where", "seats__ge=2", "--dry-run")
    assert answer.code == 0
    assert answer.out.splitlines() == [
        "greet(2) would run, but nothing runs now.",
        "Filter in force: active=True; --where seats__ge=2; --except, 1 named",
        "  globex",
        "1 tenant.",
    ]
    assert not (shop.path / ".pinstripe").exists()


def test_a_forced_tenant_overrides_the_filter(pinstripe: Command) -> None:
    answer = pinstripe("run-background-job", "greet", "--tenant", "initech", "--force", "--dry-run")
    assert "Filter in force: active=True (overridden by --force); --tenant, 1 named\n  initech\n" in answer.out


def test_no_tenant_is_exit_code_3(pinstripe: Command) -> None:
    answer = pinstripe("run-background-job", "greet", "--where", "plan=none", "--dry-run")
    assert (answer.code, answer.out.splitlines()[-1]) == (3, "No tenant matches.")
    answer = pinstripe("run-background-job", "greet", "--where", "plan=none", "--dry-run", "--json")
    assert (answer.code, answer.json["total"], answer.json["tenants"]) == (3, 0, [])


def test_a_job_without_tenants_would_run_once(pinstripe: Command) -> None:
    answer = pinstripe("run-background-job", "hello", "--dry-run")
    assert answer.code == 0
    assert "would run once, without a tenant" in answer.out
    answer = pinstripe("run-background-job", "hello", "--dry-run", "--json")
    assert answer.json == {"job": "hello", "args": [], "kwargs": {}, "total": 1, "tenants": []}


def test_wrong_arguments_are_found_too(pinstripe: Command) -> None:
    answer = pinstripe("run-background-job", "greet", "many", "--dry-run")
    assert (answer.code, answer.out) == (2, "")
