"""Jobs of the original system, ported as they were: each is a file of a project, found by its name and run for real."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import pinstripe
from tests.ported import command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio

SETTINGS = """
    [tool.pinstripe.database]
    url = "sqlite:///app.db"
    """

SERVICES = {
    "mailer": """
        class Mailer:
            def __init__(self, database):
                self._database = database

            async def send(self, recipient, subject):
                await self._database.outbox.insert(recipient=recipient, subject=subject)

        def mailer(database):
            return Mailer(database)
        """,
}

JOBS = {
    "deliver_notifications": """
        from typing import Any
        from pinstripe import BackgroundJob

        class DeliverNotifications(BackgroundJob):
            '''Deliver what users have been notified of since the last time.'''

            schedule = "* * * * *"
            mailer: Any

            async def run(self):
                notifications = self.database.notifications
                for one in await notifications.where(delivered=False).order_by("id").all():
                    await self.mailer.send(one.recipient, one.text)
                    await notifications.where(id=one.id).update(delivered=True)
                    print(f"told {one.recipient}")
        """,
    "purge_old_sessions": """
        from datetime import UTC, datetime, timedelta
        from pinstripe import BackgroundJob

        class PurgeOldSessions(BackgroundJob):
            '''Delete sessions that nobody has used for half an hour.'''

            schedule = "*/5 * * * *"
            minutes_until_expiry = 30

            async def run(self):
                limit = datetime.now(UTC) - timedelta(minutes=self.minutes_until_expiry)
                await self.database.sessions.where(last_accessed_at__lt=limit.isoformat()).delete()
        """,
    "purge_used_hashes": """
        from datetime import UTC, datetime
        from pinstripe import BackgroundJob

        class PurgeUsedHashes(BackgroundJob):
            '''Forget hashes that have expired and can't be used again anyway.'''

            schedule = "*/5 * * * *"

            def run(self):
                now = datetime.now(UTC).isoformat()
                return self.wait(self.database.used_hashes.where(expires_at__lt=now).delete())
        """,
    "cleanup_old_data": """
        from datetime import UTC, datetime, timedelta
        from pinstripe import BackgroundJob

        class CleanupOldData(BackgroundJob):
            '''Delete log entries of former weeks.'''

            schedule = "0 2 * * *"

            async def run(self, days: int = 30) -> int:
                limit = datetime.now(UTC) - timedelta(days=days)
                return await self.database.entries.where(created_at__lt=limit.isoformat()).delete()
        """,
    "send_email": """
        from typing import Any
        from pinstripe import BackgroundJob

        class SendEmail(BackgroundJob):
            '''Send one message.'''

            mailer: Any

            async def run(self, recipient: str, subject: str) -> str:
                await self.mailer.send(recipient, subject)
                return f"{subject} to {recipient}"
        """,
    "risky_operation": """
        from pinstripe import BackgroundJob

        class OperationFailed(Exception):
            pass

        class RiskyOperation(BackgroundJob):
            '''Do what may go wrong.'''

            async def run(self):
                raise OperationFailed("it went wrong")
        """,
    "careful_operation": """
        from pinstripe import BackgroundJob

        class CarefulOperation(BackgroundJob):
            '''Run the risky operation, and tell somebody when it goes wrong.'''

            async def run(self) -> str:
                try:
                    await self.run_background_job("risky_operation")
                except Exception as error:
                    await self.run_background_job("send_email", "ops@example.com", str(error))
                    return type(error).__name__
                return "fine"
        """,
}


def ago(**duration: float) -> str:
    return (datetime.now(UTC) - timedelta(**duration)).isoformat()


@pytest.fixture
def app(project_folder: ProjectFolder) -> Iterator[sqlite3.Connection]:
    """Write the project, and give its database, whose tables nobody declares: they are read from it."""
    project_folder.configure(SETTINGS)
    for name, source in SERVICES.items():
        project_folder.service(name, source)
    for name, source in JOBS.items():
        project_folder.job(name, source)
    with closing(sqlite3.connect(project_folder.path / "app.db", isolation_level=None)) as connection:
        connection.executescript(
            """
            create table sessions (name text, last_accessed_at text);
            create table used_hashes (value text, expires_at text);
            create table entries (name text, created_at text);
            create table notifications (id integer primary key, recipient text, text text, delivered boolean default 0);
            create table outbox (recipient text, subject text);
            """
        )
        yield connection


def names(app: sqlite3.Connection, table: str) -> list[str]:
    return [row[0] for row in app.execute(f"select * from {table} order by 1")]


async def test_deliver_notifications(app: sqlite3.Connection, project_folder: ProjectFolder) -> None:
    app.execute(
        "insert into notifications (recipient, text) "
        "values ('ada@example.com', 'A comment'), ('bo@example.com', 'A like')"
    )

    for expected in ("told ada@example.com\ntold bo@example.com\n", ""):
        done = command(project_folder.path, "run-background-job", "deliver-notifications", "--no-capture")
        assert done.returncode == 0, done.stderr
        assert [line for line in done.stdout.splitlines() if line.startswith("told")] == expected.splitlines()

    assert app.execute("select * from outbox").fetchall() == [
        ("ada@example.com", "A comment"),
        ("bo@example.com", "A like"),
    ]


async def test_purge_old_sessions(app: sqlite3.Connection, project_folder: ProjectFolder) -> None:
    app.execute("insert into sessions values ('old', ?), ('recent', ?)", (ago(minutes=31), ago(minutes=29)))

    async with pinstripe.open_project(project_folder.path) as project, project.workspace(tenant=None) as workspace:
        job: Any = project.registry.find("purge_old_sessions").job_class
        assert job.minutes_until_expiry == 30
        await workspace.run_background_job("purge_old_sessions")
        assert names(app, "sessions") == ["recent"]

        job.minutes_until_expiry = 28
        await workspace.run_background_job(job)
        assert names(app, "sessions") == []


async def test_purge_used_hashes(app: sqlite3.Connection, project_folder: ProjectFolder) -> None:
    app.execute(
        "insert into used_hashes values ('a', ?), ('b', ?), ('c', ?)", (ago(days=1), ago(days=-1), ago(seconds=1))
    )

    async with pinstripe.open_project(project_folder.path) as project, project.workspace(tenant=None) as workspace:
        run = await workspace.run_background_job("PurgeUsedHashes")

    assert run.status == "succeeded"
    assert run.result == 2
    assert names(app, "used_hashes") == ["b"]


@pytest.mark.parametrize("name", ["cleanup_old_data", "Cleanup-OldData", "cleanupOldData", "cleanup-old-data"])
async def test_cleanup_old_data(app: sqlite3.Connection, project_folder: ProjectFolder, name: str) -> None:
    app.execute(
        "insert into entries values ('older', ?), ('old', ?), ('new', ?)", (ago(days=31), ago(days=8), ago(days=6))
    )

    async with pinstripe.open_project(project_folder.path) as project, project.workspace(tenant=None) as workspace:
        assert (await workspace.run_background_job(name)).result == 1
        assert names(app, "entries") == ["new", "old"]
        assert (await workspace.run_background_job(name, days=7)).result == 1

    assert names(app, "entries") == ["new"]


async def test_cleanup_old_data_takes_its_days_from_the_command_line(
    app: sqlite3.Connection, project_folder: ProjectFolder
) -> None:
    app.execute("insert into entries values ('old', ?), ('new', ?)", (ago(days=8), ago(days=6)))

    done = command(project_folder.path, "run-background-job", "cleanup_old_data", "7", "--json")

    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)
    assert (run["job"], run["args"], run["result"], run["status"]) == ("cleanup_old_data", [7], 1, "succeeded")
    assert names(app, "entries") == ["new"]


async def test_send_email_takes_two_arguments(app: sqlite3.Connection, project_folder: ProjectFolder) -> None:
    async with pinstripe.open_project(project_folder.path) as project, project.workspace(tenant=None) as workspace:
        run = await workspace.run_background_job("send_email", "ada@example.com", "Welcome")
        assert (run.args, run.result) == (("ada@example.com", "Welcome"), "Welcome to ada@example.com")

        with pytest.raises(TypeError, match="send_email"):
            await workspace.run_background_job("send_email", "ada@example.com")

    assert app.execute("select * from outbox").fetchall() == [("ada@example.com", "Welcome")]


async def test_send_email_by_plain_calls(app: sqlite3.Connection, project_folder: ProjectFolder) -> None:
    def plainly() -> object:
        with pinstripe.open_project(project_folder.path) as project, project.workspace(tenant=None) as workspace:
            return workspace.run_background_job("send_email", "ada@example.com", subject="Welcome").result

    import anyio.to_thread

    assert await anyio.to_thread.run_sync(plainly) == "Welcome to ada@example.com"
    assert names(app, "outbox") == ["ada@example.com"]


async def test_the_error_of_a_risky_operation_reaches_the_caller(
    app: sqlite3.Connection, project_folder: ProjectFolder
) -> None:
    async with pinstripe.open_project(project_folder.path) as project, project.workspace(tenant=None) as workspace:
        with pytest.raises(Exception, match="it went wrong") as raised:
            await workspace.run_background_job("risky_operation")

    assert type(raised.value).__name__ == "OperationFailed"
    assert type(raised.value).__module__ == "lib.background_jobs.risky_operation"


async def test_the_error_of_a_risky_operation_reaches_a_job_that_runs_it(
    app: sqlite3.Connection, project_folder: ProjectFolder
) -> None:
    async with pinstripe.open_project(project_folder.path) as project, project.workspace(tenant=None) as workspace:
        assert (await workspace.run_background_job("careful_operation")).result == "OperationFailed"

    assert app.execute("select * from outbox").fetchall() == [("ops@example.com", "it went wrong")]


async def test_a_risky_operation_by_hand_exits_with_1_and_is_kept(
    app: sqlite3.Connection, project_folder: ProjectFolder
) -> None:
    done = command(project_folder.path, "run-background-job", "--name", "risky-operation")
    assert done.returncode == 1
    assert "OperationFailed: it went wrong" in done.stdout + done.stderr

    shown = command(project_folder.path, "show-run", "last", "--json")
    run = json.loads(shown.stdout)
    assert run["status"] == "failed"
    [failure] = run["failures"]
    assert (failure["tenant"], failure["attempts"]) == (None, 1)
    assert failure["error"].endswith("OperationFailed: it went wrong")
    assert "raise OperationFailed" in failure["traceback"]


async def test_the_jobs_are_listed_with_what_they_do(app: sqlite3.Connection, project_folder: ProjectFolder) -> None:
    done = command(project_folder.path, "list-background-jobs", "--json")

    assert done.returncode == 0, done.stderr
    assert [job["job"] for job in json.loads(done.stdout)] == sorted(JOBS)
