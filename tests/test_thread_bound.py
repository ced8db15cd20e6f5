"""What stands for another connection in each thread is resolved in the caller's; Django's is in `tests/django/`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import asyncpg
import psycopg
import pytest
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session, async_sessionmaker
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from pinstripe.errors import InvalidArguments
from pinstripe.thread_bound import refuse_awaited, resolve


def test_a_scoped_session_is_that_of_the_thread() -> None:
    sessions = scoped_session(sessionmaker())
    here = resolve(sessions)
    assert isinstance(here, Session)
    assert resolve(sessions) is here
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(resolve, sessions).result() is not here


def test_a_scoped_session_that_is_awaited_is_that_of_its_scope() -> None:
    sessions = async_scoped_session(async_sessionmaker(), scopefunc=lambda: "here")
    assert isinstance(resolve(sessions), AsyncSession)
    assert resolve(sessions) is sessions()


def test_anything_else_is_given_as_it_is() -> None:
    given = object()
    assert resolve(given) is given
    session = Session()
    assert resolve(session) is session


@pytest.mark.parametrize(
    "kind",
    [AsyncSession, AsyncConnection, asyncpg.pool.PoolConnectionProxy, psycopg.AsyncConnection],
    ids=str,
)
def test_plain_code_has_no_use_for_what_is_awaited(kind: type) -> None:
    with pytest.raises(
        InvalidArguments, match=r"that isn't awaited, such as psycopg's .*; got (sqlalchemy|asyncpg|psycopg)"
    ):
        refuse_awaited(object.__new__(kind))


@pytest.mark.parametrize("kind", [Session, Connection, psycopg.Connection, object], ids=str)
def test_what_is_not_awaited_is_let_through(kind: type) -> None:
    refuse_awaited(object.__new__(kind))
