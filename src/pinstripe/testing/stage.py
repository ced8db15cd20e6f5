"""Where the projects of a process work while a test lasts: on a ledger, and by a clock, of the test's own.

It holds for every project of the process: one that is opened meanwhile, by whatever settings, and one that was open
before, as where an application opens it when it is imported. The project's own ledger is never touched.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from pinstripe.clock import SystemClock, to_datetime, to_microseconds
from pinstripe.config import load_settings
from pinstripe.duration import parse_duration
from pinstripe.errors import ConfigurationError
from pinstripe.ledgers.sqlite.queue import SQLiteQueue
from pinstripe.names import nearest
from pinstripe.opening import OPENED
from pinstripe.plain import PlainProject
from pinstripe.project import Project
from pinstripe.services import ServiceDefinition
from pinstripe.setting_keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from pathlib import Path

    import pytest

    from pinstripe.config import Settings


_SET_UP: set[tuple[Path, str | None]] = set()
"""The projects, and the functions in their setting `setup`, that were called in this process: each is called once."""


class Stage:
    """What a test has instead of the real thing, from `enter` to `leave`."""

    def __init__(self, folder: Path, ledger: Path, patch: pytest.MonkeyPatch) -> None:
        """Take the project's `folder`, the file of the test's `ledger`, and what undoes its changes after the test."""
        self.folder = folder
        self.ledger = ledger
        self._patch = patch
        self._now = SystemClock().now()
        self._stand_ins: dict[str, object] = {}
        self._seen: WeakSet[Project] = WeakSet()
        self._back: list[Callable[[], object]] = []
        self._project: Project | None = None

    @property
    def now(self) -> datetime:
        """What the clock tells."""
        return to_datetime(self._now)

    @property
    def settings(self) -> Settings:
        """The project's settings, with those of the test."""
        return load_settings(self.folder)

    @property
    def project(self) -> Project:
        """The project, to look up jobs and services in; it is never opened."""
        if self._project is None:
            self._project = Project(self.settings)
        return self._project

    def enter(self) -> None:
        """Lead what is open, and what will be, to the test's ledger and clock."""
        patch, make, prepare = self._patch, Project.__init__, Project._prepare  # noqa: SLF001 - to be done once only
        if str(self.folder) not in sys.path:
            sys.path.insert(0, str(self.folder))  # as an open project does
        patch.setenv("PINSTRIPE_LEDGER", self._url)  # for processes that the test starts

        def make_here(project: Project, settings: Settings, **given: Any) -> None:
            make(project, replace(settings, ledger=self._url), **given)
            self._see(project)

        def prepare_once(project: Project) -> None:
            what = project.settings.folder, project.settings.setup
            project._prepared = project._prepared or what in _SET_UP  # noqa: SLF001 - as above
            prepare(project)
            _SET_UP.add(what)

        patch.setattr(Project, "__init__", make_here)
        patch.setattr(Project, "_prepare", prepare_once)
        patch.setattr(SystemClock, "now", lambda _: self._now)
        patch.setattr(SQLiteQueue, "stands_in", True)
        of_databases = sys.modules.get("pinstripe.ledgers.postgres.database_clock")
        if of_databases is not None:  # some project goes by the time of its ledger's server
            patch.setattr(of_databases.DatabaseClock, "now", lambda _: self._now)
        for opened in list(OPENED):
            self._lead(opened)

    def leave(self) -> None:
        """Lead everything back."""
        for name in self._stand_ins:
            for project in self._seen:
                _replace(project, name, None)
        for back in reversed(self._back):
            back()

    def advance(self, duration: str | timedelta) -> None:
        """Let time go on."""
        self._now += parse_duration(duration) // timedelta(microseconds=1)

    def set_time(self, moment: datetime) -> None:
        """Set the time; raises `ValueError` for a moment without a time zone."""
        if moment.utcoffset() is None:
            message = f"expected an aware datetime, such as datetime(2026, 11, 21, 20, tzinfo=UTC), got {moment!r}"
            raise ValueError(message)
        self._now = to_microseconds(moment.astimezone(UTC))

    def configure(self, settings: Mapping[str, object]) -> None:
        """Set settings by their dotted names; raises `ConfigurationError` for what can't be set."""
        if "ledger" in settings:
            message = "the ledger of a test can't be chosen: it is a temporary one, so that no real one is touched"
            raise ConfigurationError(message)
        load_settings(self.folder, flags=settings)
        variables = {key.name: key.variable for key in KEYS}
        for name, value in settings.items():
            self._patch.setenv(variables[name], str(value))
        self._project = None

    def replace_services(self, services: Mapping[str, object]) -> None:
        """Have these values stand in for services; raises `ConfigurationError` for a name that no service has."""
        known = self.project.services.names()
        for name in services:
            if name not in known:
                near = nearest(name, known)
                what = f"nearest: {', '.join(near)}" if near else f"there are: {', '.join(known) or 'none'}"
                if name == "database":
                    what = "the database is set by configure({'database.url': …})"
                message = f"there is no service {name!r} in {self.project.settings.services} to replace; {what}"
                raise ConfigurationError(message)
        self._stand_ins.update(services)
        for project in self._seen:
            self._see(project)

    @property
    def _url(self) -> str:
        return f"sqlite:///{self.ledger}"

    def _see(self, project: Project) -> None:
        self._seen.add(project)
        for name, value in self._stand_ins.items():
            _replace(project, name, _stand_in(project, name, value))

    def _lead(self, opened: Project | PlainProject) -> None:
        """Give an open project this ledger for as long as the test lasts."""
        project = opened._project if isinstance(opened, PlainProject) else opened  # noqa: SLF001 - the other half
        here = Project(project.settings).ledger
        _finish(here.open(write=True))
        there: Any = project.ledger
        # The project's parts all have this object. So it is the object that becomes another, and is itself again later,
        # of whatever kind it is; its own connections rest meanwhile.
        kind, own = type(there), dict(vars(there))
        _become(there, type(here), vars(here))

        def back() -> None:
            _become(there, kind, own)
            _finish(here.close())

        self._back.append(back)
        self._see(project)


