"""What one session may reach: a tenant's rows, what is shared, or everything. It is fixed when the session is made."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from sqlalchemy import Boolean, String, Uuid, bindparam, collate, literal, true

from pinstripe.database.class_faults import find_class_faults
from pinstripe.database.internals import Criteria
from pinstripe.errors import ConfigurationError, IsolationError, TenantRequired

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm.util import LoaderCriteriaOption

    from pinstripe.database.catalog import Catalog, Entry
    from pinstripe.tenants import Tenant


class Scope(NamedTuple):
    """What a session may reach in the tables of the `catalog`.

    `tenant` is whose; None is nobody's, which reaches what is shared only, unless the scope is `unscoped`. `criteria`
    are options for every statement of the ORM, and `parameters` the values that they need. `columns` has for each
    entity its tenant column as it is to be compared, and the condition that takes a parameter. `only_orm` tells that
    statements which the ORM doesn't see can't be kept to the tenant; `text` that SQL in text can do no harm.
    `faults` has what can't be used for what it would read by itself, with what is to be said of it.
    """

    catalog: Catalog
    tenant: Tenant | None
    unscoped: bool
    criteria: tuple[LoaderCriteriaOption, ...]
    parameters: Mapping[str, object]
    columns: Mapping[Any, tuple[ColumnElement[Any], ColumnElement[bool]]]
    only_orm: bool
    text: bool
    faults: Mapping[Any, str] = MappingProxyType({})

    @property
    def everything(self) -> bool:
        """Whether nothing has to be kept apart."""
        return self.unscoped or self.catalog.isolation == "none"

    @property
    def by_rows(self) -> bool:
        """Whether each row says whose it is."""
        return self.catalog.isolation == "rows" and self.tenant is not None and not self.unscoped

    def value(self, entry: Entry) -> Any:
        """Give the tenant's id as the value of the tenant column of `entry`."""
        return self.parameters[parameter_of(entry)]

    def require(self, entry: Entry) -> None:
        """Raise where the table can't be reached: undeclared, faulty, or a tenant's in a workspace without one."""
        if self.everything:
            if self.catalog.isolation == "schemas" and entry.standing == "tenant":
                raise IsolationError(
                    f"table {entry.name!r} is in a schema of each tenant's own, and unscoped(…) is in none of them: "
                    f"expected a workspace of each tenant, or text(…) that names the schema, as acme.{entry.name}"
                )
            return
        if entry.entity in self.faults:
            raise IsolationError(self.faults[entry.entity])
        if entry.standing == "shared":
            return
        if entry.standing == "undeclared":
            raise IsolationError(self.catalog.undeclared(entry))
        if self.tenant is None:
            raise TenantRequired(tenant_required(entry))

    def restriction(self, entry: Entry, *, given: bool) -> ColumnElement[bool] | None:
        """Give the condition that keeps a statement on `entry` to the tenant; None where rows don't say whose they are.

        With `given` it takes the tenant's id from the parameters that each query of the ORM is given. Raises as
        `require` does.
        """
        self.require(entry)
        if not self.by_rows or entry.tenant is None:
            return None
        column, condition = self.columns[entry.entity]
        return condition if given else column == literal(self.value(entry), entry.tenant.type)

    def literal_criteria(self) -> Iterator[LoaderCriteriaOption]:
        """Give the criteria of the tenant's classes with the tenant's id in them, as updates and deletes need it."""
        for entry in self.catalog.by_class.values():
            if entry.entity in self.faults:
                yield _refusal(entry, IsolationError(self.faults[entry.entity]))
                continue
            restriction = self.restriction(entry, given=False) if entry.standing == "tenant" else None
            if restriction is not None:
                yield Criteria(entry.entity, restriction)


