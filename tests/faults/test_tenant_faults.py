"""Tenant sources that fail, repeat themselves or are empty, and tenants that nobody knows."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.faults.conftest import Faulty

GREET = """
    class Greet(BackgroundJob):
        multi_tenant = True
        async def run(self):
            with open("done", "a") as done:
                done.write(self.tenant.id + "\\n")
"""


@pytest.fixture
def shop(project: Faulty) -> Faulty:
    """Give a project of three tenants, of which one isn't active."""
    project.tenants(
        """
        def tenants():
            yield {"id": "acme", "plan": "pro", "active": True}
            yield {"id": "globex", "plan": "free", "active": True}
            yield {"id": "initech", "plan": "pro", "active": False}
        """
    )
    project.job("greet", GREET)
    return project


def test_a_source_that_raises_half_way_fails_the_run(project: Faulty) -> None:
    project.tenants(
        """
        import pathlib
        def tenants():
            for number in range(1_500):
                if number == 1_200 and not pathlib.Path("mended").exists():
                    raise OSError("the tenants' database is away")
                yield f"t{number:05}"
        """
    )
    project.job("greet", GREET)
    answer = project("run-background-job", "greet", "--json")
    assert answer.code == 1, answer
    assert answer.json["status"] == "failed"
    assert answer.json["error"].endswith("OSError: the tenants' database is away")
    counts = answer.json["executions"]
    assert 0 < counts["cancelled"] == counts["total"] <= 1_200
    assert project.lines("done") == []
    assert project.show() == answer.json
    plain = project("run-background-job", "greet")
    assert plain.code == 1
    assert "the tenants' database is away" in plain.out
    assert "no tenant matched" not in plain.out
    code = project.python(
        """
        async def main():
            async with pinstripe.open_project() as project:
                async with project.workspace(tenant=None) as workspace:
                    try:
                        await workspace.run_background_job("greet")
                    except pinstripe.PinstripeError as error:
                        print(type(error).__name__, error)
        asyncio.run(main())
        """
    )
    assert code.out.startswith("TenantSourceFailed ")
    assert "the tenants' database is away" in code.out
    project.works()
    (project.path / "mended").touch()
    first = project.runs()[-1]["id"]
    retried = project("retry-run", first, "--json")
    assert (retried.code, retried.json["executions"]["succeeded"]) == (0, 1_500)


def test_a_source_that_fails_at_once(project: Faulty) -> None:
    project.tenants("def tenants():\n    raise OSError('away')\n")
    project.job("greet", GREET)
    answer = project("run-background-job", "greet")
    assert answer.code == 1
    assert "OSError: away" in answer.out + answer.err
    assert project("list-tenants").code == 1
    assert project("run-background-job", "greet", "--dry-run").code == 1
    check = project("check")
    assert check.code == 1
    assert "OSError: away" in check.out
    project.works()


def test_a_source_that_gives_no_tenant(project: Faulty) -> None:
    project.tenants("def tenants():\n    yield {'name': 'Acme'}\n")
    project.job("greet", GREET)
    answer = project("run-background-job", "greet")
    assert answer.code == 1
    assert "'id'" in answer.out + answer.err
    project.works()


def test_a_source_that_is_not_there(project: Faulty) -> None:
    project.folder.configure('[tool.pinstripe.tenants]\nsource = "tenancy:all_of_them"\n')
    project.folder.file("tenancy.py", "def tenants(): return []\n")
    project.job("greet", GREET)
    answer = project("run-background-job", "greet")
    assert answer.code == 2
    assert "tenancy:all_of_them" in answer.err
    project.works()


def test_a_job_for_tenants_in_a_project_without(project: Faulty) -> None:
    project.job("greet", GREET)
    answer = project("run-background-job", "greet")
    assert answer.code == 2
    assert "expected `source` under [tool.pinstripe.tenants]" in answer.err
    assert project.runs() == []
    project.works()


def test_no_tenant_matches(shop: Faulty) -> None:
    """An empty selection runs nothing, and never means all."""
    answer = shop("run-background-job", "greet", "--where", "plan=none")
    assert answer.code == 3
    assert "no tenant matched" in answer.out
    assert shop.show()["executions"]["total"] == 0
    assert shop.lines("done") == []
    code = shop.python(
        """
        async def main():
            async with pinstripe.open_project() as project:
                async with project.workspace(tenant=None) as workspace:
                    for chosen in (workspace.options(tenants=[]), workspace.options(where={"plan": "none"})):
                        run = await chosen.run_background_job("greet")
                        print(run.status, run.executions.total)
        asyncio.run(main())
        """
    )
    assert code.out.splitlines() == ["succeeded 0", "succeeded 0"], code
    assert shop.lines("done") == []


def test_zero_tenants(project: Faulty) -> None:
    project.tenants("def tenants():\n    return []\n")
    project.job("greet", GREET)
    assert project("run-background-job", "greet").code == 3
    assert project("list-tenants").code == 0
    assert project("run-background-job", "greet", "--dry-run").code == 3


