"""Which errors of PostgreSQL mean that it can't be used, whatever was asked of it."""

from __future__ import annotations


def is_outage(sqlstate: str) -> bool:
    """Tell whether PostgreSQL's error code means that the server, the database or the login is not to be had.

    https://www.postgresql.org/docs/current/errcodes-appendix.html: connection exceptions, failed logins, a database
    that isn't there, too many connections, and a server that stops, starts, or ended the session.
    """
    return sqlstate[:2] in {"08", "28"} or sqlstate in {"3D000", "53300", "57P01", "57P02", "57P03", "57P04", "57P05"}


def reason(error: BaseException | None) -> str:
    """Say in one line what an error of a driver says, without its class's name before it."""
    text = str(error).partition("\n")[0]
    if text.startswith("<class "):  # SQLAlchemy's adapter of asyncpg: "<class 'asyncpg…Error'>: message"
        text = text.partition(">: ")[2]
    return text or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)
