"""Services: the functions of `lib/services/` that make what a job declares, found by name and ordered by need."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, NoReturn

from pinstripe.errors import ConfigurationError
from pinstripe.importing import imported, line_of
from pinstripe.json_values import article
from pinstripe.names import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from types import ModuleType

BUILT_IN = frozenset({"tenant", "logger", "workspace"})
"""What every service may ask for besides other services: the `Tenant` or None, the job's logger, and the workspace."""


class ServiceDefinition(NamedTuple):
    """A loaded service: its `name`, the `function` of its file, and what that is given, by keyword: `parameters`.

    `scope` is `"workspace"`, made anew for each, or `"project"`, made once for the process. `function` may be plain or
    async, and a generator (also async) that yields the service once and closes it after that.
    """

    name: str
    function: Callable[..., Any]
    parameters: tuple[str, ...]
    scope: Literal["workspace", "project"]
    path: Path


class BrokenService(NamedTuple):
    """A service that can't be used: its name, its file, the line if known, and the reason in one sentence."""

    name: str
    path: Path
    line: int | None
    reason: str


class Services:
    """The services of a project, each file imported when it is first asked for."""

    def __init__(self, folder: Path, package: str, offered: Mapping[str, ServiceDefinition] | None = None) -> None:
        """Take the `folder` and the module name that it is imported by, such as `lib.services`.

        `offered` are services that are there without a file; a file of the same name comes before one.
        """
        self.folder = folder
        self._offered = offered or {}
        self._package = package
        self._found: dict[str, ServiceDefinition] = {}

    def names(self) -> list[str]:
        """Give the names of all service files, in order, without importing any; what starts with `_` or `.` is none."""
        try:
            entries = [entry.name for entry in self.folder.iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(entry[:-3] for entry in entries if entry.endswith(".py") and entry[0] not in "_.")

    def known(self) -> list[str]:
        """Give the names of all services, those without a file too."""
        return sorted({*self.names(), *self._offered})

    def find(self, name: str) -> ServiceDefinition:
        """Give the service `name`, importing its file only.

        Raises `ConfigurationError` where there is none (with the nearest names), where its file can't be imported, and
        where its function breaks a rule.
        """
        found = self._found.get(name)
        if found is None:
            path = self.folder / f"{name}.py"
            if name not in self.names():
                if name in self._offered:
                    return self._offered[name]
                reason = f"there is no service {name!r}; {self._remedy(name)}"
                raise ConfigurationError(reason)
            if name in BUILT_IN:
                reason = f"the name {name!r} is taken: every workspace has a {name}; rename the service"
                raise ConfigurationError(reason, path=path)
            with imported(path, f"{self._package}.{name}", ConfigurationError) as module:
                found = self._found[name] = self._define(name, module, path)
        return found

    def order(self, names: Iterable[str]) -> list[ServiceDefinition]:
        """Give the services `names` and all that they need, each after what it needs, else in the order given.

        Raises `ConfigurationError` that names the chain where one waits on itself, needs one that doesn't exist, or is
        the project's and needs what belongs to a workspace.
        """
        ordered: dict[str, ServiceDefinition] = {}
        for name in names:
            self._visit(name, (), ordered)
        return list(ordered.values())

    def problems(self) -> list[BrokenService]:
        """Import every service and tell which can't be used, and why."""
        broken = []
        for name in self.names():
            try:
                self.order([name])
            except ConfigurationError as error:
                broken.append(BrokenService(name, error.path or self.folder / f"{name}.py", error.line, error.reason))
        return broken

    def _visit(self, name: str, chain: tuple[str, ...], ordered: dict[str, ServiceDefinition]) -> None:
        if name in ordered:
            return
        if name in chain:
            circle = " -> ".join([*chain[chain.index(name) :], name])
            self._refuse(chain[-1], f"the service waits on itself: {circle}; take one of these parameters away")
        service = self.find(name)
        for parameter in service.parameters:
            needed = " -> ".join([*chain, name, parameter])
            if parameter not in BUILT_IN:
                if parameter not in self._found and parameter not in self.known():
                    self._refuse(name, f"{needed}: there is no service {parameter!r}; {self._remedy(parameter)}")
                self._visit(parameter, (*chain, name), ordered)
            if service.scope == "project" and (parameter in BUILT_IN or ordered[parameter].scope != "project"):
                reason = f"{needed}: a service with scope = 'project' is made once for all workspaces, so it can't have"
                remedy = f"take scope away from {name}, or the parameter"
                self._refuse(name, f"{reason} {parameter!r}, which belongs to one workspace; {remedy}")
        ordered[name] = service

    def _define(self, name: str, module: ModuleType, path: Path) -> ServiceDefinition:
        function = vars(module).get(name)
        if not inspect.isfunction(function):
            found = "nothing of that name" if function is None else article(type(function).__name__)
            reason = f"expected a function {name}(…), named as its file, that makes the service; found {found}"
            raise ConfigurationError(reason, path=path, line=line_of(path, name))
        if _yields(inspect.unwrap(function)) and not _yields(function):
            reason = f"a decorator hides that {name} yields; take it away, since no @contextmanager is needed here"
            raise ConfigurationError(reason, path=path, line=line_of(path, name))
        scope = vars(module).get("scope", "workspace")
        if scope not in ("workspace", "project"):  # a tuple: what is there may have no hash
            reason = f"scope: expected 'project' or 'workspace' (the default), got {scope!r}"
            raise ConfigurationError(reason, path=path, line=line_of(path, "scope"))
        parameters = self._parameters(name, function, path)
        return ServiceDefinition(name, function, parameters, scope, path)

    def _parameters(self, name: str, function: Callable[..., Any], path: Path) -> tuple[str, ...]:
        """Give what the function is called with; a parameter with a default that is no service's name keeps it."""
        known = BUILT_IN.union(self.known())
        parameters = []
        for parameter in inspect.signature(function).parameters.values():
            if parameter.kind not in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}:
                reason = f"{name} takes {str(parameter)!r}; expected parameters that are each the name of a service"
                raise ConfigurationError(reason, path=path, line=line_of(path, name))
            if parameter.default is parameter.empty or parameter.name in known:
                parameters.append(parameter.name)
        return tuple(parameters)

    def _remedy(self, name: str) -> str:
        near = nearest(name, BUILT_IN.union(self.known()))
        hint = f"did you mean {' or '.join(near)}? Or " if near else ""
        return f"{hint}make it in {self.folder / name}.py"

    def _refuse(self, name: str, reason: str) -> NoReturn:
        path = self._found[name].path
        raise ConfigurationError(reason, path=path, line=line_of(path, name))


def _yields(function: Callable[..., Any]) -> bool:
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
