from __future__ import annotations

import asyncio
import email
import email.policy
import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe import testing
from tests.examples.conftest import NOW

if TYPE_CHECKING:
    from pathlib import Path

    from newsletter.mail import Mailer
    from newsletter.store import Store
    from pinstripe import BackgroundJob
    from tests.examples.conftest import MailServer

pytestmark = pytest.mark.anyio

TENANT = "harbour-books"


async def perform(
    job: type[BackgroundJob], store: Store, /, *args: object, tenant: str = TENANT, **services: object
) -> Any:
    from newsletter.database import Database

    [row] = await store.read("select * from tenants where id = ?", [tenant])
    database = Database(store, tenant)
    async with testing.workspace(tenant=dict(row), services={"database": database, **services}) as workspace:
        return await workspace.perform(job, *args)


async def other_tenant(store: Store) -> str:
    [row] = await store.read("select id from tenants where active and id <> ? limit 1", [TENANT])
    return str(row["id"])


async def test_send_newsletter_sends_one_message_to_each_subscriber(
    store: Store, mailer: Mailer, mail_server: MailServer
) -> None:
    from lib.background_jobs.send_newsletter import SendNewsletter

    tenant = await other_tenant(store)
    rows = await store.read("select email from users where tenant_id = ? and subscribed", [tenant])

    sent = await perform(SendNewsletter, store, "weekly", tenant=tenant, mailer=mailer)

    assert sent == len(rows)
    assert sorted(mail_server.recipients) == sorted(row["email"] for row in rows)
    subjects = {
        email.message_from_bytes(message, policy=email.policy.default)["Subject"]
        for *_, message in mail_server.messages
    }
    assert len(subjects) == 1


async def test_a_retry_after_mending_sends_only_what_is_missing(
    store: Store, mailer: Mailer, mail_server: MailServer
) -> None:
    from lib.background_jobs.send_newsletter import SendNewsletter
    from newsletter.mend import mend
    from newsletter.models import InvalidAddress

    with pytest.raises(InvalidAddress, match=r"like name@domain, got '.*\(at\)harbour-books\.example'"):
        await perform(SendNewsletter, store, "weekly", mailer=mailer)
    before = len(mail_server.messages)
    mend(store.path)
    subscribers = await perform(SendNewsletter, store, "weekly", mailer=mailer)

    assert 0 < before < subscribers
    assert len(mail_server.recipients) == len(set(mail_server.recipients)) == subscribers


async def test_an_interrupted_job_has_written_down_every_message_that_was_taken(
    store: Store, mailer: Mailer, mail_server: MailServer
) -> None:
    from lib.background_jobs.send_newsletter import SendNewsletter

    tenant = await other_tenant(store)
    mail_server.may_take.clear()
    job = asyncio.create_task(perform(SendNewsletter, store, "weekly", tenant=tenant, mailer=mailer))
    await mail_server.taking.wait()
    job.cancel()
    mail_server.may_take.set()
    await asyncio.wait([job])
    assert job.cancelled() or job.exception()

    [row] = await store.read("select count(*) from deliveries where tenant_id = ?", [tenant])
    assert row[0] == len(mail_server.messages) == 1


async def test_a_segment_that_was_never_published_is_an_error(store: Store, mailer: Mailer) -> None:
    from lib.background_jobs.send_newsletter import SendNewsletter
    from newsletter.edition import NothingPublished

    with pytest.raises(NothingPublished, match="'harbour-books' has published no issue for the segment 'hourly'"):
        await perform(SendNewsletter, store, "hourly", mailer=mailer)


async def test_every_segment_means_the_newest_issue(store: Store, mailer: Mailer, mail_server: MailServer) -> None:
    from lib.background_jobs.send_newsletter import SendNewsletter

    await perform(SendNewsletter, store, tenant=await other_tenant(store), mailer=mailer)

    assert b"Subject: This week at" in mail_server.messages[0][2]


async def test_only_active_tenants_get_newsletters(database_file: Path) -> None:
    from lib.background_jobs.send_newsletter import SendNewsletter
    from newsletter.tenancy import tenants
    from pinstripe.tenant_sources import Tenants

    chosen = [tenant.active async for tenant in SendNewsletter.tenants_filter(Tenants(tenants))]

    assert chosen == [True] * 5


@pytest.mark.parametrize("minutes", [30, 60])
async def test_purge_old_sessions(store: Store, monkeypatch: pytest.MonkeyPatch, minutes: int) -> None:
    from lib.background_jobs.purge_old_sessions import PurgeOldSessions
    from newsletter import moments

    monkeypatch.setattr(moments, "now", lambda: NOW)
    expired = {30: "2026-11-21T19:30:00Z", 60: "2026-11-21T19:00:00Z"}[minutes]
    with closing(sqlite3.connect(store.path)) as connection:
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

        deleted = await perform(PurgeOldSessions, store, *([] if minutes == 30 else [minutes]))

        assert deleted == ours_old
        assert connection.execute(count, (TENANT, True, expired, True)).fetchone() == (0,)
        assert connection.execute(count, (TENANT, True, expired, False)).fetchone() == (ours_new,)
        assert connection.execute(count, (TENANT, False, expired, True)).fetchone() == (theirs_old,)


async def test_database_backup(store: Store, tmp_path: Path) -> None:
    from lib.background_jobs.database_backup import DatabaseBackup

    result = await perform(DatabaseBackup, store, store=store)

    assert result["file"] == str(tmp_path / "backups" / "harbour-books.db")
    with closing(sqlite3.connect(result["file"])) as connection:
        assert connection.execute("select distinct tenant_id from users").fetchall() == [(TENANT,)]


async def test_send_daily_reports(
    store: Store, mailer: Mailer, mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lib.background_jobs.send_daily_reports import SendDailyReports
    from newsletter import moments

    monkeypatch.setattr(moments, "now", lambda: NOW)
    await store.write("update users set joined_at = '2025-01-01T00:00:00Z'")
    two = "select id from users where tenant_id = ? limit 2"
    await store.write(f"update users set joined_at = '2026-11-21T08:00:00Z' where id in ({two})", [TENANT])

    await perform(SendDailyReports, store, mailer=mailer)

    [(sender, recipients, content)] = mail_server.messages
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert (sender, recipients) == ("reports@newsletter.example", ["owner@harbour-books.example"])
    assert message["Subject"] == "Harbour Books: 2 new, 0 newsletters sent"
    assert "     2 joined" in message.get_content()
