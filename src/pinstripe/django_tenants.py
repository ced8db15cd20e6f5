"""The tenant context of a project on Django with django-tenants, where each tenant has a schema of its own.

`context = "pinstripe.django_tenants:tenant_context"` under `[tool.pinstripe.tenants]` enters it in the thread of each
multi-tenant job. Django's connections belong to threads, and the tenant to the connection, so everything that a job
asks of the tenants' database it must ask in that thread; what it asks elsewhere, as the async ORM does, is refused.
"""

from __future__ import annotations

import gc
from asyncio import get_running_loop
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from pinstripe.errors import ConfigurationError, IsolationError
from pinstripe.executing import CURRENT

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Token
    from types import TracebackType

    from pinstripe.tenants import Tenant

_GUARD = "pinstripe"


class _Entered(NamedTuple):
    """Where a tenant is entered: its `connection` is the only one to be used, and `schema` the only one there."""

    tenant: str
    connection: Any
    schema: str


_ENTERED: ContextVar[_Entered | None] = ContextVar("pinstripe_django_tenant", default=None)
"""The tenant entered in the thread that the running code belongs to; only to refuse what reaches beyond it."""


class tenant_context:  # noqa: N801 - it is used as the function of that name in django-tenants
    """Makes a tenant's schema the current one of this thread's connection; afterwards that is public, and closed.

    A tenant whose item is a row of the tenant model stands for that row; any other for the row whose `schema_name` is
    the attribute of that name, or else the tenant's id.
    """

    runs_in_thread: ClassVar[bool] = True

    def __init__(self, tenant: Tenant) -> None:
        """Take the `tenant`."""
        self._tenant = tenant
        self._entered: _Entered | None = None
        self._token: Token[_Entered | None] | None = None

    @classmethod
    def prepare(cls) -> None:
        """Watch every connection there is and will be; raises `ConfigurationError` where Django isn't set up for it."""
        from django.db import connections
        from django.db.backends.base.base import BaseDatabaseWrapper
        from django.db.backends.signals import connection_created

        try:
            from django_tenants.utils import get_tenant_database_alias, get_tenant_model

            get_tenant_model()
            connection = connections[get_tenant_database_alias()]
        except Exception as error:
            message = (
                f"Django isn't set up with django-tenants: {type(error).__name__}: {error}; let the setting `setup` "
                "name a function that sets DJANGO_SETTINGS_MODULE and calls django.setup()"
            )
            raise ConfigurationError(message) from error
        if not hasattr(connection, "set_tenant"):
            message = (
                f"expected ENGINE = 'django_tenants.postgresql_backend' for the database {connection.alias!r}, got "
                f"{connection.settings_dict['ENGINE']!r}"
            )
            raise ConfigurationError(message)
        connection_created.connect(_receive, dispatch_uid=_GUARD)
        for each in gc.get_objects():  # Django lists the connections of one thread only
            if issubclass(type(each), BaseDatabaseWrapper):
                _watch(each)

    def __enter__(self) -> None:
        """Enter it.

        Raises `ConfigurationError` on an event loop, and `IsolationError` inside another tenant's job, and where there
        is no such row or no such schema.
        """
        from django.db import connections
        from django_tenants.utils import get_public_schema_name, get_tenant_database_alias

        tenant, executing = self._tenant, CURRENT.get()
        if _is_on_loop():
            message = "tenant_context belongs to a thread; on an event loop Django's connections are somewhere else"
            raise ConfigurationError(message)
        if _ENTERED.get() is not None or (executing is not None and executing.tenant_id not in {None, tenant.id}):
            message = f"tenant {tenant.id!r} can't be entered inside another one; run a job for it instead"
            raise IsolationError(message)
        connection = connections[get_tenant_database_alias()]
        self._token = _ENTERED.set(_Entered(tenant.id, connection, get_public_schema_name()))
        try:
            connection.set_schema_to_public()
            row = self._find()
            self._require_schema(row.schema_name, connection.alias)
            connection.set_tenant(row)
        except BaseException:
            _ENTERED.reset(self._token)
            connections.close_all()
            raise
        self._entered = _Entered(tenant.id, connection, row.schema_name)
        _ENTERED.set(self._entered)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        """Leave it, with the connection public and closed; raises `IsolationError` where the schema was changed."""
        from django.db import connections

        entered, token = self._entered, self._token
        assert entered is not None and token is not None  # noqa: S101, PT018 - for the type checker
        connection = entered.connection
        schema = connection.schema_name
        try:
            _ENTERED.reset(token)
            connection.set_schema_to_public()
        finally:
            connections.close_all()
            connection.close()
        if schema != entered.schema:
            message = (
                f"the job of tenant {entered.tenant!r} left Django's connection on the schema {schema!r} instead of "
                f"{entered.schema!r}; work for another tenant belongs into a job that runs for that tenant"
            )
            raise IsolationError(message)

    def _require_schema(self, schema: str, alias: str) -> None:
        from django_tenants.utils import schema_exists

        if not schema_exists(schema, alias):
            message = (
                f"tenant {self._tenant.id!r} has no schema {schema!r} in the database; expected one that was made for "
                "it: without it, PostgreSQL would look in the public one"
            )
            raise IsolationError(message)

    def _find(self) -> Any:
        from django_tenants.utils import get_tenant_model

        model = get_tenant_model()
        item = self._tenant._item  # noqa: SLF001 - its other half
        if isinstance(item, model):
            return item
        schema = str(self._tenant.get("schema_name", self._tenant.id))
        row = model._default_manager.filter(schema_name=schema).first()  # noqa: SLF001 - Django documents it
        if row is None:
            message = (
                f"tenant {self._tenant.id!r}: there is no {model.__name__} with the schema_name {schema!r}; expected "
                f"tenants that are rows of {model.__name__}, or whose attribute schema_name, or else id, names one"
            )
            raise IsolationError(message)
        return row