def _become(ledger: Any, kind: type, values: Mapping[str, object]) -> None:
    ledger.__class__ = kind
    vars(ledger).clear()
    vars(ledger).update(values)


def _stand_in(project: Project, name: str, value: object) -> ServiceDefinition:
    # Of the project, so that services of any scope may need it: it isn't closed in any case.
    return ServiceDefinition(name, lambda: value, (), "project", project.settings.services / f"{name}.py")


def _replace(project: Project, name: str, stand_in: ServiceDefinition | None) -> None:
    """Let a project know a service as its `stand_in`, or by its own file again, and forget what it knew of it."""
    found = project._services._found  # noqa: SLF001 - nobody else replaces services, so there is no public way
    found.pop(name, None)
    if stand_in is not None:
        found[name] = stand_in
    project._project_services._opening.pop(name, None)  # noqa: SLF001 - as above
    if project._executor is not None:  # noqa: SLF001 - as above
        project._executor._orders.clear()  # noqa: SLF001 - as above


def _finish(coroutine: Coroutine[Any, Any, object]) -> None:
    """Go through a coroutine that waits for nothing, whether or not an event loop runs here."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError


def run_plainly(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end, and leave no trace of its event loop."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        return runner.run(coroutine)


def make_ledger(path: Path) -> Path:
    """Make an empty ledger; give its file, whole and closed."""
    from pinstripe.ledgers.sqlite.connection import connect, log_ahead
    from pinstripe.ledgers.sqlite.schema import migrate

    connection = connect(path, write=True)
    log_ahead(connection, path)
    migrate(connection, path)
    connection.close()
    return path
