"""Tenants from a Django model, filtered by its database."""

from __future__ import annotations

from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from pinstripe.comparisons import Lookup, read_lookups
from pinstripe.django_lookups import condition, exact_text, find_field, holds_text, kind_of
from pinstripe.errors import ConfigurationError
from pinstripe.tenant_items import Selector
from pinstripe.tenant_pages import read_pages

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence

    from pinstripe.tenants import Tenant

PAGE = 1_000
"""How many rows are read at once."""

VALUES = 10_000
"""How many values `distinct` gives at most."""

ASKED = 500
"""How many ids one query asks for: databases bound how many values it may have."""


class ModelTenants:
    """A `TenantSource` over the table of a Django model: each row that its default manager gives is a tenant.

    Each reading has a thread of its own, for Django's connections belong to threads, and closes them at its end. Rows
    come in the order of the primary key, page by page, and no transaction stays open in between.
    """

    __slots__ = ("_key", "_kind", "_lookups", "_model", "_name")

    def __init__(self, model: Any, *, key: str = "id", name: str | None = None) -> None:
        """Take the `model`, the column `key` that holds the id, and the `name` for messages.

        Raises `ConfigurationError` for an abstract model, and for a key that isn't a column that can hold an id.
        """
        self._model = model
        self._name = name or model.__qualname__
        self._lookups: tuple[Lookup, ...] = ()
        options = model._meta  # noqa: SLF001 - Django documents it
        if options.abstract:
            message = f"the Django model {model.__name__} is abstract, so it has no table; name one that isn't"
            raise ConfigurationError(message)
        field = find_field(model, key)
        self._key: str = field.attname
        self._kind = kind_of(field)
        if not issubclass(self._kind, str | int | UUID) or self._kind is bool:
            message = f"{key} of the Django model {model.__name__}: expected a column of text, whole numbers or UUIDs"
            raise ConfigurationError(message)

    def where(self, **lookups: Any) -> Self:
        """Give a source of only those tenants for which every lookup holds.

        Raises `ConfigurationError` for an unknown comparison or column, and for what can't be compared with it.
        """
        return self._narrowed(read_lookups(lookups))

    def where_active(self, attribute: str) -> Self:
        """Give a source of only those tenants whose `attribute` is true, or of all where there is no such column."""
        options = self._model._meta  # noqa: SLF001 - as above
        if all(field.attname != attribute for field in options.concrete_fields):
            return self
        return self._narrowed(read_lookups({attribute: True}))

    def _narrowed(self, lookups: tuple[Lookup, ...]) -> Self:
        new = object.__new__(type(self))
        new._model, new._name, new._key, new._kind = self._model, self._name, self._key, self._kind
        new._lookups = (*self._lookups, *lookups)
        new._rows(lookups)  # raises for what can't be asked
        return new

    @property
    def description(self) -> str:
        """The filter in words, `active=True, seats__ge=5`, or `all`."""
        return ", ".join(str(lookup) for lookup in self._lookups) or "all"

    def __repr__(self) -> str:
        """Show the source's name and the filter."""
        return f"ModelTenants({self._name}: {self.description})"

    async def __aiter__(self) -> AsyncGenerator[Tenant, None]:
        """Read the tenants one after another; raises `TenantSourceFailed` wherever the database fails."""
        async with aclosing(self.pages()) as pages:
            async for page in pages:
                for tenant in page:
                    yield tenant

    async def pages(self, size: int = PAGE) -> AsyncGenerator[list[Tenant], None]:
        """Read the tenants in lists of `size`; raises as iterating does."""
        async with aclosing(self._read(partial(self._all, size), size)) as pages:
            async for page in pages:
                yield page

    async def by_ids(self, ids: Sequence[str]) -> Mapping[str, Tenant]:
        """Give those of the tenants with these `ids` that the table has, by id, in the order of `ids`."""
        wanted = dict.fromkeys(ids)
        keys = [key for key in map(self._as_key, wanted) if key is not None]
        found: dict[str, Tenant] = {}
        async with aclosing(self._read(partial(self._of, keys), PAGE)) as pages:
            async for page in pages:
                for tenant in page:
                    found.setdefault(tenant.id, tenant)
        return {one: found[one] for one in wanted if one in found}

    async def distinct(self, attribute: str) -> list[object] | None:
        """Give the values of the column `attribute` in the rows of the tenants, each once; [] where there is none.

        None where only the model's instances have it, where it holds no text, and for more than 10,000 values. Raises
        as iterating does.
        """
        options = self._model._meta  # noqa: SLF001 - as above
        fields = [field for field in options.concrete_fields if field.attname == attribute]
        if not fields:
            return None if hasattr(self._model, attribute) else []
        if not holds_text(fields[0]):
            return None
        values: list[object] = []
        # Through a reading like any other, as if each value were a tenant: it has the thread, and tells what fails.
        selector = Selector("number", self._name, ())
        async with aclosing(read_pages(partial(self._values, fields[0]), selector, self._name, PAGE)) as pages:
            async for page in pages:
                values += [item.value for item in page]
        return None if len(values) > VALUES else values

    def _read(self, rows: partial[Iterator[Any]], size: int) -> AsyncGenerator[list[Tenant], None]:
        return read_pages(rows, Selector(self._key, self._name, ()), self._name, size)

    # In the thread of a reading.

    def _all(self, size: int) -> Iterator[Any]:
        from django.db import connections

        try:
            rows = self._rows(self._lookups).order_by("pk")
            page = list(rows[:size])
            while page:
                yield from page
                page = list(rows.filter(pk__gt=page[-1].pk)[:size]) if len(page) == size else []
        finally:
            connections.close_all()

    def _of(self, keys: list[Any]) -> Iterator[Any]:
        from django.db import connections

        try:
            for first in range(0, len(keys), ASKED):
                asked = keys[first : first + ASKED]
                yield from self._rows(self._lookups).filter(**{f"{self._key}__in": asked}).order_by("pk")
        finally:
            connections.close_all()

    def _values(self, field: Any) -> Iterator[Any]:
        from django.db import connections

        try:
            rows = self._rows(self._lookups).order_by()
            exact = exact_text(field, connections[rows.db].vendor)
            values = rows.annotate(pinstripe_value=exact).values_list("pinstripe_value", flat=True).distinct()
            for number, value in enumerate(values[: VALUES + 1]):
                yield {"number": number, "value": value}
        finally:
            connections.close_all()

    def _rows(self, lookups: Sequence[Lookup]) -> Any:
        from django.db import connections

        rows = self._model._default_manager.all()  # noqa: SLF001 - as above
        vendor = connections[rows.db].vendor
        for lookup in lookups:
            rows = rows.filter(condition(lookup, self._model, vendor))
        return rows

    def _as_key(self, id_: str) -> Any:
        """Read a tenant's id as its column holds it; None where that can't be the text of one that it holds."""
        if "\0" in id_:
            return None
        try:
            key = self._kind(id_)
        except ValueError:
            return None
        return key if str(key) == id_ else None
