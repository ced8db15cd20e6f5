"""What of row-level security there is in a PostgreSQL database, as one role sees it: roles, tables, policies, views."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy.exc import DBAPIError

from pinstripe.database.policies import (
    POLICY,
    bare_tables,
    is_condition,
    protection,
    query,
    schemas,
    shared_tables,
    tenant_tables,
)
from pinstripe.errors import ConfigurationError
from pinstripe.postgres_outages import reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import RowMapping
    from sqlalchemy.ext.asyncio import AsyncConnection

    from pinstripe.database.catalog import Catalog

_LOOSE_TYPES = {"bpchar": "char(n)", "citext": "citext", "name": "name", "char": '"char"'}
"""The types that take different texts for equal, or cut them: as PostgreSQL calls them within, and as people do."""

_NOT_PERMITTED = "42501"
"""What PostgreSQL calls a lack of privileges: insufficient_privilege."""

_KINDS = {"r": "table", "p": "table", "f": "foreign table", "m": "materialized view", "v": "view"}


class Fault(NamedTuple):
    """Something that lets a tenant's rows out: what it is, and the statements that mend it."""

    problem: str
    remedy: Sequence[str]

    def lines(self) -> list[str]:
        """Write it: the problem, then each statement in a line of its own."""
        return [self.problem + ("; mend it with" if self.remedy else ""), *(f"    {sql};" for sql in self.remedy)]


class Role(NamedTuple):
    """The role that the connection has; its names as SQL writes them."""

    name: str
    is_superuser: bool
    bypasses: bool
    suggestion: str
    """The name of a role that isn't there yet."""
    schema: str
    """The schema in which it finds tables that are named without one."""


class Policy(NamedTuple):
    """One policy of a table; `holds` tells whether it is for this role."""

    name: str
    is_permissive: bool
    is_for_all: bool
    holds: bool
    using: str | None
    check: str | None


class TenantTable(NamedTuple):
    """A tenant table in the database, a partition of one, or a table that inherits from one (`is_named` is false)."""

    oid: int
    schema: str
    name: str
    kind: str
    is_named: bool
    enabled: bool
    forced: bool
    owner: str
    is_owned: bool
    is_permitted: bool
    tenant_column: str | None
    base_type: str | None
    column_type: str
    is_deterministic: bool
    policies: list[Policy]

    @property
    def is_reachable(self) -> bool:
        """Whether this role can read or write it by its own name."""
        return self.is_named or self.is_permitted

    @property
    def can_be_protected(self) -> bool:
        """Whether it is a table at all, and has the tenant column."""
        return self.kind in "rp" and self.tenant_column is not None

    @property
    def has_policy(self) -> bool:
        """Whether our policy is there, as this version makes it."""
        return any(self._is_ours(policy) for policy in self.policies)

    @property
    def is_protected(self) -> bool:
        """Whether there is nothing left to do to it."""
        return self.enabled and self.forced and self.has_policy

    def _is_ours(self, policy: Policy) -> bool:
        column = self.tenant_column or ""
        return (
            (policy.name, policy.is_permissive, policy.is_for_all) == (POLICY, True, True)
            and is_condition(policy.using, column)
            and is_condition(policy.check, column)
        )

    def protection(self) -> list[str]:
        """Give the statements that protect it."""
        return protection(self.name, self.tenant_column or "")

    def faults(self) -> Iterator[Fault]:
        """Tell what is wrong with it, as far as this role can reach it."""
        if not self.is_reachable or self.kind in "vm":  # what a view shows is told by `State.view_faults`
            return
        if self.kind not in "rp":
            yield Fault(f"{_KINDS.get(self.kind, 'relation')} {self.name} can't have row-level security", ())
            return
        if self.tenant_column is None:
            yield Fault(f"table {self.name} doesn't have the tenant column in the database", ())
            return
        if not self.enabled:
            yield Fault(f"table {self.name} has no row-level security", self.protection())
        elif not self.has_policy:
            is_other = any(policy.name == POLICY for policy in self.policies)
            has = f"a policy {POLICY} that is another than this version makes" if is_other else f"no policy {POLICY}"
            yield Fault(f"table {self.name} has {has}", self.protection())
        elif not self.forced and self.is_owned:
            problem = f"table {self.name} belongs to {self.owner}, and row-level security isn't forced on its owner"
            yield Fault(problem, [f"alter table {self.name} force row level security"])
        for policy in self.policies:
            if policy.name != POLICY and policy.is_permissive and policy.holds:
                problem = (
                    f"table {self.name} has the permissive policy {policy.name} too, which lets out what it allows, "
                    "whatever the tenant (make it restrictive, or for other roles, if you need it)"
                )
                yield Fault(problem, [f"drop policy {policy.name} on {self.name}"])


