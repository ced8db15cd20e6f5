"""What a job has as `self.database`: the application's tables, kept to the tenant of its workspace."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

from sqlalchemy.exc import IllegalStateChangeError
from sqlalchemy.orm import object_session

from pinstripe.database.queries import Chosen
from pinstripe.database.rows import Rows
from pinstripe.database.session import DatabaseSession
from pinstripe.database.transactions import Transaction, finish, operate
from pinstripe.errors import ConfigurationError, WorkspaceClosed

if TYPE_CHECKING:
    from collections.abc import Callable

    from pinstripe.database.engines import Binding
    from pinstripe.database.scope import Scope
    from pinstripe.database.session import Begin, Means, ScopedSession
    from pinstripe.tenants import Tenant

R = TypeVar("R")
T = TypeVar("T")

_log = logging.getLogger("pinstripe.database")

_PATIENCE = 1.0
"""For how many seconds the end of a workspace waits for a statement of a task that was left behind."""

_LONGEST = 60.0
"""For how many seconds it waits at all."""

_PAUSE = 0.005
"""After how many seconds it looks again."""


class Access(Protocol):
    """What all databases of a process are made with."""

    async def means(self, tenant: Tenant | None, *, unscoped: bool) -> Means:
        """Give what a session of the `tenant` works with, connecting and reading what is needed."""
        ...

    def renew(self, tenant: Tenant | None, *, unscoped: bool) -> Scope:
        """Give the scope of a session over the classes that are mapped by now."""
        ...

    def everything(self, *, unscoped: bool) -> bool:
        """Tell whether a session reaches everything."""
        ...

    def failed(self, error: BaseException, binding: Binding | None = None) -> BaseException:
        """Give what is to be raised for an error of SQLAlchemy or a driver, from what `binding` leads to."""
        ...


class Database:
    """The application's tables, kept to the tenant of one workspace; it ends with that.

    `database.users` is the table `users`; `database[User]` the same, by the author's mapped class, so that type
    checkers know its rows; `database["session"]` reaches a table of any name. See `Rows` for what they can do.
    """

    __slots__ = ("__weakref__", "_work")

    def __init__(self, work: Work) -> None:
        """Take what does the work."""
        self._work = work

    @overload
    def __getitem__(self, key: type[R]) -> Rows[R]: ...

    @overload
    def __getitem__(self, key: str) -> Rows[Any]: ...

    def __getitem__(self, key: Any) -> Rows[Any]:
        """Give the rows of a table, by its name or its mapped class. Raises `ConfigurationError` for anything else."""
        if not isinstance(key, str | type):
            message = f"database[…]: expected the name of a table or a mapped class, got {key!r}"
            raise ConfigurationError(message)
        return Rows(self._work, Chosen(key))

    def __getattr__(self, name: str) -> Rows[Any]:
        """Give the rows of the table `name`."""
        if name.startswith("_"):
            message = f"the database has no attribute {name!r}; a table of that name is database[{name!r}]"
            raise AttributeError(message, name=name, obj=self)
        return Rows(self._work, Chosen(name))

    @property
    def session(self) -> DatabaseSession:
        """SQLAlchemy's `AsyncSession`, kept to the tenant, for whatever tables don't offer.

        It follows SQLAlchemy's rules: its first use begins a transaction that lasts, and holds a connection, until
        `commit()` or `rollback()`; what is not committed at the workspace's end is undone. Raises `WorkspaceClosed`.
        """
        return self._work.session

    def transaction(self) -> Transaction:
        """Make several operations one: `async with database.transaction():`. Inside another one it is a savepoint.

        It commits at its end, and is rolled back by an exception. In SQLite no other writer gets in between. Raises
        `PinstripeError` at its end where a statement in it has failed, even if the error was caught.
        """
        return Transaction(self._work)

    @property
    def tenant(self) -> Tenant | None:
        """The tenant whose rows it reaches; None where there is none. It can't change."""
        return self._work.tenant

    def __repr__(self) -> str:
        """Show whose it is."""
        return f"Database({self._work.whose})"