class Scopes:
    """Makes scopes over one catalog; what doesn't depend on the tenant is made once."""

    def __init__(self, catalog: Catalog, dialect: str) -> None:
        """Take the `catalog` and the name of the database's `dialect`."""
        self.catalog = catalog
        self._columns = {
            parameter_of(entry): entry for entry in catalog if catalog.isolation == "rows" and entry.tenant is not None
        }
        self._conditions = {
            entry.entity: _condition(entry, entry.tenant, dialect)
            for entry in (*catalog, *catalog.by_class.values())
            if entry.tenant is not None
        }
        self._faults = find_class_faults(catalog)
        of_tenant: list[LoaderCriteriaOption] = []
        of_nobody: list[LoaderCriteriaOption] = []
        for entry in catalog.by_class.values():
            fault = catalog.undeclared(entry) if entry.standing == "undeclared" else self._faults.get(entry.entity)
            if fault is not None:
                refusal = _refusal(entry, IsolationError(fault))
                of_tenant.append(refusal)
                of_nobody.append(refusal)
            elif entry.standing == "tenant":
                of_nobody.append(_refusal(entry, TenantRequired(tenant_required(entry))))
                if entry.tenant is not None:
                    _, condition = self._conditions[entry.entity]
                    of_tenant.append(Criteria(entry.entity, condition))
        self._of_tenant = tuple(of_tenant)
        self._of_nobody = tuple(of_nobody)

    def of(self, tenant: Tenant | None) -> Scope:
        """Give the scope of a tenant, or with None that of nobody.

        Raises `IsolationError` where the tenant's id can't be a value of the tenant column.
        """
        catalog = self.catalog
        if tenant is None:
            return Scope(
                catalog,
                None,
                unscoped=False,
                criteria=self._of_nobody,
                parameters={},
                columns={},
                only_orm=False,
                text=False,
                faults=self._faults,
            )
        parameters = MappingProxyType({name: tenant_value(entry, tenant.id) for name, entry in self._columns.items()})
        return Scope(
            catalog,
            tenant,
            unscoped=False,
            criteria=self._of_tenant,
            parameters=parameters,
            columns=self._conditions,
            only_orm=catalog.isolation == "rows",
            text=catalog.isolation == "databases",
            faults=self._faults,
        )

    def unscoped(self, tenant: Tenant | None) -> Scope:
        """Give the scope that reaches everything; the `tenant` is whose workspace it was asked for in."""
        return Scope(
            self.catalog, tenant, unscoped=True, criteria=(), parameters={}, columns={}, only_orm=False, text=True
        )


def tenant_value(entry: Entry, tenant_id: str) -> object:
    """Give a tenant's id as a value of the tenant column of `entry`.

    Only the one way to write a number or a UUID is taken, so that two ids never become one value: `"01"` is not 1.
    Raises `IsolationError` for an id that can't be one, `ConfigurationError` for a column that can't hold ids.
    """
    assert entry.tenant is not None  # noqa: S101 - only rows with a tenant are asked
    try:
        kind: type | None = entry.tenant.type.python_type
    except NotImplementedError:
        kind = None
    as_text = kind is str
    if as_text and not isinstance(entry.tenant.type, Uuid):
        return tenant_id
    if as_text:
        kind = UUID  # `Uuid(as_uuid=False)` takes any way to write one
    if kind is not int and kind is not UUID:
        found = getattr(kind, "__name__", None) or str(entry.tenant.type)
        message = f"the tenant column of table {entry.name!r} is a {found}; expected text, an integer or a UUID"
        raise ConfigurationError(message)
    try:
        value: int | UUID = kind(tenant_id)
    except ValueError:
        value = -1
    if str(value) != tenant_id or (isinstance(value, int) and value not in _INTEGERS):
        what = "an integer" if kind is int else "a UUID"
        message = (
            f"tenant {tenant_id!r} has no rows in table {entry.name!r}: its column {entry.tenant.key!r} holds {what}, "
            f"and that id isn't how one is written; expected ids such as {'42' if kind is int else UUID(int=42)}"
        )
        raise IsolationError(message)
    return tenant_id if as_text else value


def tenant_required(entry: Entry) -> str:
    """Say that a table belongs to tenants, where there is none."""
    return (
        f"table {entry.name!r} belongs to tenants, and this workspace has none: expected multi_tenant = True in the "
        "job's class, or workspace.unscoped(reason=…) for work beyond one tenant"
    )


_INTEGERS = range(-(2**63), 2**63)


def _condition(
    entry: Entry, tenant: ColumnElement[Any], dialect: str
) -> tuple[ColumnElement[Any], ColumnElement[bool]]:
    """Give the tenant column as it is to be compared, and the condition on it, with a parameter that must be given.

    In SQLite text is compared byte by byte, whatever collation the column declares. (PostgreSQL couldn't use an index
    then; there, columns that compare more loosely are refused when connecting.)
    """
    column = collate(tenant, "BINARY") if dialect == "sqlite" and isinstance(tenant.type, String) else tenant
    return column, column == bindparam(parameter_of(entry), type_=tenant.type, required=True)


def parameter_of(entry: Entry) -> str:
    """Name the parameter of the tenant's id; one for each type of column, since ids may be kept in several."""
    return f"pinstripe_tenant_{type(entry.tenant.type).__name__.lower()}" if entry.tenant is not None else ""


def _refusal(entry: Entry, error: Exception) -> LoaderCriteriaOption:
    """Give criteria that raise as soon as a statement on the class is executed."""

    def refuse() -> bool:
        raise type(error)(*error.args)

    refused = bindparam(f"pinstripe_refused_{entry.name}", callable_=refuse, type_=Boolean())
    return Criteria(entry.entity, refused == true())
