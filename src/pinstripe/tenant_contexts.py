"""An application's own way of switching to a tenant: a context manager that is entered for each tenant's workspace."""

from __future__ import annotations

import asyncio
import inspect
from functools import partial
from typing import TYPE_CHECKING, Any

from pinstripe.errors import ConfigurationError, InvalidJob, PinstripeError
from pinstripe.outcome import error_text
from pinstripe.references import import_reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from pinstripe.definition import Definition
    from pinstripe.tenants import Tenant


class TenantContext:
    """A function that is called with a tenant and gives a context manager, synchronous or not.

    What is asynchronous, as `@asynccontextmanager` or a class with `__aenter__` tells, is entered in the attempt's own
    task, before the services are opened, and left after they are closed. So is a synchronous one where `run` is an
    `async def`; where it is a plain `def`, a synchronous one is called, entered and left in the job's thread, around
    `run`. It is told how the attempt ended, and can't make a failure of it a success.

    A function with the attribute `runs_in_thread = True` is for that thread alone: jobs with an `async def run` are
    refused. One that has a method `prepare` is told so, once, before anything is entered.
    """

    __slots__ = ("_function", "asynchronous", "name", "runs_in_thread")

    def __init__(self, function: Callable[[Tenant], object], name: str) -> None:
        """Take the `function`, and the `name` for messages.

        Raises `ConfigurationError` for what can be seen to give no context manager without calling it.
        """
        _check_function(function)
        self._function = function
        self.name = name
        self.asynchronous = _is_asynchronous(function)
        """Whether it is entered by `async with`."""
        self.runs_in_thread = bool(getattr(function, "runs_in_thread", False))
        """Whether it can only be entered in a job's thread."""
        prepare = getattr(function, "prepare", None)
        if prepare is not None:
            prepare()

    def of(self, tenant: Tenant) -> ContextOfTenant:
        """Give the context of one workspace, to be entered once."""
        return ContextOfTenant(self, tenant)

    def check(self, definition: Definition) -> None:
        """Raise `InvalidJob` for a job whose `run` can't be inside this context."""
        if self.runs_in_thread and definition.runs_in == "loop":
            run = inspect.unwrap(definition.job_class.run)  # type: ignore[attr-defined]
            message = (
                f"{definition.name}: run is an async def, and the tenant context {self.name} belongs to a thread: it "
                "would not be seen from the event loop; make run a plain def"
            )
            raise InvalidJob(message, path=definition.path, line=run.__code__.co_firstlineno)

    def make(self, tenant: Tenant) -> Any:
        """Call the function; raises `ConfigurationError` where it gives no context manager of its kind."""
        manager = self._function(tenant)
        needed = "__aenter__" if self.asynchronous else "__enter__"
        if hasattr(type(manager), needed):
            return manager
        if inspect.iscoroutine(manager):
            manager.close()
        found = "None" if manager is None else f"a {type(manager).__name__}"
        hint = ""
        if hasattr(type(manager), "__aenter__"):
            hint = (
                ", which is asynchronous; make the function one under @asynccontextmanager, which tells so beforehand"
            )
        message = f"the tenant context {self.name}: expected a context manager, got {found}{hint}"
        raise ConfigurationError(message)


