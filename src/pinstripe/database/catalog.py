"""Which tables there are, what stands for each, and which column tells whose its rows are."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from weakref import WeakKeyDictionary

from sqlalchemy import Table, event, inspect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapper, configure_mappers
from sqlalchemy.sql.visitors import iterate

from pinstripe.errors import ConfigurationError, IsolationError, UnknownTable
from pinstripe.names import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType

    from sqlalchemy import ColumnElement, MetaData

    from pinstripe.config import DatabaseSettings

Isolation = Literal["rows", "schemas", "databases", "none"]

Standing = Literal["tenant", "shared", "undeclared"]

TENANT_SCHEMA = "tenant"
"""The schema that models name for what each tenant has in a schema of its own: a symbol, there is none so called."""


class Entry(NamedTuple):
    """One table as the service knows it.

    `entity` is the author's mapped class, or the `Table` where there is none; `table` is the table itself. `tenant` is
    what says whose a row is, to be used in expressions (an attribute of the class, or a column); None where rows carry
    no tenant. `standing` is "tenant" for what belongs to tenants, "shared" for what belongs to all, and "undeclared"
    for what says neither, and can't be used.
    """

    name: str
    entity: Any
    table: Table
    tenant: ColumnElement[Any] | None
    standing: Standing

    @property
    def mapper(self) -> Mapper[Any] | None:
        """The mapper of the author's class; None for a plain table."""
        return None if isinstance(self.entity, Table) else inspect(self.entity)

    @property
    def tenant_key(self) -> str | None:
        """The name under which a row's values have its tenant: an attribute's of the class, or the column's."""
        return None if self.tenant is None else str(self.tenant.key)


class Catalog:
    """The tables of one application: by name, by mapped class, and by `Table`."""

    def __init__(self, entries: Iterable[Entry], settings: DatabaseSettings, isolation: Isolation) -> None:
        """Take the `entries`; raises `ConfigurationError` where `shared_tables` names what there isn't."""
        self.settings = settings
        self.isolation: Isolation = isolation
        self._as_of = _Mapped.times
        self.by_name: dict[str, Entry] = {}
        self.by_class: dict[type, Entry] = {}
        self.by_table: dict[Table, Entry] = {}
        """The standing of each table, also of those that a class has besides its first one."""
        self.prepared: dict[Any, Any] = {}
        """Statements on these tables that were built before; see `prepared.py`."""
        self.kept: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
        """What flushes write, as it is kept to the tenant; see `connections.py`."""
        for entry in entries:
            self.by_name.setdefault(entry.name, entry)
            if isinstance(entry.entity, type):
                self.by_class[entry.entity] = entry
                tables: Any = inspect(entry.entity).tables
                for table in tables:
                    self.by_table.setdefault(table, entry)
            else:
                self.by_table[entry.table] = entry
        self.between = set(_between(self.by_class))
        """The tables that are no more than the way from one class to another: they needn't be declared."""
        self.plain_between = frozenset(one for one in self.between if not self._is_mapped(one))
        """Those of them without a class of their own: a query may join them as a relationship does."""
        unknown = [name for name in settings.shared_tables if name not in self.by_name]
        if unknown:
            near = nearest(unknown[0], self.by_name)
            hint = f"the nearest is {' or '.join(near)}" if near else f"there are {', '.join(self.by_name) or 'none'}"
            message = f"setting database.shared_tables: there is no table {unknown[0]!r}; {hint}"
            raise ConfigurationError(message)

    def _is_mapped(self, table: Table) -> bool:
        return table in self.by_table and self.by_table[table].mapper is not None

    @property
    def is_outdated(self) -> bool:
        """Whether classes were mapped, or given relationships, after the models were read."""
        return self._as_of != _Mapped.times and self.settings.models is not None

    def __iter__(self) -> Iterator[Entry]:
        """Go over the tables, in the order of their names."""
        return iter(sorted(self.by_name.values(), key=lambda entry: entry.name))

    def find(self, key: str | type, *, undeclared: bool = False) -> Entry:
        """Give the table by its name or its mapped class.

        Raises `UnknownTable` with the nearest names, and, unless `undeclared` ones will do, `IsolationError` for one
        that says neither that its rows belong to tenants nor that they are shared.
        """
        entry = self.by_name.get(key) if isinstance(key, str) else self.by_class.get(key)
        if entry is None:
            raise self._unknown(key)
        if entry.standing == "undeclared" and not undeclared:
            raise IsolationError(self.undeclared(entry))
        return entry

    def undeclared(self, entry: Entry) -> str:
        """Say what an undeclared table lacks."""
        if self.isolation == "schemas":
            lacks = f'the model says neither schema = "{TENANT_SCHEMA}"'
        else:
            lacks = f"it has no column {self.settings.tenant_column!r}"
        return (
            f"table {entry.name!r} can't be used: {lacks}, nor is it named in shared_tables under "
            "[tool.pinstripe.database]; expected one of the two, so that nobody reads another tenant's rows by accident"
        )

    def _unknown(self, key: str | type) -> UnknownTable:
        if not isinstance(key, str):
            of = self.settings.models or "this database, which has no models"
            return UnknownTable(f"{key.__qualname__} is no mapped class of {of}")
        near = nearest(key, self.by_name)
        hint = (
            f"the nearest is {' or '.join(near)}" if near else f"there are {', '.join(sorted(self.by_name)) or 'none'}"
        )
        where = f"{self.settings.models} declares no model for it" if self.settings.models else "the database has none"
        return UnknownTable(f"there is no table {key!r}: {where}; {hint}")