class Work:
    """What carries out the operations of one workspace's database, with one session, one after another."""

    def __init__(
        self,
        access: Access,
        tenant: Tenant | None,
        *,
        unscoped: bool = False,
        check: Callable[[], None] | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Take what it is made with and for whom; nothing is connected yet.

        `check` raises once the workspace is closed; `loop` is the event loop that it belongs to, by default the first
        that uses it.
        """
        self.tenant = tenant
        self.turn = asyncio.Lock()
        self.database = Database(self)
        self._access = access
        self._unscoped = unscoped
        self._check_workspace = check
        self._loop = loop
        self._closed = False
        self._session: DatabaseSession | None = None
        self._means: Means | None = None

    @property
    def whose(self) -> str:
        """Whose rows it reaches, in words."""
        of = f"tenant {self.tenant.id}" if self.tenant is not None else "no tenant"
        return f"unscoped, in the workspace of {of}" if self._unscoped else of

    async def operate(self, work: Callable[[ScopedSession], T], begins: Begin) -> T:
        """Do `work` in the open transaction, or in one of its own; see `transactions.operate`."""
        return await operate(self, work, begins)

    async def use(self) -> DatabaseSession:
        """Give the session, ready for use. Raises `WorkspaceClosed`, and `RuntimeError` on another event loop."""
        self.check()
        session = self.session
        if self._means is None:
            await self._prepare()
        return session

    @property
    def session(self) -> DatabaseSession:
        """The session; it is made when first asked for, and connects when first used."""
        if self._closed:
            raise self._closed_error()
        if self._session is None:
            self._session = DatabaseSession(
                expire_on_commit=False,
                prepare=self._prepare,
                renew=self._renew,
                check=self.check,
                everything=self._access.everything(unscoped=self._unscoped),
                info={"pinstripe": self.database},
            )
        return self._session

    def check(self) -> None:
        """Raise where it can't be used: after its end, and on another event loop."""
        if self._closed:
            raise self._closed_error()
        if self._check_workspace is not None:
            self._check_workspace()
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif loop is not self._loop:
            message = (
                "the database belongs to another event loop; in a plain def run await it there, by "
                "self.wait(self.database.….all())"
            )
            raise RuntimeError(message)

    def failed(self, error: BaseException) -> BaseException:
        """Give what is to be raised for an error of SQLAlchemy or a driver."""
        return self._access.failed(error, None if self._means is None else self._means.binding)

    async def close(self) -> None:
        """End it: undo what was not committed, give the connection back and let go of every row."""
        if self._closed:
            return
        self._closed = True
        if self._session is not None:
            await finish(self._close(self._session))

    async def _close(self, session: DatabaseSession) -> None:
        sync = session.sync_session
        left = len(sync.new) + len(sync.dirty) + len(sync.deleted)
        if left:
            _log.warning(
                "%d changed rows were never written (%s); await database.session.commit() before the job ends",
                left,
                self.whose,
            )
        sync.managed = False
        try:
            loop = asyncio.get_running_loop()
            began = loop.time()
            # SQLAlchemy has nothing that tells of the end of what a task is in the middle of.
            while not await _end(session, waited=loop.time() - began):  # noqa: ASYNC110
                await asyncio.sleep(_PAUSE)
        except Exception:
            await session.invalidate()
            raise
        finally:
            if self._means is not None and self._means.binding.release is not None:
                self._means.binding.release()

    async def _prepare(self) -> Means:
        if self._means is None:
            means = await self._access.means(self.tenant, unscoped=self._unscoped)
            if self._closed or self._means is not None:  # meanwhile
                if means.binding.release is not None:
                    means.binding.release()
                if self._means is None:
                    raise self._closed_error()
            else:
                self._means = means
        return self._means

    def _renew(self) -> Means:
        """Give what the session works with, over the classes that are mapped by now."""
        assert self._means is not None  # noqa: S101 - a session has them before they can be outdated
        self._means = self._means._replace(scope=self._access.renew(self.tenant, unscoped=self._unscoped))
        return self._means

    def _closed_error(self) -> WorkspaceClosed:
        return WorkspaceClosed(
            f"the database ({self.whose}) is closed with its workspace; what outlives a job can't use it"
        )


async def _end(session: DatabaseSession, *, waited: float) -> bool:
    """End a session; False while a task that was left behind is in the middle of something there.

    What it asks for next fails, since the workspace is closed. A statement is cut off after a while; connecting,
    beginning and ending a transaction can't be, and come to an end by themselves: `waited` seconds are long enough.
    """
    in_use = session.sync_session.in_use
    if in_use and waited < _PATIENCE:
        return False
    try:
        await (session.invalidate() if in_use else session.close())
    except IllegalStateChangeError:
        if waited > _LONGEST:
            raise
        return False
    return True


def database_of(row: object) -> Database:
    """Give the database that a row of a mapped class was read from, for methods of models: `database_of(self).posts`.

    Raises `WorkspaceClosed` where the row was read in a workspace that is closed, or in none.
    """
    session = object_session(row)
    database = None if session is None else session.info.get("pinstripe")
    if database is None:
        message = (
            f"this {type(row).__name__} isn't in an open workspace's database; read it again in the workspace that "
            "needs it"
        )
        raise WorkspaceClosed(message)
    return database  # type: ignore[no-any-return]
