"""Retries by hand, when the world has changed since the run that they retry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.faults.conftest import Faulty

FRAGILE = """
    class Fragile(BackgroundJob):
        multi_tenant = True
        async def run(self, segment: str = "all"):
            with open("done", "a") as done:
                done.write(f"{self.tenant.id} {segment} {self.attempt.key}\\n")
            if pathlib.Path(self.tenant.id).exists():
                raise ValueError("not yet " + self.tenant.id)
"""

SOURCE = """
    import json, pathlib
    def tenants():
        for id in ("a", "b", "c", "d"):
            if not pathlib.Path("without_" + id).exists():
                yield {"id": id, "active": not pathlib.Path("inactive_" + id).exists()}
"""


@pytest.fixture
def failed(project: Faulty) -> Faulty:
    """Give a project with a run that has failed for three of its four tenants."""
    project.tenants(SOURCE)
    project.job("fragile", FRAGILE)
    for tenant in ("b", "c", "d"):
        (project.path / tenant).touch()
    answer = project("run-background-job", "fragile", "weekly")
    assert answer.code == 1, answer
    (project.path / "done").unlink()
    return project


def tenants_of(project: Faulty) -> list[str]:
    """Tell for whom the job has run since it was last asked."""
    lines = project.lines("done")
    (project.path / "done").unlink(missing_ok=True)
    return sorted(line.split()[0] for line in lines)


def test_a_chain_of_retries(failed: Faulty) -> None:
    """Each retries only what has not succeeded in a later one, with the same arguments and the same key."""
    first = failed.runs()[0]["id"]
    (failed.path / "b").unlink()
    second = failed("retry-run", first, "--json")
    assert (second.code, second.json["retry_of"], second.json["args"]) == (1, first, ["weekly"])
    assert failed.lines("done")[0].split()[1:] == ["weekly", f"{first}/b"]
    assert tenants_of(failed) == ["b", "c", "d"]
    (failed.path / "c").unlink()
    third = failed("retry-run", "last", "--json")  # of the retry
    assert (third.code, third.json["retry_of"]) == (1, second.json["id"])
    assert failed.lines("done")[0].split()[2] == f"{first}/c"
    assert tenants_of(failed) == ["c", "d"]
    (failed.path / "d").unlink()
    fourth = failed("retry-run", first, "--json")  # of the first again: what the second and third did counts
    assert (fourth.code, fourth.json["executions"]["total"]) == (0, 1)
    assert tenants_of(failed) == ["d"]
    for reference in (first, second.json["id"], third.json["id"]):
        nothing = failed("retry-run", reference)
        assert nothing.code == 3, nothing
        assert "Nothing to retry" in nothing.err


@pytest.mark.parametrize("how", ["without", "inactive"])
def test_a_tenant_that_is_gone_is_skipped(failed: Faulty, how: str) -> None:
    for tenant in ("b", "c", "d"):
        (failed.path / tenant).unlink()
    (failed.path / f"{how}_c").touch()
    retried = failed("retry-run", "last", "--json")
    assert retried.code == 0, retried
    assert (retried.json["executions"]["succeeded"], retried.json["executions"]["skipped"]) == (2, 1)
    assert tenants_of(failed) == ["b", "d"]
    reason = failed.show("last", "--tenant", "c")
    assert (reason["status"], reason["error"]) == ("skipped", "no longer a tenant that the job's filter lets through")
    (failed.path / f"{how}_c").unlink()
    again = failed("retry-run", "last", "--skipped", "--json")
    assert (again.code, again.json["executions"]["succeeded"]) == (0, 1)
    assert tenants_of(failed) == ["c"]


def test_all_tenants_are_gone(failed: Faulty) -> None:
    for tenant in ("b", "c", "d"):
        (failed.path / f"without_{tenant}").touch()
    retried = failed("retry-run", "last")
    assert retried.code == 3, retried
    assert "skipped, nothing ran" in retried.out
    assert tenants_of(failed) == []


def test_the_source_fails_at_the_retry(failed: Faulty) -> None:
    failed.tenants("def tenants():\n    raise OSError('away')\n")
    retried = failed("retry-run", "last")
    assert retried.code == 1, retried
    assert "OSError: away" in retried.out + retried.err
    assert tenants_of(failed) == []
    failed.tenants(SOURCE)
    for tenant in ("b", "c", "d"):
        (failed.path / tenant).unlink()
    mended = failed("retry-run", failed.runs()[-1]["id"], "--json")
    assert (mended.code, mended.json["executions"]["succeeded"]) == (0, 3)


def test_the_jobs_file_is_gone(failed: Faulty) -> None:
    path = failed.path / "lib/background_jobs/fragile.py"
    path.rename(failed.path / "kept")
    retried = failed("retry-run", "last")
    assert retried.code == 2, retried
    assert "fragile" in retried.err
    assert len(failed.runs()) == 1
    assert failed("show-run", "last").code == 0
    (failed.path / "kept").rename(path)
    assert failed("retry-run", "last").code == 1
    assert tenants_of(failed) == ["b", "c", "d"]


def test_the_jobs_signature_has_changed(failed: Faulty) -> None:
    failed.job("fragile", FRAGILE.replace('segment: str = "all"', "segment: int"))
    retried = failed("retry-run", "last")
    assert retried.code == 2, retried
    assert "fragile(segment: int)" in retried.err
    assert len(failed.runs()) == 1
    failed.job("fragile", FRAGILE.replace('segment: str = "all"', ""))
    retried = failed("retry-run", "last")
    assert retried.code == 2, retried
    assert len(failed.runs()) == 1
    assert tenants_of(failed) == []


def test_the_job_is_no_longer_multi_tenant(failed: Faulty) -> None:
    """Its tenants can't run any more; nothing runs in their stead."""
    failed.job("fragile", FRAGILE.replace("multi_tenant = True", "multi_tenant = False"))
    retried = failed("retry-run", "last")
    assert retried.code in {2, 3}, retried
    assert tenants_of(failed) == []


def test_the_job_has_become_multi_tenant(project: Faulty) -> None:
    """A run without a tenant is no run for all of them."""
    project.tenants(SOURCE)
    plain = FRAGILE.replace("multi_tenant = True", "multi_tenant = False").replace("self.tenant.id", "'a'")
    project.job("fragile", plain)
    (project.path / "a").touch()
    assert project("run-background-job", "fragile").code == 1
    project.job("fragile", FRAGILE)
    tenants_of(project)
    retried = project("retry-run", "last")
    assert retried.code in {2, 3}, retried
    assert tenants_of(project) == []


def test_a_choice_of_tenants_holds_in_the_retry(failed: Faulty) -> None:
    answer = failed("run-background-job", "fragile", "--except", "b", "--where", "id__ne=d")
    assert answer.code == 1, answer
    assert tenants_of(failed) == ["a", "c"]
    assert failed("retry-run", "last").code == 1
    assert tenants_of(failed) == ["c"]


def test_a_forced_tenant_is_retried(failed: Faulty) -> None:
    (failed.path / "inactive_c").touch()
    assert failed("run-background-job", "fragile", "--tenant", "c", "--force").code == 1
    assert tenants_of(failed) == ["c"]
    (failed.path / "c").unlink()
    assert failed("retry-run", "last").code == 0
    assert tenants_of(failed) == ["c"]
