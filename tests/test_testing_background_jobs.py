from __future__ import annotations

import sys
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import pinstripe
from pinstripe.errors import ConfigurationError, InvalidArguments, PinstripeError, TenantSourceFailed, UnknownJob
from pinstripe.testing import draining
from tests.staged import write_clinics

if TYPE_CHECKING:
    from pinstripe.testing import BackgroundJobs, PlainBackgroundJobs
    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio


@pytest.fixture
def folder(project_folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch) -> ProjectFolder:
    write_clinics(project_folder)
    monkeypatch.setenv("PINSTRIPE_PROJECT", str(project_folder.path))
    return project_folder


@pytest.fixture
def jobs(folder: ProjectFolder, request: pytest.FixtureRequest) -> BackgroundJobs:
    """The plugin's own fixture, asked for once there is a project."""
    given: BackgroundJobs = request.getfixturevalue("background_jobs")
    return given


@pytest.fixture
def plain(folder: ProjectFolder, request: pytest.FixtureRequest) -> PlainBackgroundJobs:
    given: PlainBackgroundJobs = request.getfixturevalue("plain_background_jobs")
    return given


@pytest.fixture
def sent(jobs: BackgroundJobs) -> list[Any]:
    sent: list[Any] = []
    jobs.replace_services(mailer=sent)
    return sent


async def enqueue(jobs: BackgroundJobs, job: str, *args: Any, tenant: str | None = None, **options: Any) -> None:
    async with jobs.workspace(tenant=tenant) as workspace:
        await workspace.options(**options).enqueue_background_job(job, *args)


async def test_what_is_enqueued_is_seen_and_then_executed(jobs: BackgroundJobs, sent: list[Any]) -> None:
    await enqueue(jobs, "remind", "ada@x", tenant="north", key="once", priority="interactive")
    found = jobs.assert_enqueued("remind", "ada@x", tenant="north")
    assert (found.job, found.tenant, found.args, found.kwargs) == ("remind", "north", ("ada@x",), {})
    assert (found.due_at, found.priority, found.key, found.attempts) == (None, "interactive", "once", 0)
    (run,) = await jobs.drain()
    assert (run.status, run.id, run.created_at) == ("succeeded", found.run, jobs.now)
    assert sent == [("north", "ada@x")]
    jobs.assert_nothing_enqueued()


async def test_what_is_enqueued_for_later_waits_until_time_is_told(jobs: BackgroundJobs, sent: list[Any]) -> None:
    await enqueue(jobs, "remind", "ada@x", tenant="north", delay="5m")
    assert jobs.enqueued("remind")[0].due_at == jobs.now + timedelta(minutes=5)
    assert await jobs.drain() == []
    jobs.advance("4m59s")
    assert await jobs.drain() == []
    jobs.advance(timedelta(seconds=1))
    assert len(await jobs.drain()) == 1
    assert sent == [("north", "ada@x")]


async def test_what_is_enqueued_in_a_transaction_of_the_application_is_there_at_once(
    jobs: BackgroundJobs, sent: list[Any]
) -> None:
    await enqueue(jobs, "remind", "ada@x", tenant="north", connection=object())
    await jobs.drain()
    assert sent == [("north", "ada@x")]


async def test_a_moment_is_told(jobs: BackgroundJobs, sent: list[Any]) -> None:
    jobs.set_time(datetime(2026, 1, 1, tzinfo=UTC))
    await enqueue(jobs, "remind", "ada@x", tenant="north", at=datetime(2026, 3, 1, tzinfo=UTC))
    jobs.set_time(datetime(2026, 3, 1, tzinfo=UTC))
    (run,) = await jobs.drain()
    assert (run.created_at.month, run.started_at) == (1, jobs.now)
    with pytest.raises(ValueError, match="expected an aware datetime"):
        jobs.set_time(datetime(2026, 3, 1))  # noqa: DTZ001 - that is the point


async def test_runs_are_given_in_the_order_in_which_they_were_enqueued(jobs: BackgroundJobs, sent: list[Any]) -> None:
    for name in ("a@x", "b@x", "c@x"):
        await enqueue(jobs, "remind", name, tenant="north")
    await enqueue(jobs, "remind", "d@x", tenant="north", priority="interactive")
    assert [run.args for run in await jobs.drain()] == [("a@x",), ("b@x",), ("c@x",), ("d@x",)]
    assert [to for _, to in sent] == ["d@x", "a@x", "b@x", "c@x"]


