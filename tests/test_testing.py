from __future__ import annotations

import uuid
from datetime import date
from typing import Any

import pytest

import pinstripe.testing
from pinstripe.answers import Cancel, RetryLater
from pinstripe.background_job import BackgroundJob
from pinstripe.errors import (
    ConfigurationError,
    InvalidArguments,
    InvalidJob,
    PinstripeError,
    TenantRequired,
    UnknownJob,
    WorkspaceClosed,
)
from pinstripe.tenants import Tenant

pytestmark = pytest.mark.anyio


class Mailer:
    """A fake that remembers."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    async def send(self, text: str) -> None:
        self.sent.append(text)


class Greet(BackgroundJob):
    multi_tenant = True
    mailer: Any

    async def run(self, segment: str = "all") -> int:
        await self.mailer.send(f"{self.tenant.id} {segment}")
        return len(self.mailer.sent)


class GreetPlainly(BackgroundJob):
    mailer: Any

    def run(self) -> int:
        self.wait(self.mailer.send("plain"))
        return len(self.mailer.sent)


class Outer(BackgroundJob):
    async def run(self, job: str) -> Any:
        run = await self.run_background_job(job, "weekly")
        return run.job, str(run.status), run.result, run.executions.total


class Risky(BackgroundJob):
    runs_in = "process"

    def run(self, how: str) -> None:
        if how == "exit":
            raise SystemExit(1)
        raise LookupError(how)


async def test_perform_gives_what_run_returns() -> None:
    fake = Mailer()
    async with pinstripe.testing.workspace(tenant={"id": "acme"}, services={"mailer": fake}) as workspace:
        assert await workspace.perform(Greet, "weekly") == 1
        assert await workspace.perform(Greet, segment="daily") == 2
        assert await workspace.perform(GreetPlainly) == 3
    assert fake.sent == ["acme weekly", "acme daily", "plain"]
    with pytest.raises(WorkspaceClosed):
        await workspace.perform(Greet)


async def test_perform_raises_what_run_raises() -> None:
    async with pinstripe.testing.workspace() as workspace:
        with pytest.raises(LookupError, match="lost"):
            await workspace.perform(Risky, "lost")
        with pytest.raises(PinstripeError, match=r"the job called sys.exit\(1\)"):
            await workspace.perform(Risky, "exit")


@pytest.mark.parametrize("tenant", ["acme", {"id": "acme"}, Tenant("acme")])
async def test_a_tenant_may_be_given_in_every_form(tenant: object) -> None:
    async with pinstripe.testing.workspace(tenant=tenant) as workspace:
        assert workspace.require_tenant().id == "acme"


async def test_arguments_reach_run_as_they_would_in_a_real_run() -> None:
    class Job(BackgroundJob):
        async def run(self, day: date, key: uuid.UUID, names: list[str]) -> list[object]:
            return [day, key, names]

    key = uuid.uuid4()
    async with pinstripe.testing.workspace() as workspace:
        assert await workspace.perform(Job, date(2026, 11, 21), key, ["a"]) == [date(2026, 11, 21), key, ["a"]]
        with pytest.raises(InvalidArguments, match="day"):
            await workspace.perform(Job, "not a day", key, [])


async def test_what_is_missing_is_told_with_the_remedy() -> None:
    async with pinstripe.testing.workspace(tenant="acme") as workspace:
        with pytest.raises(ConfigurationError, match=r"Greet declares mailer: expected workspace\(services="):
            await workspace.perform(Greet)
    async with pinstripe.testing.workspace(services={"mailer": Mailer()}) as workspace:
        with pytest.raises(TenantRequired, match="Greet is multi-tenant"):
            await workspace.perform(Greet)


async def test_a_class_that_breaks_a_rule_is_refused_as_by_a_project() -> None:
    class Job(BackgroundJob):
        timeout = "30s"

        def run(self) -> None: ...

    async with pinstripe.testing.workspace() as workspace:
        with pytest.raises(InvalidJob, match="timeout on a plain def run"):
            await workspace.perform(Job)


async def test_a_job_may_run_another_by_name_or_by_class() -> None:
    class ByClass(BackgroundJob):
        async def run(self) -> Any:
            return (await self.run_background_job(Greet)).result

    services = {"mailer": Mailer()}
    async with pinstripe.testing.workspace(tenant="acme", services=services, jobs={"greet": Greet}) as workspace:
        assert await workspace.perform(Outer, "Greet") == ("greet", "succeeded", 1, 1)
        assert await workspace.perform(ByClass) == 2
        with pytest.raises(UnknownJob, match=r"the test knows no job 'great' \(did you mean greet\?\); give it by"):
            await workspace.perform(Outer, "great")


async def test_a_job_under_test_can_not_choose_tenants() -> None:
    class Job(BackgroundJob):
        async def run(self) -> None:
            await self.options(tenants=["globex"]).run_background_job(Greet)

    async with pinstripe.testing.workspace(tenant="acme", services={"mailer": Mailer()}) as workspace:
        with pytest.raises(ConfigurationError, match="can't choose tenants"):
            await workspace.perform(Job)


async def test_a_database_that_is_given_needs_no_declaration() -> None:
    class Job(BackgroundJob):
        async def run(self) -> Any:
            return self.database

    async with pinstripe.testing.workspace(services={"database": "a database"}) as workspace:
        assert await workspace.perform(Job) == "a database"


class Answers(BackgroundJob):
    async def run(self, answer: str) -> None:
        raise Cancel("the card has expired") if answer == "cancel" else RetryLater("5m")


async def test_what_a_job_answers_is_raised() -> None:
    async with pinstripe.testing.workspace() as workspace:
        with pytest.raises(Cancel, match=r"^the card has expired$"):
            await workspace.perform(Answers, "cancel")
        with pytest.raises(RetryLater) as raised:
            await workspace.perform(Answers, "later")
    assert raised.value.delay.total_seconds() == 300


class Enqueues(BackgroundJob):
    async def run(self, job: str) -> list[str]:
        one = await self.options(delay="5m", key="k").enqueue_background_job(job, "weekly")
        again = await self.options(key="k").enqueue_background_job(job, "daily")
        many = await self.enqueue_background_jobs(job, [("a",), {"segment": "b"}])
        return [one.id, again.id, *(run.id for run in many)]


async def test_what_a_job_enqueues_is_kept_for_the_test_and_not_performed() -> None:
    mailer = Mailer()
    async with pinstripe.testing.workspace(tenant="acme", services={"mailer": mailer}, jobs={"greet": Greet}) as bench:
        ids = await bench.perform(Enqueues, "greet")
        await bench.enqueue_background_job(Greet, "by hand")
        runs = bench.enqueued
        assert ids == [runs[0].id, *(run.id for run in runs[:3])]
        assert [(run.job, run.status, run.args, run.kwargs) for run in runs] == [
            ("greet", "queued", ("weekly",), {}),
            ("greet", "queued", ("a",), {}),
            ("greet", "queued", (), {"segment": "b"}),
            ("greet", "queued", ("by hand",), {}),
        ]
        assert (runs[0].executions.total, runs[0].executions.queued) == (1, 1)
    assert mailer.sent == []


@pytest.mark.parametrize(
    ("job", "args", "options", "error"),
    [
        ("nobody", (), {}, UnknownJob),
        (Greet, (5,), {}, InvalidArguments),
        (Greet, (), {"tenants": ["acme"]}, ConfigurationError),
        (Greet, (), {"priority": "urgent"}, InvalidArguments),
        (Greet, (), {}, TenantRequired),
    ],
)
async def test_what_can_not_be_enqueued_is_refused_there_too(
    job: Any, args: tuple[Any, ...], options: dict[str, Any], error: type[Exception]
) -> None:
    tenant = None if error is TenantRequired else "acme"
    async with pinstripe.testing.workspace(tenant=tenant) as bench:
        with pytest.raises(error):
            await bench.options(**options).enqueue_background_job(job, *args)
        with pytest.raises(error):
            await bench.options(**options).enqueue_background_jobs(job, [args])
        assert bench.enqueued == []