class ContextOfTenant:
    """One workspace's context, which is entered and left once."""

    __slots__ = ("_context", "_manager", "_tenant")

    def __init__(self, context: TenantContext, tenant: Tenant) -> None:
        """Take what to enter, and for whom."""
        self._context = context
        self._tenant = tenant
        self._manager: Any = None

    def __str__(self) -> str:
        """Name the context and the tenant."""
        return f"the tenant context {self._context.name} for tenant {self._tenant.id!r}"

    async def enter(self) -> None:
        """Enter it in this task; raises `PinstripeError` that names it, or `ConfigurationError`."""
        context = self._context
        if context.runs_in_thread:
            id_ = self._tenant.id
            message = (
                f"{self} belongs to the thread of a job, so nothing else can be done in it; to run a job for that "
                f"tenant use workspace(tenant=None).options(tenants=[{id_!r}]).run_background_job(…)"
            )
            raise ConfigurationError(message)
        try:
            manager = context.make(self._tenant)
            if context.asynchronous:
                await manager.__aenter__()
            else:
                manager.__enter__()
        except (asyncio.CancelledError, ConfigurationError):
            raise
        except BaseException as raised:
            message = f"{self} failed to open: {error_text(raised)}"
            raise PinstripeError(message) from raised
        self._manager = manager

    async def leave(self, exception: BaseException | None) -> None:
        """Leave it with the `exception`, which it can't take away; raises what it raises itself."""
        leave = self._manager.__aexit__ if self._context.asynchronous else self._manager.__exit__
        try:
            left = leave(*_as_arguments(exception))
            if self._context.asynchronous:
                await left
        except BaseException as raised:
            if raised is not exception:
                raise

    def call(self, function: Callable[[], Any], failure: Callable[[], BaseException | None]) -> Any:
        """Call something inside the context, all in this thread; give what it gives, or raise what it raises.

        `failure` tells of a stop while it went on. What leaving raises is noted on what the function raised, or is
        raised as a `PinstripeError`.
        """
        try:
            manager = self._context.make(self._tenant)
            manager.__enter__()
        except ConfigurationError:
            raise
        except BaseException as raised:
            message = f"{self} failed to open: {error_text(raised)}"
            raise PinstripeError(message) from raised
        try:
            value = function()
        except BaseException as raised:
            problem = self._leave_here(manager, raised)
            if problem is not None:
                raised.add_note(str(problem))
            raise
        problem = self._leave_here(manager, failure())
        if problem is not None:
            raise problem
        return value

    def _leave_here(self, manager: Any, exception: BaseException | None) -> PinstripeError | None:
        try:
            manager.__exit__(*_as_arguments(exception))
        except BaseException as raised:  # noqa: BLE001 - whatever it is, it must not hide how the job ended
            if raised is exception:
                return None
            problem = PinstripeError(f"{self} failed to close: {error_text(raised)}")
            problem.__cause__ = raised
            return problem
        return None


def load_tenant_context(name: str) -> TenantContext:
    """Import what the setting `tenants.context` names as "module:attribute".

    The project's folder must be on `sys.path`. Raises `ConfigurationError` that names the setting.
    """
    try:
        return TenantContext(import_reference(name), name)
    except ConfigurationError as error:
        message = f"setting tenants.context = {name!r}: {error}"
        raise ConfigurationError(message) from error.__cause__


def _check_function(function: object) -> None:
    expected = "expected a function that is called with the tenant and gives a context manager"
    if not callable(function):
        message = f"{expected}, got a {type(function).__name__}"
        raise ConfigurationError(message)
    for undecorated, decorator in (
        (inspect.isasyncgenfunction, "asynccontextmanager"),
        (inspect.isgeneratorfunction, "contextmanager"),
    ):
        if undecorated(function):
            message = f"{expected}, got a generator; put contextlib.{decorator} over it"
            raise ConfigurationError(message)
    if inspect.iscoroutinefunction(function):
        message = f"{expected}, got an async def that returns; let it yield once, under contextlib.asynccontextmanager"
        raise ConfigurationError(message)
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # something built in; calling it will tell
    try:
        signature.bind(None)
    except TypeError as error:
        message = f"{expected} alone, got one with the signature {signature}: {error}"
        raise ConfigurationError(message) from None


def _is_asynchronous(function: Any) -> bool:
    """Tell whether what the function gives is entered by `async with`, as far as that can be known beforehand."""
    while isinstance(function, partial):
        function = function.func
    if isinstance(function, type):
        return hasattr(function, "__aenter__")
    return inspect.isasyncgenfunction(inspect.unwrap(function))


def _as_arguments(exception: BaseException | None) -> tuple[Any, Any, Any]:
    if exception is None:
        return None, None, None
    return type(exception), exception, exception.__traceback__