class View(NamedTuple):
    """A view that shows tenants' rows whatever the policies say."""

    name: str
    kind: str
    owner: str
    can_invoke: bool
    table_owner: str


class State(NamedTuple):
    """What of row-level security there is in the database, as this role sees it."""

    role: Role
    tables: list[TenantTable]
    views: list[View]
    bare: list[str]
    """The tables of classes of tenants' rows that have no tenant column of their own."""

    def column_faults(self) -> Iterator[Fault]:
        """Tell where two different ids are the same tenant."""
        for table in self.tables:
            if table.tenant_column is None or not (table.is_named and table.can_be_protected):
                continue
            loose = _LOOSE_TYPES.get(table.base_type or "")
            if loose is None and table.is_deterministic:
                continue
            what = f"is {table.column_type}" if loose else "has a nondeterministic collation"
            altered = "text" if loose else f'{table.column_type} collate pg_catalog."default"'
            change = [f"alter table {table.name} alter column {table.tenant_column} type {altered}"]
            if any(policy.name == POLICY for policy in table.policies):  # a column that a policy names can't be changed
                drop, create = table.protection()[2:]
                change = [drop, *change, create]
            problem = (
                f"column {table.tenant_column} of table {table.name} {what}, for which different ids can be equal, so "
                "one tenant would read another's rows"
            )
            yield Fault(problem, change)

    def role_faults(self) -> Iterator[Fault]:
        """Tell what lets the role pass by every policy."""
        role = self.role
        if role.is_superuser:
            schemas = ", ".join(sorted({role.schema, *(table.schema for table in self.tables)}))
            remedy = [
                f"create role {role.suggestion} login password 'CHOOSE ONE'",
                f"grant usage on schema {schemas} to {role.suggestion}",
                f"grant select, insert, update, delete on all tables in schema {schemas} to {role.suggestion}",
                f"grant usage on all sequences in schema {schemas} to {role.suggestion}",
            ]
            problem = (
                f"role {role.name} is a superuser, whom no policy holds; let database.url name another role, such as "
                "one that you make"
            )
            yield Fault(problem, remedy)
        elif role.bypasses:
            problem = f"role {role.name} has BYPASSRLS, so no policy holds for it"
            yield Fault(problem, [f"alter role {role.name} nobypassrls"])

    def table_faults(self) -> Iterator[Fault]:
        """Tell which tables aren't protected, or less than they should be."""
        for table in self.tables:
            yield from table.faults()
        for name in self.bare:
            problem = (
                f"table {name} has no tenant column of its own, so no policy can tell whose its rows are; expected one "
                "in every table that the class is mapped to"
            )
            yield Fault(problem, ())

    def view_faults(self) -> Iterator[Fault]:
        """Tell which views pass by the policies."""
        for view in self.views:
            if view.kind == "m":
                yield Fault(
                    f"materialized view {view.name} keeps rows of all tenants, and can't have policies (name it in "
                    "shared_tables if it is for all)",
                    [f"revoke all on {view.name} from public, {self.role.name}"],
                )
                continue
            problem = f"view {view.name} reads as its owner {view.owner}, whom no policy holds"
            if view.can_invoke:
                yield Fault(problem, [f"alter view {view.name} set (security_invoker = true)"])
            else:  # before PostgreSQL 15
                tables = ", ".join(table.name for table in self.tables if table.kind in "rp" and not table.forced)
                forced = [f"alter table {tables} force row level security"] if tables else []
                yield Fault(problem, [*forced, f"alter view {view.name} owner to {view.table_owner}"])


async def look(connection: AsyncConnection, catalog: Catalog) -> State:
    """Read what there is: the role, the tenant tables with their partitions and policies, and the views over them.

    Raises `ConfigurationError` where the role may not use the schema of a table.
    """
    names = tenant_tables(catalog)
    role = (await connection.exec_driver_sql(query("row_security_role"))).one()
    try:
        found = await connection.exec_driver_sql(
            query("row_security_tables"), ([*names], catalog.settings.tenant_column)
        )
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != _NOT_PERMITTED:
            raise
        fault = Fault(reason(error.orig), [f"grant usage on schema {', '.join(schemas(catalog))} to {role.name}"])
        raise ConfigurationError("\n".join(fault.lines())) from error
    tables = [_tenant_table(row) for row in found.mappings()]
    seen = await connection.exec_driver_sql(
        query("row_security_views"), ([table.oid for table in tables], shared_tables(catalog))
    )
    return State(Role._make(role), tables, [View._make(row) for row in seen], bare_tables(catalog))


def _tenant_table(row: RowMapping) -> TenantTable:
    return TenantTable(**{**dict(row), "policies": [Policy(**policy) for policy in json.loads(row["policies"])]})