async def test_the_first_failure_is_raised_once_all_is_done(jobs: BackgroundJobs, sent: list[Any]) -> None:
    for name in ("ada", "bob", "c@x"):
        await enqueue(jobs, "remind", name, tenant="north")
    with pytest.raises(ValueError, match="ada is no address") as raised:
        await jobs.drain()
    assert "remind for tenant north, attempt 1" in raised.value.__notes__[0]
    assert sent == [("north", "c@x")]


async def test_a_job_is_tried_again_when_time_has_gone_on(jobs: BackgroundJobs, sent: list[Any]) -> None:
    await enqueue(jobs, "remind", "ada", tenant="north")
    for attempts, told in ((1, "tried once"), (2, "tried 2 times")):
        assert await jobs.drain(raising=False) == []
        (waiting,) = jobs.enqueued()
        assert waiting.attempts == attempts
        assert str(waiting).endswith(told)
        assert waiting.due_at is not None
        jobs.set_time(waiting.due_at)
    (run,) = await jobs.drain(raising=False)
    assert run.status == "failed"
    assert run.failures[0].attempts == 3


async def test_an_answer_is_no_failure(jobs: BackgroundJobs) -> None:
    await enqueue(jobs, "answer", "later")
    await enqueue(jobs, "answer", "cancel")
    assert [run.status for run in await jobs.drain()] == ["cancelled"]
    assert len(jobs.enqueued()) == 1


async def test_what_jobs_enqueue_and_run_is_done_too(jobs: BackgroundJobs, sent: list[Any]) -> None:
    await enqueue(jobs, "follow_up", tenant="south")
    assert [run.job for run in await jobs.drain()] == ["follow_up", "remind"]
    assert sent == [("south", "later@x")]  # what it ran itself has failed, and it handled that


async def test_a_run_for_all_tenants_is_selected_by_the_drain(jobs: BackgroundJobs, sent: list[Any]) -> None:
    await enqueue(jobs, "remind", "ada@x")
    assert jobs.enqueued()[0].selecting
    jobs.assert_enqueued("remind", tenant=None)
    with pytest.raises(AssertionError, match="<- the tenant is yet to be selected, not 'north'"):
        jobs.assert_enqueued("remind", tenant="north")
    (run,) = await jobs.drain()
    assert run.executions.succeeded == 2
    assert sent == [("north", "ada@x"), ("south", "ada@x")]


async def test_a_source_that_fails_is_raised(folder: ProjectFolder, jobs: BackgroundJobs, sent: list[Any]) -> None:
    folder.file("tenancy.py", "def tenants():\n    raise OSError('away')\n    yield")
    await enqueue(jobs, "remind", "ada@x")
    with pytest.raises(TenantSourceFailed, match="away"):
        await jobs.drain()


async def test_a_run_that_fails_without_an_exception_is_raised(folder: ProjectFolder, jobs: BackgroundJobs) -> None:
    await enqueue(jobs, "crunch")
    source = (folder.path / "lib/background_jobs/crunch.py").read_text(encoding="utf-8")
    folder.job("crunch", source.replace("multi_tenant = False", "multi_tenant = True"))
    del sys.modules["lib.background_jobs.crunch"]
    with pytest.raises(PinstripeError, match=r"run .* of crunch has failed: crunch has become multi-tenant"):
        await jobs.drain()


async def test_a_job_with_a_process_of_its_own_runs_in_this_one(
    jobs: BackgroundJobs, capsys: pytest.CaptureFixture[str]
) -> None:
    await enqueue(jobs, "crunch", 5)
    (run,) = await jobs.drain()
    assert run.result == 5
    assert capsys.readouterr().out == "crunching\n"


async def test_jobs_that_enqueue_one_another_for_ever_are_stopped(
    jobs: BackgroundJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "MAX_EXECUTIONS", 20)
    await enqueue(jobs, "again")
    with pytest.raises(PinstripeError, match=r"has executed 20 executions.*enqueue itself again"):
        await jobs.drain()


async def test_a_workspace_may_be_open_during_a_drain(jobs: BackgroundJobs, sent: list[Any]) -> None:
    async with jobs.workspace(tenant="north") as workspace:
        await workspace.enqueue_background_job("remind", "ada@x")
        assert len(await jobs.drain()) == 1
        jobs.advance("2h")  # longer than any lease
        await workspace.enqueue_background_job("remind", "bob@x")
        assert len(await jobs.drain()) == 1
        await workspace.run_background_job("remind", "cora@x")
    assert [to for _, to in sent] == ["ada@x", "bob@x", "cora@x"]


