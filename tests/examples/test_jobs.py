from __future__ import annotations

import asyncio
import email
import email.policy
import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.examples.conftest import NOW, rows

if TYPE_CHECKING:
    from pathlib import Path

    from pinstripe import Project
    from tests.examples.conftest import MailServer

pytestmark = pytest.mark.anyio

TENANT = "harbour-books"


async def perform(project: Project, job: str, /, *args: object, tenant: str = TENANT) -> Any:
    async with project.workspace(tenant=tenant) as workspace:
        return (await workspace.run_background_job(job, *args)).result


def other_tenant(database_file: Path) -> str:
    [(tenant,)] = rows(database_file, "select id from tenants where active and id <> ? limit 1", TENANT)
    return str(tenant)


async def test_send_newsletter_sends_one_message_to_each_subscriber(
    project: Project, database_file: Path, mail_server: MailServer
) -> None:
    tenant = other_tenant(database_file)
    addresses = rows(database_file, "select email from users where tenant_id = ? and subscribed", tenant)

    sent = await perform(project, "send_newsletter", "weekly", tenant=tenant)

    assert sent == len(addresses)
    assert sorted(mail_server.recipients) == sorted(address for (address,) in addresses)
    subjects = {
        email.message_from_bytes(message, policy=email.policy.default)["Subject"]
        for *_, message in mail_server.messages
    }
    assert len(subjects) == 1


async def test_a_retry_after_mending_sends_only_what_is_missing(
    project: Project, database_file: Path, mail_server: MailServer
) -> None:
    from newsletter.mend import mend
    from newsletter.models import InvalidAddress

    with pytest.raises(InvalidAddress, match=r"like name@domain, got '.*\(at\)harbour-books\.example'"):
        await perform(project, "send_newsletter", "weekly")
    before = len(mail_server.messages)
    mend(database_file)
    subscribers = await perform(project, "send_newsletter", "weekly")

    assert 0 < before < subscribers
    assert len(mail_server.recipients) == len(set(mail_server.recipients)) == subscribers


async def test_an_interrupted_job_has_written_down_every_message_that_was_taken(
    project: Project, database_file: Path, mail_server: MailServer
) -> None:
    tenant = other_tenant(database_file)
    mail_server.may_take.clear()
    job = asyncio.create_task(perform(project, "send_newsletter", "weekly", tenant=tenant))
    await mail_server.taking.wait()
    job.cancel()
    mail_server.may_take.set()
    await asyncio.wait([job])
    assert job.cancelled() or job.exception()

    [(delivered,)] = rows(database_file, "select count(*) from deliveries where tenant_id = ?", tenant)
    assert delivered == len(mail_server.messages) == 1


async def test_a_message_that_could_not_be_written_down_has_the_same_id_when_it_is_sent_again(
    project: Project, database_file: Path, mail_server: MailServer
) -> None:
    tenant = other_tenant(database_file)
    await perform(project, "send_newsletter", "weekly", tenant=tenant)
    rows(database_file, "delete from deliveries where user_id = (select max(user_id) from deliveries)")
    await perform(project, "send_newsletter", "weekly", tenant=tenant)

    first, second = (
        email.message_from_bytes(message, policy=email.policy.default) for *_, message in mail_server.messages[-2:]
    )
    assert len(mail_server.recipients) == len(set(mail_server.recipients)) + 1
    assert (first["To"], first["Message-ID"]) == (second["To"], second["Message-ID"])


@pytest.mark.usefixtures("mail_server")
async def test_a_segment_that_was_never_published_is_an_error(project: Project) -> None:
    from newsletter.edition import NothingPublished

    with pytest.raises(NothingPublished, match="no issue has been published for the segment 'hourly'"):
        await perform(project, "send_newsletter", "hourly")


async def test_every_segment_means_the_newest_issue(
    project: Project, database_file: Path, mail_server: MailServer
) -> None:
    await perform(project, "send_newsletter", tenant=other_tenant(database_file))

    assert b"Subject: This week at" in mail_server.messages[0][2]


async def test_only_active_tenants_get_newsletters(project: Project) -> None:
    from lib.background_jobs.send_newsletter import SendNewsletter

    assert project.tenants is not None
    chosen = [tenant.active async for tenant in SendNewsletter.tenants_filter(project.tenants)]

    assert chosen == [True] * 5


@pytest.mark.parametrize("minutes", [30, 60])
async def test_purge_old_sessions(
    project: Project, database_file: Path, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    from newsletter import moments

    monkeypatch.setattr(moments, "now", lambda: NOW)
    expired = {30: "2026-11-21T19:30:00Z", 60: "2026-11-21T19:00:00Z"}[minutes]
    with closing(sqlite3.connect(database_file)) as connection:
        for moment in (
            NOW - timedelta(minutes=minutes, seconds=1),
            NOW - timedelta(minutes=minutes),
        ):  # out, and just not
            connection.execute(
                "insert into sessions (tenant_id, user_id, last_accessed_at) select tenant_id, id, ? from users",
                [moments.written(moment)],
            )
        connection.commit()
        count = "select count(*) from sessions where (tenant_id = ?) = ? and (last_accessed_at < ?) = ?"
        [ours_old, ours_new, theirs_old] = [
            connection.execute(count, (TENANT, ours, expired, old)).fetchone()[0]
            for ours, old in ((True, True), (True, False), (False, True))
        ]

        deleted = await perform(project, "purge_old_sessions", *([] if minutes == 30 else [minutes]))

        assert deleted == ours_old
        assert connection.execute(count, (TENANT, True, expired, True)).fetchone() == (0,)
        assert connection.execute(count, (TENANT, True, expired, False)).fetchone() == (ours_new,)
        assert connection.execute(count, (TENANT, False, expired, True)).fetchone() == (theirs_old,)


async def test_database_backup(project: Project, tmp_path: Path) -> None:
    result = await perform(project, "database_backup")

    path = tmp_path / "backups" / "harbour-books.db"
    assert result["file"] == str(path)
    assert rows(path, "select distinct tenant_id from users") == [(TENANT,)]
    tables = ("plans", "tenants", "users", "issues", "articles", "deliveries", "sessions")
    assert result["rows"] == sum(rows(path, f"select count(*) from {table}")[0][0] for table in tables)


async def test_a_backup_that_fails_leaves_nothing_behind(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from newsletter import backup

    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup, "insert", no_space)
    with pytest.raises(OSError, match="No space left"):
        await perform(project, "database_backup")

    assert list((tmp_path / "backups").iterdir()) == []


async def test_send_daily_reports(
    project: Project, database_file: Path, mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from newsletter import moments

    monkeypatch.setattr(moments, "now", lambda: NOW)
    rows(database_file, "update users set joined_at = '2025-01-01T00:00:00Z'")
    two = "select id from users where tenant_id = ? limit 2"
    rows(database_file, f"update users set joined_at = '2026-11-21T08:00:00Z' where id in ({two})", TENANT)

    await perform(project, "send_daily_reports")

    [(sender, recipients, content)] = mail_server.messages
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert (sender, recipients) == ("reports@newsletter.example", ["owner@harbour-books.example"])
    assert message["Subject"] == "Harbour Books: 2 new, 0 newsletters sent"
    assert "     2 joined" in message.get_content()
