"""The application's own login: the function that the setting `server.access` names tells who a request is from."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from pinstripe.errors import ConfigurationError
from pinstripe.json_values import article
from pinstripe.server.access.identity import Access, Role
from pinstripe.server.application import import_named

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request


class OwnLogin:
    """Asks the application's function, which is async, or plain and then called in a thread."""

    def __init__(self, function: Callable[[Request], Any], name: str) -> None:
        """Take the function, and its `name` for messages."""
        self._function = function
        self._name = name
        self._is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004 - an object's own, which may be async
        )

    async def who(self, request: Request) -> Access | Response | None:
        """Tell who a request is from: None for nobody, or what is to be answered, as a redirection to the login.

        Raises what the function raises, and `ConfigurationError` where it gives something else.
        """
        if self._is_async:
            told = await self._function(request)
        else:
            told = await run_in_threadpool(self._function, request)
            if inspect.isawaitable(told):
                told = await told
        if told is None or isinstance(told, Response):
            return told
        return _checked(told, self._name)


def load_own_login(target: str) -> OwnLogin:
    """Import the function; raises `ConfigurationError` where that can't be done, or it can't be called."""
    found = import_named(target, "server.access")
    if not callable(found) or inspect.isclass(found):
        what = f"the class {found.__name__}" if inspect.isclass(found) else article(type(found).__name__)
        message = f"setting `server.access`: expected {target} to be a function, got {what}"
        raise ConfigurationError(message)
    return OwnLogin(found, target)


def _checked(told: object, name: str) -> Access:
    if not isinstance(told, Access):
        message = f"expected {name} to give pinstripe.web.Access or None, got a {type(told).__name__}"
        raise ConfigurationError(message)
    who: Any = told.name
    if not isinstance(who, str) or not who:
        message = f"expected {name} to give an Access with a name, got {who!r}"
        raise ConfigurationError(message)
    tenants: Any = told.tenants
    if tenants is not None and (isinstance(tenants, str) or not all(isinstance(tenant, str) for tenant in tenants)):
        message = f"expected {name} to give an Access whose tenants are a set of ids, or None, got {tenants!r}"
        raise ConfigurationError(message)
    try:
        role = Role(told.role)
    except ValueError:
        message = f"expected {name} to give an Access whose role is 'read' or 'operate', got {told.role!r}"
        raise ConfigurationError(message) from None
    return Access(told.name, role, None if tenants is None else frozenset(tenants))
