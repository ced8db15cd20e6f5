"""Where a database is: the URLs of the settings, and those that a template gives for a tenant."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from pinstripe.errors import ConfigurationError
from pinstripe.setting_keys import DATABASE_URL, hide_secrets

from .templates import PLACEHOLDER, attribute_of

if TYPE_CHECKING:
    from collections.abc import Hashable
    from pathlib import Path

    from pinstripe.tenants import Tenant

Dialect = Literal["sqlite", "postgresql"]


@dataclass(frozen=True, slots=True)
class SQLiteFile:
    """A database in the file at `path`, which is absolute.

    The last `chosen` parts of the path were chosen by a tenant's attributes, so they have to be in their folders letter
    for letter.
    """

    path: Path
    chosen: int = 0

    dialect = "sqlite"

    def __str__(self) -> str:
        """Show the path."""
        return str(self.path)


@dataclass(frozen=True, slots=True)
class PostgresDatabase:
    """A database of a PostgreSQL server: `dsn` is for asyncpg and has the password, `shown` is for people and has not.

    `connect_timeout` is in seconds, None for no limit; `server_settings` are sent when connecting. `host`, `port` and
    `name` say which database it is, whoever logs in.
    """

    dsn: str = field(repr=False)
    shown: str
    user: str | None
    host: str
    port: int | None
    name: str
    connect_timeout: float | None
    server_settings: tuple[tuple[str, str], ...]

    dialect = "postgresql"

    @property
    def identity(self) -> Hashable:
        """What two URLs of one database have in common."""
        return self.host.lower(), self.port or 5432, self.name

    def __str__(self) -> str:
        """Show the URL without its password."""
        return self.shown


Address = SQLiteFile | PostgresDatabase


def dialect_of(url: str) -> Dialect | None:
    """Tell by its beginning what kind of database a URL is of; None for a template that doesn't begin as one."""
    if url.startswith("sqlite:"):
        return "sqlite"
    return "postgresql" if re.match(r"postgres(ql)?:", url) else None


def read_url(url: str, folder: Path, setting: str) -> Address:
    """Read a `url` as people write it; a relative SQLite file is in `folder`.

    Raises `ConfigurationError`, naming the `setting` and no secret, for what can't be one.
    """
    if dialect_of(url) == "sqlite":
        return SQLiteFile(folder / url.removeprefix("sqlite:///"))
    return _postgres(url, setting)


def tenant_url(template: str, tenant: Tenant, folder: Path) -> Address:
    """Give the database of `tenant` by the setting `database.tenant_url`.

    A template that is one placeholder alone (`{database_url}`) means that the attribute is a whole URL. In any other,
    values are percent-quoted, so that none can lead out of its place, nor two different ones to the same.
    """
    whole = PLACEHOLDER.fullmatch(template)
    if whole:
        return _whole(attribute_of(tenant, whole[1], _SETTING), whole[1], tenant, folder)
    if dialect_of(template) == "sqlite":
        return _tenant_file(template, tenant, folder)
    try:
        return _postgres(_filled(template, tenant), _SETTING)
    except ConfigurationError as error:
        raise ConfigurationError(f"{error} (for tenant {tenant.id!r})") from None


_SETTING = "database.tenant_url"


def _whole(url: str, attribute: str, tenant: Tenant, folder: Path) -> Address:
    try:
        DATABASE_URL.read(url)
    except ValueError:
        raise ConfigurationError(
            f"setting {_SETTING}: the attribute {attribute!r} of tenant {tenant.id!r} is the URL of its database; "
            f"expected {DATABASE_URL.expected}, found {hide_secrets(url)!r}"
        ) from None
    address = read_url(url, folder, f"{_SETTING}, tenant {tenant.id!r}")
    return SQLiteFile(address.path, chosen=1) if isinstance(address, SQLiteFile) else address


def _filled(text: str, tenant: Tenant) -> str:
    return PLACEHOLDER.sub(lambda found: quote(attribute_of(tenant, found[1], _SETTING), safe=""), text)


def _tenant_file(template: str, tenant: Tenant, folder: Path) -> SQLiteFile:
    parts = template.removeprefix("sqlite:///").split("/")
    filled = [_filled(part, tenant) for part in parts]
    for part, name in zip(parts, filled, strict=True):
        if part != name:
            _check_name(part, name, tenant)
    if filled[-1].endswith(_SIDE_FILES):
        raise ConfigurationError(
            f"setting {_SETTING}: tenant {tenant.id!r} would have the file {filled[-1]!r}; a name that ends in "
            f"{', '.join(_SIDE_FILES)} is of a file that SQLite keeps beside another database"
        )
    first = next(index for index, part in enumerate(parts) if PLACEHOLDER.search(part))
    return SQLiteFile(folder / "/".join(filled), chosen=len(parts) - first)


_SIDE_FILES = ("-journal", "-wal", "-shm")
"""https://www.sqlite.org/tempfiles.html"""

_LONGEST_FILE_NAME = 255
"""In bytes: NAME_MAX of the file systems in use."""


