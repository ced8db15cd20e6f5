"""What stands for another connection in each thread is resolved in the caller's; Django's is in `tests/django/`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from pinstripe.thread_bound import resolve


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
