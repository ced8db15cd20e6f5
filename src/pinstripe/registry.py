"""The registry: from a job's name, or its class, to its definition."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pinstripe.background_job import BackgroundJob
from pinstripe.definition import BrokenJob, Definition
from pinstripe.discovery import JobFile, find_files, the_file
from pinstripe.errors import ConfigurationError, InvalidJob, UnknownJob
from pinstripe.importing import imported, line_of, same_file, source_of, summarise
from pinstripe.loading import define, the_job
from pinstripe.names import nearest, normalise_job_name

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from pinstripe.services import Services

ENTRY_POINTS = "pinstripe.background_jobs"
"""The group of entry points by which an installed package brings jobs: the name is the job's, the value its class."""


class Registry:
    """The jobs of one project: those in its files, those that code added, and those of installed packages."""

    def __init__(
        self,
        folder: Path,
        *,
        package: str,
        multi_tenant: bool,
        services: Services,
        time_zone: str | None = None,
    ) -> None:
        """Take the jobs' `folder` and its module name; and the project's default, `services` and zone."""
        self._folder = folder
        self._package = package
        self._multi_tenant = multi_tenant
        self._services = services
        self._time_zone = time_zone
        self._loaded: dict[str, Definition] = {}
        self._by_class: dict[type[BackgroundJob], Definition] = {}
        self._added: dict[str, type[BackgroundJob]] = {}

    def find(self, job: str | type[BackgroundJob]) -> Definition:
        """Give the definition of the job with that name, in any spelling, or of that class.

        Only that job's file is imported. Raises `UnknownJob`, with the nearest names, where there is none, and
        `InvalidJob` where it can't be loaded; then it is tried anew the next time.
        """
        if isinstance(job, str):
            return self._find_name(job)
        found = self._by_class.get(job)
        return found or self._find_class(job)

    def add(self, name: str, job_class: type[BackgroundJob]) -> Definition:
        """Register a job from code. It must have a name of its own: one that is taken raises `InvalidJob`."""
        try:
            normalised = normalise_job_name(name)
        except ValueError as error:
            raise InvalidJob(str(error)) from error
        if self._added.get(normalised, job_class) is not job_class or normalised in self._files():
            reason = f"there already is a background job {normalised!r}; add {job_class.__name__} under another name"
            raise InvalidJob(reason)
        definition = self._define(normalised, job_class, None)
        self._added[normalised] = job_class
        return definition

    def names(self) -> list[str]:
        """Give the names of all jobs, in order, without importing one."""
        return sorted({*self._files(), *self._added, *_entry_points()})

    def load_all(self) -> list[Definition | BrokenJob]:
        """Load every job, in the order of their names; one that can't be loaded breaks only itself."""
        files = self._files()
        return [self._load(name, files.get(name)) for name in self.names()]

    def _load(self, name: str, files: list[JobFile] | None) -> Definition | BrokenJob:
        try:
            return self._loaded.get(name) or (self._load_files(files) if files else self._find_name(name))
        except ConfigurationError as error:
            path = error.path or (Path(files[0].path) if files else None)
            return BrokenJob(name, path, error.line, error.reason)

    def _find_name(self, name: str) -> Definition:
        found = self._loaded.get(name)
        if found is not None:
            return found
        try:
            normalised = normalise_job_name(name)
        except ValueError as error:
            raise UnknownJob(str(error)) from error
        found = self._loaded.get(normalised)
        if found is not None:
            return found
        files = self._files()
        if normalised in files:
            return self._load_files(files[normalised])
        entry_points = _entry_points()
        if normalised in entry_points:
            return self._load_entry_points(normalised, entry_points[normalised])
        known = sorted({*files, *self._added, *entry_points})
        near = nearest(normalised, known)
        if near:
            hint = f"did you mean {' or '.join(near)}?"
        elif known:
            hint = "`pinstripe list-background-jobs` shows those there are"
        else:
            hint = f"there are none in {self._folder}; `pinstripe generate-background-job {normalised}` makes it"
        message = f"there is no background job {normalised!r}; {hint}"
        raise UnknownJob(message)

    def _find_class(self, job_class: object) -> Definition:
        if not (isinstance(job_class, type) and issubclass(job_class, BackgroundJob)):
            message = f"expected a background job's name or its class, got {type(job_class).__name__}"
            raise UnknownJob(message)
        name = self._name_of(job_class)
        if name is not None:
            definition = self._find_name(name)
            if definition.job_class is job_class:
                return definition
        shown = f"{job_class.__module__}.{job_class.__qualname__}"
        message = (
            f"the class {shown} is no job of this project; find it by its name where its file is in {self._folder}, "
            f"or register it with project.registry.add({_snake(job_class)!r}, {job_class.__name__})"
        )
        raise UnknownJob(message)

    def _name_of(self, job_class: type[BackgroundJob]) -> str | None:
        """Find the name of a class by its module's file, or by the entry point that names it."""
        source = getattr(sys.modules.get(job_class.__module__), "__file__", None)
        if source is not None:
            for files in self._files().values():
                if any(file.module == job_class.__module__ and same_file(source, Path(file.path)) for file in files):
                    return files[0].name
        value = f"{job_class.__module__}:{job_class.__qualname__}"
        for name, entry_points in _entry_points().items():
            if any(entry_point.value == value for entry_point in entry_points):
                return name
        return None

    def _files(self) -> dict[str, list[JobFile]]:
        return find_files(self._folder, self._package)

    def _load_files(self, files: list[JobFile]) -> Definition:
        file = the_file(files)
        path = Path(file.path)
        with imported(path, file.module, InvalidJob) as module:
            return self._define(file.name, the_job(module, path), path)

    def _load_entry_points(self, name: str, entry_points: list[EntryPoint]) -> Definition:
        if len(entry_points) > 1:
            values = " and ".join(sorted(entry_point.value for entry_point in entry_points))
            reason = f"several installed packages bring the job {name!r}: {values}; uninstall all but one"
            raise InvalidJob(reason)
        (entry_point,) = entry_points
        shown = f"the entry point {entry_point.value} of the group {ENTRY_POINTS}"
        try:
            job_class = entry_point.load()
        except KeyboardInterrupt:
            raise
        except BaseException as failure:  # an installed package's file may do anything, too
            reason = f"{shown} can't be loaded: {summarise(failure)}"
            raise InvalidJob(reason) from failure
        if not (isinstance(job_class, type) and issubclass(job_class, BackgroundJob)):
            reason = f"{shown} is no subclass of BackgroundJob"
            raise InvalidJob(reason)
        return self._define(name, job_class, None)

    def _define(self, name: str, job_class: type[BackgroundJob], path: Path | None) -> Definition:
        definition = define(
            name,
            job_class,
            path=path,
            multi_tenant=self._multi_tenant,
            services=self._services.known(),
            services_folder=self._services.folder,
            undeclared=[name for name in self._services.names() if name == "database"],
            time_zone=self._time_zone,
        )
        try:
            self._services.order(definition.services)
        except ConfigurationError as error:
            source = path or source_of(job_class)
            reason = f"needs a service that can't be used: {error}"
            raise InvalidJob(reason, path=source, line=line_of(source, job_class.__qualname__)) from error
        self._loaded[name] = definition
        self._by_class[job_class] = definition
        return definition


def _entry_points() -> dict[str, list[EntryPoint]]:
    """Read the installed packages' entry points of our group, by job name."""
    from importlib.metadata import entry_points

    found: dict[str, list[EntryPoint]] = {}
    for entry_point in entry_points(group=ENTRY_POINTS):
        try:
            name = normalise_job_name(entry_point.name)
        except ValueError:
            name = entry_point.name
        found.setdefault(name, []).append(entry_point)
    return found


def _snake(job_class: type[BackgroundJob]) -> str:
    return normalise_job_name(job_class.__name__)
