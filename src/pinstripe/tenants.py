"""A tenant, and the protocol of what tells which tenants there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

_MISSING = object()


class Tenant:
    """A customer of the application: a durable string `id`, plus whatever attributes its source gives.

    It is a fixed value: it can't be changed, and two are equal when their ids are. Attributes are read as
    `tenant.plan`; `tenant.get("plan")` gives None for one that its source doesn't have. Its `repr` shows the id only.
    """

    __slots__ = ("_item", "id")

    id: str

    def __init__(self, id: str, item: object = None) -> None:  # noqa: A002 - the word of the contract
        """Take the durable `id` and the `item` (a mapping or any object) that the source gave for it."""
        object.__setattr__(self, "id", id)
        object.__setattr__(self, "_item", item)

    def get(self, name: str, default: Any = None) -> Any:
        """Give the attribute `name`, or `default` where the source's item doesn't have it."""
        item = self._item
        if isinstance(item, Mapping):
            return item.get(name, default)
        return getattr(item, name, default)

    def __getattr__(self, name: str) -> Any:
        """Give the attribute `name` of the source's item."""
        value = _MISSING if name.startswith("__") else self.get(name, _MISSING)
        if value is _MISSING:
            message = f"tenant {self.id!r} has no attribute {name!r}; it has what its source gave"
            raise AttributeError(message)
        return value

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse: a tenant is a fixed value."""
        message = (
            f"tenant {self.id!r} can't be changed (tried to set {name!r}); change it where your application keeps it"
        )
        raise AttributeError(message)

    __delattr__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        """Tell whether the ids are equal."""
        return isinstance(other, Tenant) and other.id == self.id

    def __hash__(self) -> int:
        """Hash the id."""
        return hash(self.id)

    def __repr__(self) -> str:
        """Show the id and nothing that might be secret."""
        return f"Tenant({self.id!r})"

    def __reduce__(self) -> tuple[type[Self], tuple[str, object]]:
        """Pickle by value, for jobs that run in a process."""
        return type(self), (self.id, self._item)


@runtime_checkable
class TenantSource(Protocol):
    """What tells which tenants there are. It is immutable; iterating it again reads it again.

    `where(active=True, seats__ge=5)` narrows it. A key is an attribute, alone or with one of the eight suffixes
    `__ne`, `__lt`, `__gt`, `__le`, `__ge`, `__begins_with`, `__ends_with`, `__contains`; comparisons.py has their exact
    meaning, and a value from the command line is a `TextValue`. An attribute that there isn't is an error. Iterating
    gives `Tenant`s.

    A source may also have, for speed and for the screens: `pages(size)`, an async generator of lists of about `size`
    tenants; `where_active(attribute)`, the tenants for which it is true or that have no such attribute; an async method
    `distinct(attribute)`, the list of the values that tenants have in it, each once: `[]` where there is no such
    attribute, and None where a query can't tell, or there are too many; and `description`, the filter in words.
    """

    def where(self, **lookups: Any) -> Self:
        """Give a source of only those tenants for which every lookup holds."""
        ...

    async def by_ids(self, ids: Sequence[str]) -> Mapping[str, Tenant]:
        """Give those of the tenants with these ids that the source has, by id, in as few queries as it can."""
        ...

    def __aiter__(self) -> AsyncIterator[Tenant]:
        """Read the tenants one after another, without holding them all."""
        ...
