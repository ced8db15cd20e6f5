"""The settings of a project: one frozen, typed object, merged in one function.

A setting comes from its default, from `[tool.pinstripe]` in `pyproject.toml`, from a `PINSTRIPE_*` environment
variable, or from a flag of the command line; the later wins.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pinstripe.duration import write_duration
from pinstripe.errors import ConfigurationError
from pinstripe.names import nearest
from pinstripe.project_folder import find_project, read_table
from pinstripe.setting_keys import KEYS, TABLES, hide_secrets
from pinstripe.tokens import HIDDEN, check_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pinstripe.postgres_address import PostgresAddress

__all__ = [
    "DatabaseSettings",
    "DescribedSetting",
    "RetentionSettings",
    "ServerSettings",
    "Settings",
    "TenantSettings",
    "WorkerSettings",
    "describe_settings",
    "find_project",
    "load_settings",
]


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """The `database` service: what it connects to, and how it keeps tenants apart.

    `isolation` None is "rows" where there are tenants, else "none". `tenant_schema` and `tenant_url` have attributes of
    the tenant in braces. At most `open_databases` databases of tenants are open at once; each engine has at most
    `pool_size` connections.
    """

    url: str | None = field(repr=False)
    models: str | None
    isolation: Literal["rows", "schemas", "databases", "none"] | None
    tenant_column: str
    shared_tables: tuple[str, ...]
    row_security: Literal["auto", "required"]
    tenant_schema: str
    tenant_url: str | None = field(repr=False)
    open_databases: int
    pool_size: int


class TenantSettings(NamedTuple):
    """Where tenants come from: the `source` ("module:attribute"), and which attributes of theirs hold what is asked.

    `context` ("module:attribute") is a context manager that is entered for each tenant's workspace.
    """

    source: str | None
    context: str | None
    key: str
    active: str
    time_zone: str


class WorkerSettings(NamedTuple):
    """How much runs at once, how long a stop waits for what runs, and how long a process may be silent.

    One that hasn't said for a `lease` that it lives is taken for dead.
    """

    concurrency: int
    processes: int
    shutdown_grace: timedelta
    lease: timedelta


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Who may see and do what in the dashboard and by the HTTP API, and by which `hosts` the server is reached.

    `tokens` are entries of `pinstripe.tokens`; `access` ("module:function") is a login of the application's own. A
    `session` ends so long after its login.
    """

    token: str | None = field(repr=False)
    read_token: str | None = field(repr=False)
    tokens: tuple[str, ...] = field(repr=False)
    hosts: tuple[str, ...]
    access: str | None
    session: timedelta


class RetentionSettings(NamedTuple):
    """How long runs and logs are kept after their end."""

    succeeded: timedelta
    failed: timedelta
    logs: timedelta


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of the project in `folder`. `origins` tells where each came from, by its dotted name."""

    folder: Path
    ledger: str = field(repr=False)
    ledger_schema: str
    ledger_sync: Literal["normal", "full"]
    time_zone: str
    setup: str | None
    app: str | None
    background_jobs: Path
    services: Path
    multi_tenant: bool
    code_version: str | None
    log_format: Literal["text", "json"]
    tracing: Literal["auto", "required", "off"]
    database: DatabaseSettings | None
    tenants: TenantSettings
    worker: WorkerSettings
    server: ServerSettings
    retention: RetentionSettings
    origins: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def ledger_address(self) -> Path | PostgresAddress:
        """Where the ledger is: the absolute path of its SQLite file, or its PostgreSQL database.

        As text both are for people, without a password. Raises `ConfigurationError` for a URL that can't be one.
        """
        if self.ledger.startswith("sqlite:///"):
            return self.folder / self.ledger.removeprefix("sqlite:///")
        from pinstripe.postgres_address import read_postgres_url

        return read_postgres_url(self.ledger, "ledger")

    @property
    def ledger_path(self) -> Path:
        """The absolute path of the ledger's SQLite file; raises `ConfigurationError` where the ledger is not one."""
        address = self.ledger_address
        if not isinstance(address, Path):
            message = f"ledger: expected a file, 'sqlite:///FILE', found {hide_secrets(self.ledger)!r}"
            raise ConfigurationError(message)
        return address

    @property
    def background_jobs_package(self) -> str:
        """The module name under which job files are imported: `lib.background_jobs`."""
        return ".".join(self.background_jobs.relative_to(self.folder).parts)

    @property
    def services_package(self) -> str:
        """The module name under which service files are imported: `lib.services`."""
        return ".".join(self.services.relative_to(self.folder).parts)


DEFAULT = "default"
"""The origin of a setting that nobody set."""


