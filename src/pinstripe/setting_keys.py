"""The settings there are: for each its name, its default, what it accepts, and how its text is read."""

from __future__ import annotations

import keyword
import re
from datetime import timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from pinstripe.duration import parse_duration
from pinstripe.time_zones import find_zone
from pinstripe.tokens import HIDDEN, hide_tokens, read_hosts, read_secret, read_tokens

if TYPE_CHECKING:
    from collections.abc import Callable


class Kind(NamedTuple):
    """What a setting accepts: in words, and as a function that gives the checked value or raises `ValueError`.

    `from_text` turns the text of an environment variable or a flag into what would stand in `pyproject.toml`. A kind
    with `hide` is of secrets, and that gives a checked value as it may be shown.
    """

    expected: str
    read: Callable[[Any], object]
    from_text: Callable[[str], object] = str
    hide: Callable[[Any], str | list[str]] | None = None


class Key(NamedTuple):
    """One setting: its dotted `name`, its `kind` and its `default`."""

    name: str
    kind: Kind
    default: object

    @property
    def variable(self) -> str:
        """The environment variable that sets it: `PINSTRIPE_WORKER_CONCURRENCY`."""
        return f"PINSTRIPE_{self.name.replace('.', '_').upper()}"


def _text(raw: object) -> str:
    if not isinstance(raw, str) or not raw.strip():
        raise ValueError
    return raw


def _ledger(raw: object) -> str:
    url = _text(raw)
    if re.match(r"postgres(ql)?://.", url):
        return url
    if not re.fullmatch(r"sqlite:///[^?]*[^?/]", url) or url.endswith(":memory:"):
        raise ValueError
    return url


def _schema(raw: object) -> str:
    name = _text(raw)
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,39}", name) or name.startswith("pg_"):
        raise ValueError
    if name in _RESERVED:
        reason = "that is a word of SQL"
        raise ValueError(reason)
    return name


def _line(raw: object) -> str:
    text = _text(raw)
    if len(text) > _LONGEST_VERSION or not text.isprintable():
        raise ValueError
    return text


def _database_url(raw: object) -> str:
    url = _text(raw)
    if not re.match(r"sqlite:///[^?]*[^?/]$|postgres(ql)?://.", url) or url.endswith(":memory:"):
        raise ValueError
    return url


def _template(raw: object) -> str:
    text = _text(raw)
    if not re.search(r"{[A-Za-z_]\w*}", text) or re.search(r"[{}]", re.sub(r"{[A-Za-z_]\w*}", "", text)):
        raise ValueError
    return text


def _zone(raw: object) -> str:
    name = _text(raw)
    find_zone(name)
    return name


def _names(dotted: str) -> bool:
    return all(name.isidentifier() and not keyword.iskeyword(name) for name in dotted.split("."))


def _module(raw: object) -> str:
    if not _names(_text(raw)):
        raise ValueError
    return _text(raw)


def _reference(raw: object) -> str:
    module, _, attribute = _text(raw).partition(":")
    if not _names(module) or not _names(attribute):
        raise ValueError
    return _text(raw)


def _attribute(raw: object) -> str:
    if not _text(raw).isidentifier():
        raise ValueError
    return _text(raw)


def _folder(raw: object) -> str:
    path = PurePosixPath(_text(raw))
    if path.is_absolute():
        reason = "its files are imported by their module names, so it must lie in the project's folder"
        raise ValueError(reason)
    for part in path.parts:
        if not _names(part) or "." in part:
            reason = f"its files are imported by their module names, and {part!r} can't be a part of one"
            raise ValueError(reason)
    return str(path)


def _switch(raw: object) -> bool:
    if not isinstance(raw, bool):
        raise ValueError  # noqa: TRY004 - the caller makes one message of whatever is wrong
    return raw


MOST = 100_000
"""The largest count in a setting. More at once, in one process, is a slip of the hand."""


def _count(raw: object) -> int:
    if not isinstance(raw, int) or isinstance(raw, bool) or not 1 <= raw <= MOST:
        raise ValueError
    return raw


