from __future__ import annotations

import sqlite3

import pytest
from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from pinstripe.database.outages import unavailable
from pinstripe.errors import DatabaseUnavailable

URL_OF_FILE = URL.create("sqlite+aiosqlite", database="/srv/app.db")


def sqlite_error(code: int) -> DBAPIError:
    error = sqlite3.OperationalError("as sqlite says")
    error.sqlite_errorcode = code
    return DBAPIError("select 1", None, error)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (sqlite3.SQLITE_CANTOPEN, "can't be opened; the file and its folder"),
        (sqlite3.SQLITE_READONLY, "can be read only"),
        (sqlite3.SQLITE_READONLY | (4 << 8), "can be read only"),
        (sqlite3.SQLITE_PERM, "permissions forbid"),
        (sqlite3.SQLITE_NOTADB, "no SQLite database"),
        (sqlite3.SQLITE_CORRUPT, "damaged"),
        (sqlite3.SQLITE_IOERR, "disk failed"),
        (sqlite3.SQLITE_FULL, "disk is full"),
        (sqlite3.SQLITE_BUSY, "locked for 5 seconds"),
    ],
)
def test_a_file_that_cant_be_used(code: int, said: str) -> None:
    outage = unavailable(sqlite_error(code), URL_OF_FILE)
    assert outage is not None
    assert said in str(outage)
    assert "the SQLite database /srv/app.db: " in str(outage)
    assert "(as sqlite says)" in str(outage)


@pytest.mark.parametrize(
    "error",
    [
        sqlite_error(sqlite3.SQLITE_ERROR),
        sqlite_error(sqlite3.SQLITE_CONSTRAINT),
        IntegrityError("insert", None, sqlite3.IntegrityError("no code")),
        ValueError("not the database's"),
        OSError("a file of the job's own"),
    ],
)
def test_other_errors_are_left_alone(error: Exception) -> None:
    assert unavailable(error, URL_OF_FILE) is None


def test_what_was_said_already_stays() -> None:
    said = DatabaseUnavailable("x")
    assert unavailable(said, URL_OF_FILE) is said


def test_a_full_pool_says_what_to_raise_and_hides_the_password() -> None:
    outage = unavailable(PoolTimeout("QueuePool limit"), "postgresql+asyncpg://app:s3cret@db/app")
    assert outage is not None
    assert "postgresql://app:***@db/app" in str(outage)
    assert "raise pool_size" in str(outage)


def test_a_lost_connection() -> None:
    outage = unavailable(ConnectionResetError(104, "Connection reset by peer"), "postgresql://db/app")
    assert outage is not None
    assert "the connection to postgresql://db/app is lost: [Errno 104] Connection reset by peer" in str(outage)
