"""The plugin, as it comes into the runs of pytest of those who install Pinstripe."""

from __future__ import annotations

import pytest

from tests.conftest import ProjectFolder
from tests.staged import write_clinics

pytest_plugins = ["pytester"]

SUITE = """
import pytest


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.mark.anyio
@pytest.mark.parametrize("number", range(4))
async def test_async(background_jobs, number):
    background_jobs.assert_nothing_enqueued()
    async with background_jobs.workspace(tenant=None) as workspace:
        await workspace.enqueue_background_job("crunch", number)
    assert [run.result for run in await background_jobs.drain()] == [number]


@pytest.mark.parametrize("number", range(4))
def test_plain(plain_background_jobs, number):
    plain_background_jobs.assert_nothing_enqueued()
    with plain_background_jobs.workspace(tenant=None) as workspace:
        workspace.enqueue_background_job("crunch", number)
    assert [run.result for run in plain_background_jobs.drain()] == [number]


def test_both_have_one_ledger(background_jobs, plain_background_jobs):
    with plain_background_jobs.workspace(tenant=None) as workspace:
        workspace.enqueue_background_job("crunch")
    background_jobs.assert_enqueued("crunch")
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """Give a folder in which the application is, with a suite of its own."""
    write_clinics(ProjectFolder(pytester.path))
    pytester.makepyfile(test_application=SUITE)
    return pytester


@pytest.mark.parametrize("options", [(), ("--numprocesses=2",)], ids=["one process", "two processes"])
def test_a_suite_has_the_fixtures_without_a_word(suite: pytest.Pytester, options: tuple[str, ...]) -> None:
    suite.runpytest_subprocess("-Werror", *options).assert_outcomes(passed=9)
    assert not (suite.path / ".pinstripe").exists()  # where the project's own ledger would be


def test_a_project_whose_ledger_is_on_postgresql_needs_no_server(suite: pytest.Pytester) -> None:
    ProjectFolder(suite.path).configure(
        'ledger = "postgresql://app@127.0.0.1:1/nothing"\ntenants.source = "tenancy:tenants"'
    )
    suite.runpytest_subprocess("-Werror").assert_outcomes(passed=9)


def test_the_project_is_found_by_the_option(suite: pytest.Pytester) -> None:
    application = suite.mkdir("application")
    for name in ("lib", "pyproject.toml", "tenancy.py"):
        (suite.path / name).rename(application / name)
    suite.makeini("[pytest]\npinstripe_project = application")
    suite.runpytest_subprocess().assert_outcomes(passed=9)


def test_the_project_is_found_by_the_environment(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = suite.mkdir("elsewhere")
    (suite.path / "test_application.py").rename(elsewhere / "test_application.py")
    monkeypatch.setenv("PINSTRIPE_PROJECT", str(suite.path))
    monkeypatch.chdir(elsewhere)
    suite.runpytest_subprocess().assert_outcomes(passed=9)


def test_without_a_project_it_is_said_where_was_looked(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(plain_background_jobs): pass")
    done = pytester.runpytest_subprocess()
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*ConfigurationError: found no project in *"])


def test_whoever_asks_for_nothing_gets_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_nothing_is_imported():
            ours = {name for name in sys.modules if name.partition(".")[0] == "pinstripe"}
            assert ours == {"pinstripe", "pinstripe.version", "pinstripe.pytest_plugin"}
            assert not {"apsw", "pydantic", "sqlalchemy", "rich"} & {*sys.modules}
        """
    )
    pytester.runpytest_subprocess("-p", "no:randomly", "-p", "no:hypothesispytest").assert_outcomes(passed=1)


def test_an_assertion_is_shown_at_the_tests_own_line(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        def test_it(plain_background_jobs):
            with plain_background_jobs.workspace(tenant=None) as workspace:
                workspace.enqueue_background_job("crunch", 1)
            plain_background_jobs.assert_enqueued("crunch", 2)
        """
    )
    done = suite.runpytest_subprocess("test_an_assertion_is_shown_at_the_tests_own_line.py")
    done.stdout.fnmatch_lines(
        [
            '>*plain_background_jobs.assert_enqueued("crunch", 2)',
            "E*AssertionError: expected crunch(number=2) to be enqueued; what is:",
            "E*  crunch(1)  <- number is 1, not 2",
        ],
        consecutive=True,
    )


def test_it_can_be_left_out(suite: pytest.Pytester) -> None:
    done = suite.runpytest_subprocess("-p", "no:pinstripe", "-k", "plain")
    done.stdout.fnmatch_lines(["*fixture 'plain_background_jobs' not found"])