def _list(raw: object) -> tuple[str, ...]:
    if not isinstance(raw, list | tuple):
        raise ValueError  # noqa: TRY004 - the caller makes one message of whatever is wrong
    return tuple(_text(item) for item in raw)


def _one_of(*words: str) -> Kind:
    def read(raw: object) -> str:
        if raw not in words:
            raise ValueError
        return str(raw)

    return Kind("one of " + ", ".join(map(repr, words)), read)


def _switch_from_text(text: str) -> object:
    return _SWITCHES.get(text.strip().lower(), text)


def _count_from_text(text: str) -> object:
    return int(text) if re.fullmatch(r"\s*[0-9]{1,9}\s*", text) else text


def _list_from_text(text: str) -> object:
    return [part.strip() for part in text.split(",") if part.strip()]


def _duration(raw: Any) -> timedelta:
    try:
        return parse_duration(raw)
    except ValueError:
        raise ValueError from None  # `Kind.expected` tells the form


def _lease(raw: Any) -> timedelta:
    lease = _duration(raw)
    if lease < timedelta(seconds=1):
        raise ValueError
    return lease


def _session(raw: Any) -> timedelta:
    session = _duration(raw)
    if not timedelta(minutes=1) <= session <= timedelta(days=30):
        raise ValueError
    return session


def _hide(_: object) -> str:
    return HIDDEN


_SWITCHES = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}

# The words of SQL that name no schema without quotes: https://www.postgresql.org/docs/current/sql-keywords-appendix.html
_WORDS_OF_SQL = (
    "all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation "
    "column concurrently constraint create cross current_catalog current_date current_role current_schema current_time "
    "current_timestamp current_user default deferrable desc distinct do else end except false fetch for foreign freeze "
    "from full grant group having ilike in initially inner intersect into is isnull join lateral leading left like "
    "limit localtime localtimestamp natural not notnull null offset on only or order outer overlaps placing primary "
    "references returning right select session_user similar some symmetric system_user table tablesample then to "
    "trailing true union unique user using variadic verbose when where window with information_schema"
)
_RESERVED = frozenset(_WORDS_OF_SQL.split())

_LONGEST_VERSION = 100

LEDGER = Kind("'sqlite:///FILE', 'sqlite:////ABSOLUTE/FILE' or 'postgresql://USER@HOST/NAME'", _ledger)
SCHEMA = Kind("a schema's name such as 'pinstripe': at most 40 of a-z, 0-9 and _, no digit nor pg_ in front", _schema)
DATABASE_URL = Kind("'sqlite:///FILE', 'sqlite:////ABSOLUTE/FILE' or 'postgresql://USER@HOST/NAME'", _database_url)
SCHEMA_TEMPLATE = Kind("a text with an attribute of the tenant in braces, such as 'tenant_{id}'", _template)
URL_TEMPLATE = Kind("a text with an attribute of the tenant in braces, such as 'sqlite:///tenants/{id}.db'", _template)
ZONE = Kind("an IANA time zone such as 'UTC' or 'Europe/Paris'", _zone)
MODULE = Kind("a module's name such as 'newsletter.models'", _module)
REFERENCE = Kind("'module:attribute', such as 'newsletter.boot:setup'", _reference)
APPLICATION = Kind("'module:attribute', such as 'newsletter.web:app'", _reference)
ACCESS = Kind("'module:function', such as 'newsletter.web:who'", _reference)
ATTRIBUTE = Kind("the name of an attribute", _attribute)
FOLDER = Kind("a folder in the project, such as 'lib/background_jobs'", _folder)
TEXT = Kind("a text that is not empty", _text)
SWITCH = Kind("true or false", _switch, _switch_from_text)
LINE = Kind("a text of at most 100 characters in one line", _line)
COUNT = Kind(f"a whole number from 1 to {MOST:,}", _count, _count_from_text)
LIST = Kind("a list of names", _list, _list_from_text)
DURATION = Kind("a duration such as '30s', '5m', '2h' or '7d'", _duration)
LEASE = Kind("a duration of at least 1s, such as '60s'", _lease)
SESSION = Kind("a duration from 1m to 30d, such as '12h'", _session)
SECRET = Kind("a secret of 20 to 500 characters, without spaces", read_secret, hide=_hide)
TOKENS = Kind("a list of 'NAME:ROLE:TENANTS:SECRET'", read_tokens, _list_from_text, hide=hide_tokens)
HOSTS = Kind("a list of host names such as 'jobs.example.org'", read_hosts, _list_from_text)