class _Mapped:
    """How often something was mapped in this process: a class, or an attribute of one."""

    times = 0


@event.listens_for(Mapper, "after_mapper_constructed")
def _count_class(_mapper: Mapper[Any], _class: type) -> None:
    _Mapped.times += 1


@event.listens_for(object, "attribute_instrument", propagate=True)
def _count_attribute(_class: type, _key: str, _attribute: object) -> None:
    _Mapped.times += 1


def _between(classes: Iterable[type]) -> Iterator[Table]:
    for entity in classes:
        mapper: Mapper[Any] = inspect(entity)
        for relationship in mapper.relationships:
            if relationship.secondary is not None:
                yield from (part for part in iterate(relationship.secondary) if isinstance(part, Table))


def declared(settings: DatabaseSettings, isolation: Isolation) -> Catalog:
    """Read the catalog from the models that the setting `database.models` names.

    Raises `ConfigurationError` where the module can't be imported, has no models, or they can't be mapped.
    """
    module_name = settings.models or ""
    try:
        module = import_module(module_name)
        configure_mappers()
    except (Exception, SystemExit) as error:
        message = f"setting database.models: {module_name} can't be used: {type(error).__name__}: {error}"
        raise ConfigurationError(message) from error
    mappers, tables = _models_of(module)
    if not mappers and not tables:
        message = (
            f"setting database.models: {module_name} has no SQLAlchemy models; expected classes that derive from a "
            "DeclarativeBase, or tables"
        )
        raise ConfigurationError(message)
    entries = [_entry(mapper.class_, mapper.local_table, settings, isolation) for mapper in mappers]
    mapped = {table for mapper in mappers for table in mapper.tables}
    entries += [_entry(table, table, settings, isolation) for table in tables if table not in mapped]
    return Catalog(entries, settings, isolation)


def reflected(metadata: MetaData, settings: DatabaseSettings, isolation: Isolation) -> Catalog:
    """Make the catalog of tables that were read from the database itself."""
    entries = [_entry(table, table, settings, isolation) for table in metadata.tables.values()]
    return Catalog(entries, settings, isolation)


def _models_of(module: ModuleType) -> tuple[list[Mapper[Any]], list[Table]]:
    """Give the mappers that the module has or that share a base with them, and the tables beside them."""
    mappers: dict[Mapper[Any], None] = {}
    metadatas: dict[MetaData, None] = {}
    for value in vars(module).values():
        if isinstance(value, Table):
            metadatas[value.metadata] = None
        registry = getattr(value, "registry", None) if isinstance(value, type) else None
        if registry is not None and hasattr(registry, "mappers"):
            metadatas[registry.metadata] = None
            mappers.update(dict.fromkeys(registry.mappers))
        elif isinstance(value, type) and inspect(value, raiseerr=False) is not None:
            mappers[inspect(value)] = None
    ordered = sorted(mappers, key=lambda mapper: (_depth(mapper), mapper.class_.__qualname__))
    tables = {table: None for metadata in metadatas for table in metadata.tables.values()}
    return ordered, list(tables)


def _depth(mapper: Mapper[Any]) -> int:
    """Tell how many classes a class inherits its mapping from: a table's name stands for the first of them."""
    return len(list(mapper.iterate_to_root()))


def _entry(entity: Any, table: Any, settings: DatabaseSettings, isolation: Isolation) -> Entry:
    if not isinstance(table, Table):
        message = f"{entity.__qualname__} is mapped to {type(table).__name__}; expected a table"
        raise ConfigurationError(message)
    name = table.name if table.schema in (None, TENANT_SCHEMA) else f"{table.schema}.{table.name}"
    is_shared = name in settings.shared_tables
    tenant = _tenant_of(entity, settings.tenant_column) if isolation == "rows" else None
    if tenant is not None and is_shared:
        message = (
            f"table {name!r} has the column {settings.tenant_column!r} and is named in shared_tables too; expected one "
            "of the two"
        )
        raise ConfigurationError(message)
    belongs = {
        "rows": tenant is not None,
        "schemas": table.schema == TENANT_SCHEMA,
        "databases": not is_shared,
        "none": False,
    }[isolation]
    if belongs:
        return Entry(name, entity, table, tenant, "tenant")
    return Entry(name, entity, table, None, "shared" if is_shared or isolation == "none" else "undeclared")


def _tenant_of(entity: Any, column_name: str) -> ColumnElement[Any] | None:
    if isinstance(entity, Table):
        return next((column for column in entity.columns if column.name == column_name), None)
    mapper = inspect(entity)
    for column in mapper.columns:
        if column.name == column_name:
            try:
                attribute: ColumnElement[Any] = getattr(entity, mapper.get_property_by_column(column).key)
            except SQLAlchemyError:
                continue
            return attribute
    return None
