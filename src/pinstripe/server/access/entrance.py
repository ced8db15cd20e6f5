"""The entrance: everything that decides who is let in, made once from the settings."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pinstripe.server.access.bearers import Bearer, bearers_of
from pinstripe.server.access.hosts import Hosts
from pinstripe.server.access.login_link import LoginLink
from pinstripe.server.access.own_login import load_own_login
from pinstripe.server.access.throttle import Throttle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pinstripe.config import ServerSettings
    from pinstripe.server.access.own_login import OwnLogin


class Entrance:
    """Who has which token, by which names the server is reached, and how often somebody has guessed wrong."""

    def __init__(
        self,
        settings: ServerSettings,
        *,
        listens_at: Iterable[str] = (),
        local_secret: str | None = None,
        own_login: OwnLogin | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the settings, and the names that are listened at.

        `local_secret` is of this process: with it there is a login link. `monotonic` tells the time, in seconds.
        """
        self.bearers: tuple[Bearer, ...] = bearers_of(settings, local_secret)
        self.own_login = own_login
        self.hosts = Hosts((*settings.hosts, *listens_at))
        self.session = round(settings.session.total_seconds() * 1_000_000)
        self.throttle = Throttle(monotonic)
        self.link = None if local_secret is None else LoginLink(monotonic)
        self._has_local = local_secret is not None

    @property
    def is_open(self) -> bool:
        """Whether anybody can be let in at all."""
        return bool(self.bearers) or self.own_login is not None

    @property
    def local(self) -> Bearer:
        """Whoever has followed the login link; there must be one."""
        assert self._has_local  # noqa: S101 - without a link nobody follows it
        return self.bearers[-1]


def make_entrance(
    settings: ServerSettings, *, listens_at: Iterable[str] = (), local_secret: str | None = None
) -> Entrance:
    """Make the entrance of a server; raises `ConfigurationError` where the application's own login can't be imported.

    The project's folder must be on `sys.path`, and its `setup` called.
    """
    own = None if settings.access is None else load_own_login(settings.access)
    return Entrance(settings, listens_at=listens_at, local_secret=local_secret, own_login=own)