KEYS = (
    Key("ledger", LEDGER, "sqlite:///.pinstripe/ledger.db"),
    Key("ledger_schema", SCHEMA, "pinstripe"),
    Key("ledger_sync", _one_of("normal", "full"), "normal"),
    Key("time_zone", ZONE, "UTC"),
    Key("setup", REFERENCE, None),
    Key("app", APPLICATION, None),
    Key("background_jobs", FOLDER, "lib/background_jobs"),
    Key("services", FOLDER, "lib/services"),
    Key("multi_tenant", SWITCH, default=False),
    Key("code_version", LINE, None),
    Key("log_format", _one_of("text", "json"), "text"),
    Key("tracing", _one_of("auto", "required", "off"), "auto"),
    Key("database.url", DATABASE_URL, None),
    Key("database.models", MODULE, None),
    Key("database.isolation", _one_of("rows", "schemas", "databases", "none"), None),
    Key("database.tenant_column", TEXT, "tenant_id"),
    Key("database.shared_tables", LIST, ()),
    Key("database.row_security", _one_of("auto", "required"), "auto"),
    Key("database.tenant_schema", SCHEMA_TEMPLATE, "{id}"),
    Key("database.tenant_url", URL_TEMPLATE, None),
    Key("database.open_databases", COUNT, 20),
    Key("database.pool_size", COUNT, 5),
    Key("tenants.source", REFERENCE, None),
    Key("tenants.context", REFERENCE, None),
    Key("tenants.key", ATTRIBUTE, "id"),
    Key("tenants.active", ATTRIBUTE, "active"),
    Key("tenants.time_zone", ATTRIBUTE, "time_zone"),
    Key("worker.concurrency", COUNT, 20),
    Key("worker.processes", COUNT, 1),
    Key("worker.shutdown_grace", DURATION, timedelta(seconds=25)),
    Key("worker.lease", LEASE, timedelta(seconds=60)),
    Key("server.token", SECRET, None),
    Key("server.read_token", SECRET, None),
    Key("server.tokens", TOKENS, ()),
    Key("server.hosts", HOSTS, ()),
    Key("server.access", ACCESS, None),
    Key("server.session", SESSION, timedelta(hours=12)),
    Key("retention.succeeded", DURATION, timedelta(days=7)),
    Key("retention.failed", DURATION, timedelta(days=30)),
    Key("retention.logs", DURATION, timedelta(days=1)),
)

TABLES = frozenset(key.name.partition(".")[0] for key in KEYS if "." in key.name)
"""The names of the tables under `[tool.pinstripe]`."""


_HIDDEN = "password|passwd|pwd|secret|token"
"""What the name of a URL's parameter has in it whose value is to be hidden."""


def hide_secrets(text: str) -> str:
    """Put `***` where a URL has a password: `postgresql://user:***@host/db`."""
    text = re.sub(r"(://[^:@/\s]*:).*@", r"\1***@", text)
    return re.sub(rf"(?i)([?&;][^=&;]*(?:{_HIDDEN})[^=&;]*=)[^&;\s]*", r"\1***", text)


def hide_passwords(text: str) -> str:
    """Put `***` for the password of every URL that stands in a text, such as an error's."""
    if "://" not in text:
        return text
    text = re.sub(r"(://[^:@/\s'\"]*:)[^\s'\"]*@", r"\1***@", text)
    return re.sub(rf"(?i)([?&;][^=&;\s'\"]*(?:{_HIDDEN})[^=&;\s'\"]*=)[^&;\s'\"]*", r"\1***", text)
