"""Logging in and out: by a token, or by the link that `start-server --dashboard` has printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

from pinstripe.actor import Actor, Door
from pinstripe.errors import LedgerError
from pinstripe.history import Action, AuditEntry
from pinstripe.log import Log
from pinstripe.server.access.bearers import digest_of, find_bearer
from pinstripe.server.access.cookies import NONCE, SESSION, set_cookie
from pinstripe.server.access.guard import LONGEST_WAY_BACK, PREFIX, address_of, too_many
from pinstripe.server.access.sessions import begin_session

if TYPE_CHECKING:
    from starlette.requests import Request

    from pinstripe.clock import Clock
    from pinstripe.history import History
    from pinstripe.server.access.bearers import Bearer
    from pinstripe.server.access.entrance import Entrance

HOME = f"{PREFIX}/"
"""Where somebody is led who asked for no other page."""

_log = Log()


class LoggedIn(NamedTuple):
    """The headers that begin a session."""

    cookies: tuple[str, ...]


async def log_in(entrance: Entrance, history: History, clock: Clock, request: Request, token: str) -> LoggedIn | None:
    """Begin a session by a token; None where it is a wrong one.

    Raises `Refused` (429) where somebody has guessed too often, unless that token has let in from there lately.
    """
    throttle, address, token = entrance.throttle, address_of(request), token.strip()
    digest = digest_of(token)
    if not throttle.remembers(address, digest) and (wait := throttle.wait(address)):
        raise too_many(wait)
    bearer = find_bearer(entrance.bearers, token)
    if bearer is None:
        throttle.failed(address)
        _log.warning("a wrong token was presented to the dashboard from %s", address)
        return None
    throttle.remember(address, digest)
    return await _begin(entrance, history, clock, request, bearer, "by a token")


async def follow_link(
    entrance: Entrance, history: History, clock: Clock, request: Request, code: str
) -> LoggedIn | None:
    """Begin a session by the code of the login link; None where that is another one, used before, or too old.

    Raises `Refused` (429) where somebody has guessed too often.
    """
    throttle, address = entrance.throttle, address_of(request)
    if wait := throttle.wait(address):
        raise too_many(wait)
    if entrance.link is None or not entrance.link.use(code):
        throttle.failed(address)
        _log.warning("a login link that is no longer valid was followed from %s", address)
        return None
    return await _begin(entrance, history, clock, request, entrance.local, "by the login link")


def log_out(request: Request) -> tuple[str, ...]:
    """Give the headers that end a session."""
    return (set_cookie(SESSION, request, "", 0), set_cookie(NONCE, request, "", 0))


def own_path(text: str) -> str:
    """Give where to go on after a login: `text` if that is a page of ours, else the first one."""
    if (
        len(text) > LONGEST_WAY_BACK
        or not text.startswith(HOME)
        or not text.isprintable()
        or "\\" in text
        or " " in text
    ):
        return HOME
    try:
        parts = urlsplit(text)
    except ValueError:
        return HOME
    steps = unquote(parts.path).split("/")
    if parts.scheme or parts.netloc or ".." in steps or "." in steps or "//" in parts.path:
        return HOME
    if unquote(parts.path).startswith((f"{PREFIX}/login", f"{PREFIX}/logout")):
        return HOME
    return text


async def _begin(
    entrance: Entrance, history: History, clock: Clock, request: Request, bearer: Bearer, detail: str
) -> LoggedIn:
    now = clock.now()
    name = bearer.access.name
    entry = AuditEntry(now, Actor(Door.DASHBOARD, name), Action.LOGIN, detail=detail)
    try:
        number = await history.begin_audit(entry)
        await history.end_audit(number, "logged in")
    except LedgerError as error:  # whoever looks for what is wrong with the ledger is not to be locked out
        _log.warning("a login isn't in the audit trail: %s", error)
    _log.info("%s logged in to the dashboard from %s", name, address_of(request))
    cookie = begin_session(bearer, now + entrance.session)
    return LoggedIn((set_cookie(SESSION, request, cookie, entrance.session // 1_000_000),))
