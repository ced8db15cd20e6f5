"""Jobs that hide some of their arguments: from whoever looks, and from what an execution leaves; not from the job."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from pinstripe.arguments import bind, bind_text
from pinstripe.background_job import BackgroundJob
from pinstripe.errors import InvalidArguments, InvalidJob
from pinstripe.loading import define
from pinstripe.options import NOTHING_SAID
from pinstripe.queue import NewWork, QueuedRun
from pinstripe.run import Trigger
from pinstripe.runs import Request
from pinstripe.schedule import Schedule
from tests.shop import Recorder, open_shop, retried

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio

SECRET = "sk_live_4711"


class Login(BaseModel):
    user: str
    password: str


class Sends(BackgroundJob):
    """Sends something, and tells all it knows of it."""

    redact = ("token", "login")
    fails = True

    def run(self, whom: str, token: str, *, login: Login | None = None) -> str:
        sys.stdout.write(f"sending with {token}\n")
        self.logger.warning("as %r", login)
        sys.stdout.write(token[:6])
        sys.stdout.write(f"{token[6:]}\n")
        if self.fails:
            raise ValueError(f"{whom}: {token!r} was refused for {login}")
        return whom


class Loose(BackgroundJob):
    redact = ("secret", "options")

    async def run(self, *args: str, **options: str) -> None: ...


class Letters(BackgroundJob):
    redact = ("letters", "token")

    async def run(self, *letters: str, token: int = 7, at: int = 1) -> None: ...


def job_class(redact: Any) -> type[BackgroundJob]:
    async def run(self: BackgroundJob, token: str, text: str = "") -> None: ...

    return type("Job", (BackgroundJob,), {"redact": redact, "run": run, "__module__": __name__})


@pytest.mark.parametrize(
    ("redact", "told"),
    [
        ("token", "redact: expected a list of names of parameters of run, got str; expected ['token']"),
        (["tokn"], "redact: run has no parameter 'tokn'; did you mean 'token'?"),
        (["x"], "redact: run has no parameter 'x'; run takes token, text"),
        ([1], "redact: expected a list of names of parameters of run, got list"),
        (7, "redact: expected a list of names of parameters of run, got int"),
    ],
)
def test_what_names_no_parameter_is_refused_when_the_job_is_loaded(redact: Any, told: str) -> None:
    with pytest.raises(InvalidJob) as raised:
        define("job", job_class(redact))
    assert told in str(raised.value)


def test_a_job_that_takes_any_names_may_hide_any() -> None:
    definition = define("loose", Loose)
    assert definition.redacted(("a",), {"secret": "b", "other": "c"}) == ("secret", "other")
    assert define("job", job_class(["token"])).redacted(("a",), {"text": "c"}) == (0,)
    assert define("job", job_class([])).redacted(("a",), {"text": "c"}) == ()


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((), {"token": SECRET}),
        ((), {"tokn": SECRET}),
        ((7, SECRET), {}),
        ((), {"token": f'{{"password": "{SECRET}"}}', "at": "x"}),
    ],
)
def test_no_message_about_arguments_shows_them(args: Sequence[Any], kwargs: dict[str, Any]) -> None:
    class Hides(BackgroundJob):
        redact = ("token",)

        async def run(self, *, token: int = 4711_4711, at: int = 1) -> None: ...

    definition = define("hides", Hides)
    with pytest.raises(InvalidArguments) as raised:
        bind(definition, args, kwargs)
    with pytest.raises(InvalidArguments) as typed:
        bind_text(definition, [str(each) for each in args], kwargs)
    for text in (str(raised.value), str(typed.value)):
        assert "sk_live" not in text
        assert "47114711" not in text
        assert "token: int = ***" in text
        assert "a str, which is not shown" in text
    assert definition.usage == "hides(*, token: int = ***, at: int = 1)"


def test_what_is_wrong_with_an_argument_that_is_not_hidden_is_shown() -> None:
    with pytest.raises(InvalidArguments, match="at: expected int, found 'soon'"):
        bind(define("letters", Letters), (SECRET,), {"at": "soon"})
    with pytest.raises(InvalidArguments) as raised:
        bind(define("letters", Letters), (7, SECRET), {"at": 1})
    assert str(raised.value).endswith("argument 1 (*letters): expected str, found an int, which is not shown")


async def test_nobody_is_shown_them_and_the_job_has_them(
    project_folder: ProjectFolder, caplog: pytest.LogCaptureFixture
) -> None:
    login = {"user": "ann", "password": "hunter2!"}
    async with open_shop(project_folder) as shop:
        request = Request(shop.add(Sends), ("ann@x", SECRET), {"login": login})
        queued = await shop.project.enqueue(request)
        with caplog.at_level(logging.DEBUG, "pinstripe"):
            recorder = Recorder()
            await shop.project.worker(watcher=recorder).work(drain=True)
        done = await shop.project.ledger.find_run(queued.id)
        execution = await shop.execution(done)
        retry = await retried(shop, done, watcher=recorder)
        retried_execution = await shop.execution(retry)

        assert (done.args, done.kwargs) == (("ann@x", SECRET), {"login": login})
        for run in (queued, done, retry):
            assert run.redacted == (1, "login")
            assert run.shown() == (("ann@x", "***"), {"login": "***"})
            assert (run.to_json()["args"], run.to_json()["kwargs"]) == (["ann@x", "***"], {"login": "***"})
        assert execution.error == "ValueError: ann@x: '***' was refused for user='ann' password='***'"
        told = [record.getMessage() for record in caplog.records if record.name == "pinstripe"]
        assert len(told) == 1
        seen = [request, queued, done, retry, execution, retried_execution, recorder.printed, recorder.failures]
        for text in (*map(repr, seen), repr(done.to_json()), *told):
            assert "4711" not in text
            assert "hunter2!" not in text
        assert execution.log is not None
        assert "sending with ***\n" in execution.log
        assert "\n***\n" in execution.log  # written in two parts


async def test_what_a_process_of_its_own_leaves_is_hidden_too(project_folder: ProjectFolder) -> None:
    project_folder.job(
        "isolated",
        """
        from pinstripe import BackgroundJob

        class Isolated(BackgroundJob):
            redact = ["token"]
            runs_in = "process"

            def run(self, token):
                print("prints", token)
                raise ValueError(token)
        """,
    )
    async with open_shop(project_folder) as shop:
        run = await shop.project.run(Request("isolated", (SECRET,)))
        execution = await shop.execution(run)
        assert (execution.error, execution.log) == ("ValueError: ***", "prints ***\n")
        assert "sk_live" not in (execution.traceback or "")


async def test_schedules_hide_them(project_folder: ProjectFolder) -> None:
    schedule = Schedule("@daily", args=["x"], kwargs={"token": SECRET})
    made = type("Scheduled", (job_class(["token"]),), {"schedule": schedule, "__module__": __name__})

    async def run(self: BackgroundJob, text: str, token: str) -> None: ...

    made.run = run  # type: ignore[attr-defined]
    (loaded,) = define("scheduled", made).schedules
    assert loaded == schedule
    assert loaded.shown() == (("x",), {"token": "***"})
    assert schedule.shown() == (("x",), {"token": SECRET})
    assert loaded.key("UTC") == schedule.key("UTC")


async def test_what_is_logged_by_mistake_tells_no_arguments(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        request = Request(shop.add(Sends), ("ann@x", SECRET))
        runs = shop.project._runs()  # noqa: SLF001 - what others get to see of it
        plan = await runs.plan(request)
        (work,) = await runs._works(request, NOTHING_SAID, None, None, None)  # noqa: SLF001 - as above
        queued = QueuedRun(1, "x", "sends", "cli", [SECRET], {}, {}, "x", None, None, None, 2, 1, 0)
        preview = await shop.project.preview(request)
        assert preview.shown() == (("ann@x", "***"), {})
        for each in (request, plan, work, queued, preview):
            assert "sk_live" not in repr(each)
        assert isinstance(work, NewWork)
        assert work.run.redacted == (1,)


async def test_what_an_older_run_hid_its_retry_hides(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        first = await shop.run(Sends, "ann@x", SECRET)
        definition = shop.project.registry.find("sends")
        object.__setattr__(definition, "redact", frozenset({"whom"}))  # a deploy brings another version of it
        retry = await shop.project.enqueue_retry(first.id)
        assert retry is not None
        assert set(retry.redacted) == {0, 1}
        assert (await shop.project.ledger.find_run(retry.id)).shown() == (("***", "***"), {})
        assert retry.trigger == Trigger.RETRY
