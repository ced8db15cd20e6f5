"""From what a source gives (mappings, objects, plain ids) to tenants: attributes, ids, and the filter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from pinstripe.errors import ConfigurationError, TenantSourceFailed
from pinstripe.tenants import Tenant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pinstripe.comparisons import Checks

MISSING: Any = object()
"""Stands for an attribute that isn't there."""

Check = tuple[str, "Checks", bool]
"""An attribute, the checks of one lookup of it, and whether a tenant without that attribute passes."""


class Selector:
    """Selects the tenants among the items of one reading of a source, and counts the items for messages."""

    __slots__ = ("_checks", "_key", "_name", "_readers", "count")

    def __init__(self, key: str, name: str, checks: Iterable[Check]) -> None:
        """Take the attribute `key` that holds the id, the source's `name` for messages, and the filter's `checks`."""
        self._key = key
        self._name = name
        self._checks = tuple(checks)
        self._readers = _Readers(key)
        self.count = 0

    def select(self, items: Iterable[Any], found: list[Tenant]) -> Exception | None:
        """Add to `found` the tenants of those `items` for which every check holds; give what error ended it, if any.

        It is `TenantSourceFailed` for an item that is no tenant, `ConfigurationError` for an attribute that it doesn't
        have or that can't be compared, or whatever reading an attribute raised.
        """
        try:
            self._select(items, found)
        except Exception as error:  # noqa: BLE001 - it is handed on, with what was found before it
            return error
        return None

    def _select(self, items: Iterable[Any], found: list[Tenant]) -> None:
        # A million tenants go through this loop: at most a dictionary look-up and a call for each check.
        key, checks, readers, add = self._key, self._checks, self._readers, found.append
        for item in items:
            self.count += 1
            read = readers[type(item)]
            fits = True
            for name, check, optional in checks:  # all of them, so that a wrong one is always told, whatever the order
                value = read(item, name, MISSING)
                if value is not MISSING:
                    try:
                        if not check[type(value)](value):
                            fits = False
                    except ConfigurationError as error:
                        message = f"tenant {self._id(item)!r} of {self._name}: {error}"
                        raise ConfigurationError(message) from error.__cause__
                elif not optional:
                    raise self._missing(item, name)
            if fits:
                value = read(item, key, MISSING)
                if type(value) is not str or not value or not value.isascii() or "\0" in value:
                    value = self._id(item)
                add(Tenant(value, item) if read is dict.get or read is getattr else _tenant(value, item, read))

    def _id(self, item: object) -> str:
        """Give the id of an item as text, after every check of it."""
        value = item.id if isinstance(item, Tenant) else self._readers[type(item)](item, self._key, MISSING)
        if isinstance(value, str):
            text = str.__str__(value)
            if text and "\0" not in text and _is_unicode(text):
                return text
            reason = f"has the {self._key!r} {text!r}; expected an id that isn't empty, without NUL or half characters"
        elif (isinstance(value, int) and not isinstance(value, bool)) or _is_uuid(value):
            return str(value)
        elif value is MISSING:
            has = ", ".join(_names(item)[:20]) or "nothing to read"
            reason = (
                f"has no {self._key!r}, which is to hold the id; expected a mapping or an object that has it, "
                f"or a plain id, got {type(item).__name__} with {has}"
            )
        else:
            kind = "None" if value is None else type(value).__name__
            reason = f"has a {self._key!r} of type {kind}; expected an id: text, an int or a UUID"
        return self._refuse(reason)

    def _refuse(self, reason: str) -> NoReturn:
        message = f"tenant source {self._name} failed: item {self.count} {reason}"
        raise TenantSourceFailed(message)

    def _missing(self, item: object, name: str) -> ConfigurationError:
        from pinstripe.names import nearest

        known = _names(item) or [self._key]
        near = nearest(name, known)
        hint = f"the nearest is {' or '.join(near)}" if near else f"it has {', '.join(known[:20])}"
        return ConfigurationError(f"tenant {self._id(item)!r} of {self._name} has no attribute {name!r}; {hint}")


class _Readers(dict[type, "Callable[[Any, str, Any], Any]"]):
    """What reads an attribute of an item, by the item's type: `readers[type(item)](item, name, default)`."""

    __slots__ = ("_key",)

    def __init__(self, key: str) -> None:
        super().__init__()
        self._key = key

    def __missing__(self, kind: type) -> Callable[[Any, str, Any], Any]:
        read: Callable[[Any, str, Any], Any]
        if issubclass(kind, dict):
            read = dict.get
        elif issubclass(kind, Mapping):
            read = _read_mapping
        elif issubclass(kind, str | int) or kind.__name__ == "UUID":
            read = _PlainReader(self._key)
        elif issubclass(kind, Tenant):
            read = _read_tenant
        elif hasattr(kind, "keys") and hasattr(kind, "__getitem__"):
            read = _read_row
        else:
            read = getattr
        self[kind] = read
        return read


class _PlainReader:
    """Reads a plain id, which has one attribute: itself."""

    __slots__ = ("_names",)

    def __init__(self, key: str) -> None:
        self._names = (key, "id")

    def __call__(self, item: object, name: str, default: Any) -> Any:
        return item if name in self._names else default


def _read_mapping(item: Mapping[str, object], name: str, default: Any) -> Any:
    return item.get(name, default)


def _read_tenant(item: Tenant, name: str, default: Any) -> Any:
    value = item.get(name, default)
    return item.id if value is default and name == "id" else value


def _read_row(item: Any, name: str, default: Any) -> Any:
    """Read a driver's row (`sqlite3.Row`, `asyncpg.Record`), which has keys and is no `Mapping`."""
    return item[name] if name in item.keys() else default  # noqa: SIM118 - a row's `in` looks at its values


def _tenant(id: str, item: Any, read: object) -> Tenant:  # noqa: A002 - the word of the contract
    if read is _read_tenant:
        return item  # type: ignore[no-any-return]
    if read is _read_row:
        return Tenant(id, dict(item))
    return Tenant(id, None if isinstance(read, _PlainReader) else item)


def _is_uuid(value: object) -> bool:
    from uuid import UUID

    return isinstance(value, UUID)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _names(item: Any) -> list[str]:
    """Give the names of an item's attributes."""
    if isinstance(item, Mapping) or hasattr(type(item), "keys"):
        return [str(name) for name in item.keys()]  # noqa: SIM118 - a row's iteration gives its values
    if isinstance(item, Tenant | str | int) or _is_uuid(item):
        return []
    return [name for name in dir(item) if not name.startswith("_")]