def load_settings(
    folder: str | Path,
    *,
    environment: Mapping[str, str] = os.environ,
    flags: Mapping[str, object] | None = None,
) -> Settings:
    """Merge the settings of the project in `folder`: defaults < `pyproject.toml` < `environment` < `flags`.

    `flags` are by dotted name (`{"worker.concurrency": 5}`), as text or as values; None counts as not given, as an
    empty variable does. Raises `ConfigurationError` for an unknown name, a wrong type or a bad value, in any of them.
    """
    folder = Path(folder).absolute()
    given = [*_from_file(folder / "pyproject.toml"), *_from_environment(environment), *_from_flags(flags or {})]
    values: dict[str, Any] = {key.name: key.default for key in KEYS}
    origins = dict.fromkeys(values, DEFAULT)
    for one in given:
        values[one.name] = _checked(one)
        origins[one.name] = one.origin
    parts: dict[str, dict[str, Any]] = {table: {} for table in ("", *TABLES)}
    for name, value in values.items():
        table, _, last = name.rpartition(".")
        parts[table][last] = value
    top = parts[""]
    top["background_jobs"] = folder / top["background_jobs"]
    top["services"] = folder / top["services"]
    has_database = any(name.startswith("database.") and origin != DEFAULT for name, origin in origins.items())
    return Settings(
        folder=folder,
        **top,
        database=DatabaseSettings(**parts["database"]) if has_database else None,
        tenants=TenantSettings(**parts["tenants"]),
        worker=WorkerSettings(**parts["worker"]),
        server=_server(parts["server"]),
        retention=RetentionSettings(**parts["retention"]),
        origins=origins,
    )


def _server(values: dict[str, Any]) -> ServerSettings:
    server = ServerSettings(**values)
    try:
        check_tokens(server.token, server.read_token, server.tokens)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    return server


class DescribedSetting(NamedTuple):
    """One setting as it is shown: its dotted `key`, its `value` ready for JSON without secrets, and its `origin`."""

    key: str
    value: str | int | bool | list[str] | None
    origin: str


def describe_settings(settings: Settings) -> list[DescribedSetting]:
    """List every setting with its value, passwords hidden, and where it came from.

    An origin is `"default"`, `"pyproject.toml"`, the name of an environment variable, or `"flag"`.
    """
    described = []
    for key in KEYS:
        value: Any = settings
        for name in key.name.split("."):
            value = getattr(value, name) if value is not None else key.default
        hidden = value if not value or key.kind.hide is None else key.kind.hide(value)
        described.append(DescribedSetting(key.name, _shown(settings, hidden), settings.origins.get(key.name, DEFAULT)))
    return described


class _Given(NamedTuple):
    """A value that somebody gave for the setting `name`; `where` is for messages."""

    name: str
    value: object
    origin: str
    where: str


def _from_file(path: Path) -> Iterator[_Given]:
    table = read_table(path) if path.is_file() else None
    for name, value in (table or {}).items():
        if name not in TABLES:
            yield _Given(_known(name, f"in {path}"), value, path.name, f"in {path}")
        elif not isinstance(value, dict):
            found = repr(HIDDEN) if name == "server" else _found(value)
            message = f"{name} in {path}: expected a table [tool.pinstripe.{name}], found {found}"
            raise ConfigurationError(message)
        else:
            for last, inner in value.items():
                yield _Given(_known(f"{name}.{last}", f"in {path}"), inner, path.name, f"in {path}")


def _from_environment(environment: Mapping[str, str]) -> Iterator[_Given]:
    variables = {key.variable: key.name for key in KEYS}
    for variable in sorted(name for name in environment if name.startswith("PINSTRIPE_")):
        if variable in variables:
            if environment[variable]:
                yield _Given(variables[variable], environment[variable], variable, f"from {variable}")
        elif variable not in _OTHER_VARIABLES and not variable.startswith("PINSTRIPE_TEST_"):
            near = nearest(variable, [*variables, *_OTHER_VARIABLES])
            message = f"the environment variable {variable} sets nothing that Pinstripe knows{_nearest(near)}"
            raise ConfigurationError(message)


_OTHER_VARIABLES = ("PINSTRIPE_PROJECT", "PINSTRIPE_PYTHON")


def _from_flags(flags: Mapping[str, object]) -> Iterator[_Given]:
    for name, value in flags.items():
        if value is not None:
            yield _Given(_known(name, "as a flag"), value, "flag", "as a flag")


def _known(name: str, where: str) -> str:
    if name in _KEYS_BY_NAME:
        return name
    near = nearest(name, [*_KEYS_BY_NAME, *TABLES])
    message = f"unknown setting {name} {where}{_nearest(near)}"
    raise ConfigurationError(message)


_KEYS_BY_NAME = {key.name: key for key in KEYS}


def _checked(given: _Given) -> object:
    kind = _KEYS_BY_NAME[given.name].kind
    value = given.value
    if isinstance(value, str) and given.origin != "pyproject.toml":
        value = kind.from_text(value)
    try:
        return kind.read(value)
    except ValueError as error:
        reason = f" ({error})" if str(error) else ""
        found = _found(given.value) if kind.hide is None else repr(HIDDEN)
        message = f"{given.name} {given.where}: expected {kind.expected}, found {found}{reason}"
        raise ConfigurationError(message) from None


def _found(value: object) -> str:
    return hide_secrets(repr(value))


def _nearest(names: list[str]) -> str:
    return f"; nearest: {', '.join(names)}" if names else ""


def _shown(settings: Settings, value: object) -> str | int | bool | list[str] | None:
    match value:
        case timedelta():
            return write_duration(value)
        case Path():
            return value.relative_to(settings.folder).as_posix()
        case tuple() | list():
            return [str(item) for item in value]
        case None | bool() | int():
            return value
        case _:
            return hide_secrets(str(value))