@pytest.mark.parametrize("option", ["--tenant", "--except"])
def test_an_unknown_tenant(shop: Faulty, option: str) -> None:
    answer = shop("run-background-job", "greet", option, "acme", option, "acmee")
    assert answer.code == 2
    assert "unknown tenant 'acmee': `pinstripe list-tenants` shows those there are" in answer.err
    assert shop.runs() == []
    assert shop.lines("done") == []


def test_an_empty_id_is_never_all(shop: Faulty) -> None:
    for option in ("--tenant", "--except"):
        answer = shop("run-background-job", "greet", option, "")
        assert (answer.code, "expected a tenant's id" in answer.err) == (2, True)
    assert shop.lines("done") == []


def test_a_tenant_outside_the_filter_needs_force(shop: Faulty) -> None:
    answer = shop("run-background-job", "greet", "--tenant", "initech")
    assert answer.code == 2
    assert "--force runs it all the same" in answer.err
    forced = shop("run-background-job", "greet", "--tenant", "initech", "--force")
    assert forced.code == 0, forced
    assert shop.lines("done") == ["initech"]


def test_force_alone_goes_not_beyond_the_filter(shop: Faulty) -> None:
    assert shop("run-background-job", "greet", "--force").code == 0
    assert sorted(shop.lines("done")) == ["acme", "globex"]


@pytest.mark.parametrize(
    ("condition", "named"),
    [("plam=pro", "plam"), ("plan__containz=p", "containz"), ("plan", "KEY=VALUE"), ("=pro", "KEY=VALUE")],
)
def test_a_condition_with_a_slip(shop: Faulty, condition: str, named: str) -> None:
    """A slip in a condition is an error, never "no tenant matched"."""
    answer = shop("run-background-job", "greet", "--where", condition)
    assert answer.code == 2, answer
    assert named in answer.err
    assert "no tenant matched" not in answer.out
    assert shop.lines("done") == []


def test_duplicates_run_once(project: Faulty) -> None:
    project.tenants(
        """
        def tenants():
            for number in range(2_500):
                yield f"t{number % 1_100:05}"
        """
    )
    project.job("greet", GREET)
    answer = project("run-background-job", "greet", "--tenant", "t00007", "--tenant", "t00007", "--json")
    assert (answer.code, answer.json["executions"]["total"]) == (0, 1)
    answer = project("run-background-job", "greet", "--except", "t00007", "--json")
    assert (answer.code, answer.json["executions"]["succeeded"]) == (0, 1_099)
    assert Counter(project.lines("done")) == Counter(f"t{number:05}" for number in range(1_100))


MANY = """
    import pathlib
    def tenants():
        again = pathlib.Path("again")
        second = again.exists()
        for number in range(11_000):
            if second and {there}:
                {then}
            yield f"t{{number:05}}"
        again.touch()
"""


def test_who_vanishes_before_the_second_reading_is_skipped(project: Faulty) -> None:
    """More tenants than are held in memory are read again; who has gone meanwhile is skipped, and told."""
    project.tenants(MANY.format(there="number % 1_000 == 7", then="continue"))
    project.job("greet", GREET)
    answer = project("run-background-job", "greet", "--json")
    assert answer.code == 0, answer
    counts = answer.json["executions"]
    assert (counts["total"], counts["succeeded"], counts["skipped"]) == (11_000, 10_989, 11)
    assert len(set(project.lines("done"))) == len(project.lines("done")) == 10_989
    gone = project.show("last", "--tenant", "t03007")
    assert (gone["status"], gone["error"]) == ("skipped", "no longer a tenant that the job's filter lets through")
    (project.path / "again").unlink()
    retried = project("retry-run", "last", "--skipped", "--json")
    assert (retried.code, retried.json["executions"]["succeeded"]) == (0, 11)


def test_a_source_that_fails_at_the_second_reading_fails_the_run(project: Faulty) -> None:
    project.tenants(MANY.format(there="number == 5_000", then="raise OSError('away')"))
    project.job("greet", GREET)
    answer = project("run-background-job", "greet", "--json")
    assert answer.code == 1
    assert answer.json["status"] == "failed"
    assert "OSError: away" in answer.json["error"]
    counts = answer.json["executions"]
    assert counts["succeeded"] + counts["cancelled"] == counts["total"] == 11_000
    assert counts["succeeded"] == len(project.lines("done")) <= 5_000
    left = project.show("last", "--tenant", "t10999")
    assert left["error"] == "not started: the tenant source failed on its second reading"
    (project.path / "again").unlink()
    retried = project("retry-run", "last", "--json")
    assert (retried.code, retried.json["executions"]["total"]) == (0, 11_000 - counts["succeeded"])
    assert Counter(project.lines("done")) == Counter(f"t{number:05}" for number in range(11_000))
