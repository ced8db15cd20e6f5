"""What the pages, the HTTP API and the metrics of a server are made with."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from pinstripe.clock import Clock
    from pinstripe.config import Settings
    from pinstripe.history import History
    from pinstripe.project import Project
    from pinstripe.server.access.entrance import Entrance
    from pinstripe.server.dashboard.live import LiveRuns
    from pinstripe.server.problems import Problem
    from pinstripe.views.timeline import Timeline


class WebContext:
    """The open project, who is let in, and what lives as long as the server does.

    The dashboard and the API are mounted: their routes begin after `/_pinstripe` and `/_pinstripe/api`, so that
    `/_pinstripe/jobs` is their "/jobs". The guard has let each request through, and `access_of(request)` is who it is
    from.
    """

    def __init__(self, project: Project, entrance: Entrance) -> None:
        """Take the `project`, whose ledger is open for writing, and the `entrance`."""
        self.project = project
        self.entrance = entrance
        self.stopping = asyncio.Event()
        """Set when the server is told to stop: what streams to a browser ends then."""
        self.live: LiveRuns
        """The runs that somebody looks at while they go on; set once anybody may."""
        self._timeline: Timeline | None = None
        self.error_page: Callable[[Request, Problem], Response] | None = None
        """Renders an error, also for nobody who is let in; the dashboard sets it."""

    @property
    def history(self) -> History:
        """What was."""
        return self.project.ledger.history

    @property
    def settings(self) -> Settings:
        """The project's settings."""
        return self.project.settings

    @property
    def clock(self) -> Clock:
        """What tells the time, as the ledger has it."""
        return self.project.clock

    @property
    def timeline(self) -> Timeline:
        """What fires next, looked at together by all pages."""
        if self._timeline is None:
            from pinstripe.views.timeline import Timeline

            self._timeline = Timeline(self.project)
        return self._timeline