def _receive(*, connection: Any, **_: Any) -> None:
    """Watch a connection that was just made, and close it again where it is made by who must not use it."""
    _watch(connection)
    try:
        _check(connection)
    except IsolationError:
        connection.close()
        raise


def _watch(connection: Any) -> None:
    """Let every statement of a connection pass the guard first."""
    if _guard not in connection.execute_wrappers:
        # In front, since Django takes those that come and go from the end.
        connection.execute_wrappers.insert(0, _guard)


def _guard(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:  # noqa: FBT001 - Django's
    """Refuse a statement of a tenant's job that would not go to that tenant's schema."""
    _check(context["connection"])
    return execute(sql, params, many, context)


def _check(connection: Any) -> None:
    """Raise `IsolationError` where a tenant's job may not use this connection as it is."""
    from django_tenants.utils import get_tenant_database_alias

    executing, entered = CURRENT.get(), _ENTERED.get()
    tenant = None if executing is None else executing.tenant_id
    if tenant is None or connection.alias != get_tenant_database_alias():
        return
    if entered is None:
        message = (
            f"something asked Django's database for tenant {tenant!r} outside of its job's thread, where the tenant is "
            "entered (a service is opened before that); expected the plain ORM, inside run"
        )
        raise IsolationError(message)
    if connection is not entered.connection:
        message = (
            f"the job of tenant {tenant!r} asked Django's database from another thread than its own, where the "
            "connection belongs to nobody or to another tenant; expected the plain ORM, called in run: not the async "
            "ORM by asyncio.run or self.wait, and no threads of the job's own"
        )
        raise IsolationError(message)
    if connection.schema_name != entered.schema:
        message = (
            f"the job of tenant {tenant!r} asked the schema {connection.schema_name!r}; expected its own, "
            f"{entered.schema!r}: work for another tenant belongs into a job that runs for that tenant"
        )
        raise IsolationError(message)


def _is_on_loop() -> bool:
    try:
        get_running_loop()
    except RuntimeError:
        return False
    return True
