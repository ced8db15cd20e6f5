"""Where a database of a PostgreSQL server is: the URL, as people write it, read once for everything that connects."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from pinstripe.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Hashable


@dataclass(frozen=True, slots=True)
class PostgresAddress:
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


def read_postgres_url(url: str, setting: str) -> PostgresAddress:
    """Read the `url` of a PostgreSQL database.

    Raises `ConfigurationError`, naming the `setting` and no secret, for what can't be one.
    """
    try:
        split = urlsplit(url)
    except ValueError:  # which quotes the password
        raise ConfigurationError(
            f"setting {setting}: expected a URL, such as postgresql://USER:PASSWORD@HOST/NAME; where the password has "
            "one of '[', ']' or a letter that isn't ASCII, write it as %5B, %5D, or its bytes in UTF-8 as %XX"
        ) from None
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
    host, port = _parted(hosts) if hosts else (rest.get("host", ""), "")
    port = port or rest.get("port", "")
    for each in (*re.findall(r":([0-9]+)(?=,|$)", hosts), *re.findall("[0-9]+", port)):
        if int(each) > _LAST_PORT:
            raise ConfigurationError(f"setting {setting}: expected a port of at most {_LAST_PORT}, found {each}")
    requoted = f"{quote(user, safe='')}:{quote(unquote(password), safe='')}@" if password else ""
    requoted = requoted or (f"{quote(user, safe='')}@" if user else "")
    return PostgresAddress(
        dsn=f"postgresql://{requoted}{hosts}/{quote(name, safe='')}" + (f"?{urlencode(rest)}" if rest else ""),
        shown=f"postgresql://{user}@{hosts or rest.get('host', '')}/{name}" if user else f"postgresql://{hosts}/{name}",
        user=user or None,
        host=unquote(host),
        port=int(port) if re.fullmatch("[0-9]+", port) else None,
        name=name,
        connect_timeout=timeout,
        server_settings=tuple(settings.items()),
    )


def _parted(hosts: str) -> tuple[str, str]:
    """Part one host from its port, also an IPv6 address in brackets; several hosts stay as they are."""
    if "," in hosts:
        return hosts, ""
    if hosts.startswith("["):
        host, _, port = hosts[1:].partition("]")
        return host, port.removeprefix(":")
    host, _, port = hosts.partition(":")
    return host, port


_PARAMETERS = (
    *("host", "port", "dbname", "user", "password", "passfile", "service", "target_session_attrs"),
    *("sslmode", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslpassword", "sslnegotiation"),
    *("ssl_min_protocol_version", "ssl_max_protocol_version", "krbsrvname", "gsslib"),
)
"""Those parameters of libpq that asyncpg reads from a URL itself."""

_TRANSLATED = ("connect_timeout", "application_name", "fallback_application_name", "options", "client_encoding")

_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")

_LAST_PORT = 65_535

_CONNECT_TIMEOUT = 10.0
"""In seconds; a server that doesn't answer within it is as good as none."""

_LONGEST_NAME = 63
"""In bytes: NAMEDATALEN - 1. PostgreSQL cuts a longer name short, and two tenants might meet in what is left."""


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
