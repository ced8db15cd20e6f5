from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pinstripe.clock import SystemClock
from pinstripe.config import load_settings
from pinstripe.errors import ConfigurationError
from pinstripe.ledgers.postgres.database_clock import DatabaseClock
from pinstripe.ledgers.postgres.ledger import PostgresLedger
from pinstripe.ledgers.sqlite.ledger import SQLiteLedger
from pinstripe.project_ledger import make_ledger
from pinstripe.version import VERSION
from tests.ledgers.conftest import HandClock

if TYPE_CHECKING:
    from pathlib import Path

    from pinstripe.config import Settings
    from tests.postgres import Postgres

pytestmark = pytest.mark.anyio


def settings_of(folder: Path, **flags: object) -> Settings:
    return load_settings(folder, environment={}, flags=flags)


def test_by_default_it_is_a_file_and_goes_by_the_machines_clock(tmp_path: Path) -> None:
    ledger, clock = make_ledger(settings_of(tmp_path))
    assert isinstance(ledger, SQLiteLedger)
    assert ledger.path == tmp_path / ".pinstripe" / "ledger.db"
    assert isinstance(clock, SystemClock)


def test_by_a_url_of_postgresql_it_is_there_and_goes_by_the_databases_clock(tmp_path: Path) -> None:
    ledger, clock = make_ledger(settings_of(tmp_path, ledger="postgresql://app@db/app"))
    assert isinstance(ledger, PostgresLedger)
    assert isinstance(clock, DatabaseClock)


@pytest.mark.parametrize("url", ["sqlite:///ledger.db", "postgresql://app@db/app"])
def test_a_clock_that_is_given_is_gone_by(tmp_path: Path, url: str) -> None:
    given = HandClock()
    assert make_ledger(settings_of(tmp_path, ledger=url), given)[1] is given


def test_a_url_that_cant_be_one_is_refused_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"setting ledger: .*'#'") as caught:
        make_ledger(settings_of(tmp_path, ledger="postgresql://app:s3c#ret@db/app"))
    assert "s3c" not in str(caught.value)


@pytest.mark.parametrize(("given", "told"), [(None, VERSION), ("2026.11.22-3", "2026.11.22-3")])
async def test_its_processes_have_the_version_of_the_application(tmp_path: Path, given: str | None, told: str) -> None:
    ledger, _ = make_ledger(settings_of(tmp_path, code_version=given))
    await ledger.open()
    try:
        await ledger.queue.join(1)
        assert [process.code_version for process in (await ledger.queue.status()).processes] == [told]
    finally:
        await ledger.close()


async def test_on_postgresql_it_is_in_the_schema_of_the_setting(
    tmp_path: Path, postgres: Postgres, postgres_database: str
) -> None:
    url = postgres.url(postgres_database)
    ledger, _ = make_ledger(settings_of(tmp_path, ledger=url, ledger_schema="jobs", code_version="7"))
    await ledger.open()
    try:
        await ledger.queue.join(1)
        assert [process.code_version for process in (await ledger.queue.status()).processes] == ["7"]
    finally:
        await ledger.close()
    found = postgres.execute_now(
        "select nspname from pg_namespace where nspname ~ '^(jobs|pinstripe)'", database=postgres_database
    )
    assert {name for (name,) in found} == {"jobs", "jobs_engine"}


def test_whoever_has_a_file_waits_for_no_driver_of_postgresql(tmp_path: Path) -> None:
    code = (
        "import sys; from pinstripe.config import load_settings; from pinstripe.project_ledger import make_ledger; "
        f"make_ledger(load_settings({str(tmp_path)!r})); "
        "print({'asyncpg', 'pgqueuer', 'pinstripe.postgres_address'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "set()\n"
