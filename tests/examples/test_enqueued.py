"""The example's jobs as its own tests would try them: enqueued, and executed by a worker in the test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.examples.conftest import PROJECT, rows

if TYPE_CHECKING:
    from pathlib import Path

    from pinstripe.testing import BackgroundJobs

pytestmark = pytest.mark.anyio


@pytest.fixture
def jobs(database_file: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> BackgroundJobs:
    monkeypatch.setenv("PINSTRIPE_PROJECT", str(PROJECT))
    given: BackgroundJobs = request.getfixturevalue("background_jobs")
    return given


class Outbox:
    def __init__(self) -> None:
        self.recipients: list[str] = []

    async def send(self, sender: str, recipient: str, message: bytes) -> None:
        self.recipients.append(recipient)


async def test_a_newsletter_for_later_leaves_in_time(jobs: BackgroundJobs, database_file: Path) -> None:
    [(tenant,)] = rows(database_file, "select id from tenants where active and id <> 'harbour-books' limit 1")
    outbox = Outbox()
    jobs.replace_services(mailer=outbox)
    async with jobs.workspace(tenant=tenant) as workspace:
        await workspace.options(delay="1h").enqueue_background_job("send_newsletter")
    jobs.assert_enqueued("send_newsletter", segment="all", tenant=tenant)
    assert await jobs.drain() == []
    jobs.advance("1h")
    (run,) = await jobs.drain()
    subscribed = rows(database_file, "select email from users where tenant_id = ? and subscribed", tenant)
    assert run.result == len(subscribed)
    assert sorted(outbox.recipients) == sorted(address for (address,) in subscribed)
