"""Where a database is: the URLs of the settings, and those that a template gives for a tenant."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from pinstripe.errors import ConfigurationError
from pinstripe.postgres_address import PostgresAddress, read_postgres_url
from pinstripe.setting_keys import DATABASE_URL, hide_secrets

from .templates import PLACEHOLDER, attribute_of

if TYPE_CHECKING:
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


Address = SQLiteFile | PostgresAddress


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
    return read_postgres_url(url, setting)


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
        return read_postgres_url(_filled(template, tenant), _SETTING)
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