async def test_what_was_expected_is_compared_with_what_there_is(jobs: BackgroundJobs, sent: list[Any]) -> None:
    await enqueue(jobs, "remind", "ada@x", date(2026, 5, 1), tenant="north", delay="1h", key="k")
    await enqueue(jobs, "crunch", 5, priority="bulk")
    jobs.assert_enqueued("remind", day=date(2026, 5, 1))
    jobs.assert_enqueued("remind", subject="Hello")  # the default
    jobs.assert_enqueued(jobs.assert_enqueued("crunch").job, 5, tenant=None)
    with pytest.raises(AssertionError) as raised:
        jobs.assert_enqueued("remind", "bob@x", tenant="south")
    due = (jobs.now + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert str(raised.value) == (
        "expected remind(to='bob@x') for tenant south to be enqueued; what is:\n"
        f"  remind('ada@x', datetime.date(2026, 5, 1)) for tenant north, due {due}, key 'k'"
        "  <- to is 'ada@x', not 'bob@x'; the tenant is 'north', not 'south'\n"
        "  crunch(5), priority bulk"
    )
    with pytest.raises(AssertionError, match=r"expected nothing to be enqueued; what is:\n  crunch\(5\)"):
        jobs.assert_nothing_enqueued("crunch")
    jobs.assert_nothing_enqueued(tenant="south")
    assert len(await jobs.drain()) == 1
    with pytest.raises(AssertionError, match=r"what is:\n  remind.*due"):
        jobs.assert_enqueued("crunch")


async def test_what_can_not_be_expected_is_refused(jobs: BackgroundJobs, sent: list[Any]) -> None:
    with pytest.raises(UnknownJob, match="did you mean remind"):
        jobs.assert_enqueued("remid")
    with pytest.raises(InvalidArguments, match="unexpected keyword argument 'too'"):
        jobs.assert_enqueued("remind", too="ada@x")
    with pytest.raises(AssertionError, match=r"expected crunch\(\) to be enqueued; nothing is"):
        jobs.assert_enqueued("crunch")


async def test_services_that_are_not_there_are_not_replaced(jobs: BackgroundJobs) -> None:
    with pytest.raises(ConfigurationError, match=r"no service 'mailr'.*nearest: mailer"):
        jobs.replace_services(mailr=[])
    with pytest.raises(ConfigurationError, match=r"configure\(\{'database.url'"):
        jobs.replace_services(database=[])


async def test_a_setting_is_the_tests_own(jobs: BackgroundJobs) -> None:
    jobs.configure({"database.url": "sqlite:///test.db", "worker.concurrency": 3})
    async with pinstripe.open_project() as project:
        assert project.settings.database is not None
        assert (project.settings.database.url, project.settings.worker.concurrency) == ("sqlite:///test.db", 3)
    with pytest.raises(ConfigurationError, match="the ledger of a test can't be chosen"):
        jobs.configure({"ledger": "sqlite:///ledger.db"})
    with pytest.raises(ConfigurationError, match=r"unknown setting database\.ulr"):
        jobs.configure({"database.ulr": "x"})


async def test_the_applications_own_set_up_is_called_once(jobs: BackgroundJobs, folder: ProjectFolder) -> None:
    folder.file("boot.py", "calls = []\ndef setup():\n    calls.append(1)")
    folder.configure('setup = "boot:setup"\ntenants.source = "tenancy:tenants"')
    await enqueue(jobs, "crunch")
    await jobs.drain()
    await enqueue(jobs, "crunch")
    await jobs.drain()
    import boot  # type: ignore[import-not-found]

    assert boot.calls == [1]


async def test_a_plain_drain_is_refused_on_an_event_loop(plain: PlainBackgroundJobs) -> None:
    with pytest.raises(PinstripeError, match="an async one asks for the fixture background_jobs"):
        plain.drain()


def test_the_public_names_are_there() -> None:
    assert [name for name in dir(pinstripe.testing) if not hasattr(pinstripe.testing, name)] == []
    with pytest.raises(AttributeError, match="no attribute 'workspaces'"):
        _ = pinstripe.testing.workspaces


def test_an_async_drain_is_refused_where_nobody_awaits(jobs: BackgroundJobs) -> None:
    with pytest.raises(PinstripeError, match="a plain test asks for the fixture plain_background_jobs"):
        jobs.drain()  # type: ignore[unused-coroutine]


def test_a_plain_test_does_the_same(plain: PlainBackgroundJobs) -> None:
    sent: list[Any] = []
    plain.replace_services(mailer=sent)
    with plain.workspace(tenant="north") as workspace:
        workspace.enqueue_background_job("remind", "ada@x")
        workspace.options(delay="5m").enqueue_background_job("remind", "bob@x")
        plain.drain()
    assert sent == [("north", "ada@x")]
    plain.advance("5m")
    assert [run.status for run in plain.drain()] == ["succeeded"]
    assert len(sent) == 2