def _check_name(part: str, name: str, tenant: Tenant) -> None:
    if name.startswith(".") and (not part.startswith(".") or name in {".", ".."}):
        raise ConfigurationError(
            f"setting {_SETTING}: tenant {tenant.id!r} would have the file or folder {name!r}; one that begins with a "
            "dot is hidden, or leads to another folder: expected another value"
        )
    if len(name) > _LONGEST_FILE_NAME:
        raise ConfigurationError(
            f"setting {_SETTING}: tenant {tenant.id!r} would have a file of {len(name)} bytes in its name; expected at "
            f"most {_LONGEST_FILE_NAME}, which is what file systems take"
        )


_PARAMETERS = (
    *("host", "port", "dbname", "user", "password", "passfile", "service", "target_session_attrs"),
    *("sslmode", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslpassword", "sslnegotiation"),
    *("ssl_min_protocol_version", "ssl_max_protocol_version", "krbsrvname", "gsslib"),
)
"""Those parameters of libpq that asyncpg reads from a URL itself."""

_TRANSLATED = ("connect_timeout", "application_name", "fallback_application_name", "options", "client_encoding")

_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")

_CONNECT_TIMEOUT = 10.0
"""In seconds; a server that doesn't answer within it is as good as none."""

_LONGEST_NAME = 63
"""In bytes: NAMEDATALEN - 1. PostgreSQL cuts a longer name short, and two tenants might meet in what is left."""


def _postgres(url: str, setting: str) -> PostgresDatabase:
    split = urlsplit(url)
    if split.fragment:
        raise ConfigurationError(f"setting {setting}: expected no '#' in a URL; in a password, write it as %23")
    login, _, hosts = split.netloc.rpartition("@")
    user, _, password = login.partition(":")
    one_host = r"(\[[^\]]*\]|[^:,\[\]]*)(:[0-9]{1,5})?"
    if not re.fullmatch(rf"{one_host}(,{one_host})*", hosts) or "@" in split.path:
        raise ConfigurationError(
            f"setting {setting}: expected HOST or HOST:PORT before the database's name; where the password has one of "
            "'/', '?', '#' or ':', write it as %2F, %3F, %23, %3A"
        )
    query = dict(parse_qsl(split.query, keep_blank_values=True))
    rest, timeout, settings = _translated(query, setting)
    user = unquote(user) or rest.get("user", "")
    name = unquote(split.path.removeprefix("/")) or rest.get("dbname", "") or user
    if len(name.encode()) > _LONGEST_NAME:
        raise ConfigurationError(
            f"setting {setting}: the database's name {name!r} has {len(name.encode())} bytes; PostgreSQL keeps "
            f"{_LONGEST_NAME}"
        )
    host, _, port = (hosts or rest.get("host", "")).partition(":") if "," not in hosts else (hosts, "", "")
    port = port or rest.get("port", "")
    requoted = f"{quote(user, safe='')}:{quote(unquote(password), safe='')}@" if password else ""
    requoted = requoted or (f"{quote(user, safe='')}@" if user else "")
    return PostgresDatabase(
        dsn=f"postgresql://{requoted}{hosts}/{quote(name, safe='')}" + (f"?{urlencode(rest)}" if rest else ""),
        shown=f"postgresql://{user}@{hosts or rest.get('host', '')}/{name}" if user else f"postgresql://{hosts}/{name}",
        user=user or None,
        host=unquote(host),
        port=int(port) if re.fullmatch("[0-9]+", port) else None,
        name=name,
        connect_timeout=timeout,
        server_settings=tuple(settings.items()),
    )


def _translated(query: dict[str, str], setting: str) -> tuple[dict[str, str], float | None, dict[str, str]]:
    """Part a URL's parameters: those for asyncpg, the time to connect in seconds, the server's settings."""
    for key in query:
        if key not in _PARAMETERS and key not in _TRANSLATED:
            known = ", ".join([*_PARAMETERS, *_TRANSLATED])
            raise ConfigurationError(f"setting {setting}: unknown parameter {key!r} in the URL; there are {known}")
    _check_values(query, setting)
    seconds = int(query.get("connect_timeout", _CONNECT_TIMEOUT))
    name = query.get("application_name") or query.get("fallback_application_name") or "pinstripe"
    settings = {"application_name": name}
    if query.get("options"):
        settings["options"] = query["options"]
    rest = {key: value for key, value in query.items() if key not in _TRANSLATED}
    # libpq: "Zero, negative, or not specified means wait indefinitely"; a job shall not, unless it is said.
    return rest, float(seconds) if seconds > 0 else None, settings


def _check_values(query: dict[str, str], setting: str) -> None:
    checks = {
        "sslmode": ("|".join(_SSL_MODES), f"one of {', '.join(_SSL_MODES)}"),
        "connect_timeout": (r"-?[0-9]{1,6}", "whole seconds"),
        "client_encoding": (r"(?i)utf-?8|auto", "utf8, the only one that is spoken"),
        "port": (r"[0-9]{1,5}", "the number of a port"),
    }
    for key, (pattern, expected) in checks.items():
        if key in query and not re.fullmatch(pattern, query[key]):
            raise ConfigurationError(f"setting {setting}: {key} in the URL: expected {expected}, found {query[key]!r}")
