"""The session of a workspace: SQLAlchemy's own, with a scope that can't change, and nothing that leads out of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from sqlalchemy import inspect
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, SessionTransactionOrigin
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.sql.dml import UpdateBase

from pinstripe.database.guards import refuse
from pinstripe.database.internals import await_only, in_greenlet
from pinstripe.database.keeping import keep_in_scope
from pinstripe.errors import IsolationError, PinstripeError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncEngine
    from sqlalchemy.orm import InstanceState, Mapper

    from pinstripe.database.engines import Binding
    from pinstripe.database.scope import Scope

T = TypeVar("T")

Begin = Literal["nothing", "deferred", "immediate"]
"""How a transaction begins: not at all for a single query, or in SQLite so that a writer waits at its start."""

TRUSTED = "pinstripe_trusted"
"""The execution option of statements that the table facade has built itself: `ScopedSession.trust` of the entity."""


class Means(NamedTuple):
    """What a session works with: made when it is first used, for only then is anything connected or read.

    `binding` is what to connect to, and `reading` the engine for single queries that need no transaction, where there
    is one; `protected` tells whether row-level security is in force there.
    """

    scope: Scope
    binding: Binding
    sqlite: bool
    protected: bool
    reading: AsyncEngine | None = None


class ScopedSession(Session):
    """The synchronous half, inside SQLAlchemy's greenlets. It refuses whatever its scope doesn't reach.

    `prepare` gives the `Means`, when the first statement needs them, and `renew` once they are outdated; `check` raises
    once the workspace is closed.
    """

    def __init__(
        self,
        *,
        prepare: Callable[[], Awaitable[Means]],
        renew: Callable[[], Means],
        check: Callable[[], None],
        everything: bool,
        **options: Any,
    ) -> None:
        """Take what makes the means, what raises once the workspace is closed, and whether all is reached."""
        super().__init__(**options)
        self._everything = everything
        self._literal_criteria: tuple[Any, ...] | None = None
        self._prepare = prepare
        self._renew = renew
        self._check = check
        self._means: Means | None = None
        self._user: asyncio.Task[Any] | None = None
        self.begins: Begin = "deferred"
        """How the next transaction begins."""
        self.begun = False
        """Whether a connection has begun the transaction that is open."""
        self.managed = False
        """Whether a `database.transaction()` is open, which alone may commit and roll back."""
        self.failure: BaseException | None = None
        """What failed in the transaction that is open: what PostgreSQL then does with it is to undo it silently."""
        self._trust = {True: object(), False: object()}
        self.prepared: Any = None
        """The statement of the facade that is being executed and keeps to the scope by itself; see `prepared.py`."""
        self._accepted: list[Any] = []
        self.writing = False
        """Whether it is in the middle of a flush, which writes to the connection itself."""

    def trust(self, *, mapped: bool) -> object:
        """Give what marks the facade's own statements: on a `mapped` class, or on a plain table that it restricts."""
        return self._trust[mapped]

    def trusts(self, options: Mapping[str, object], *, orm: bool) -> bool:
        """Tell whether a statement with these execution options has one of those marks.

        Raises where the ORM's criteria don't hold for a statement that relies on them.
        """
        mark = options.get(TRUSTED)
        if mark is self._trust[True] and not orm:
            message = "a statement of the table facade isn't one of the ORM, so nothing would keep it to the tenant"
            raise IsolationError(message)
        return mark is self._trust[True] or mark is self._trust[False]

    def accept(self, statement: Any) -> None:
        """Remember, while it is executed, a statement that keeps to the scope."""
        self._accepted.append(statement)

    def has_accepted(self, statement: Any) -> bool:
        """Tell whether a statement that reaches the connection is one that was looked at before."""
        return any(one is statement for one in self._accepted)

    @property
    def changes(self) -> list[UpdateBase]:
        """The changes that were looked at and are being executed: the ORM does so with statements of its own."""
        return [one for one in self._accepted if isinstance(one, UpdateBase)]

    @property
    def everything(self) -> bool:
        """Whether it reaches everything; it can't change."""
        return self._everything

    @property
    def means(self) -> Means:
        """What it works with; made now if it is not there yet."""
        if self._means is None:
            self._means = await_only(self._prepare())
        elif self._means.scope.catalog.is_outdated:
            self._means, self._literal_criteria = self._renew(), None
        return self._means

    @property
    def scope(self) -> Scope:
        """What it may reach."""
        return self.means.scope

    @property
    def literal_criteria(self) -> tuple[Any, ...]:
        """Criteria that hold the tenant's id itself: SQLAlchemy also evaluates those of a change in Python."""
        if self._literal_criteria is None:
            scope = self.scope
            self._literal_criteria = tuple(scope.literal_criteria()) if scope.by_rows else scope.criteria
        return self._literal_criteria

    @property
    def open(self) -> bool:
        """Whether there is a transaction to work in.

        SQLAlchemy begins one also when a row is changed or added; before a statement, that is only a remembered change.
        """
        transaction = self.get_transaction()
        return transaction is not None and (
            self.begun or self.managed or transaction.origin is not SessionTransactionOrigin.AUTOBEGIN
        )

    @property
    def in_use(self) -> bool:
        """Whether a task is in the middle of a statement."""
        return self._user is not None

    # What SQLAlchemy itself calls.

    def get_bind(self, mapper: Any = None, *, clause: Any = None, bind: Any = None, **options: Any) -> Any:
        """Give the engine: that of the tenant, or the one where shared tables live.

        In a scope it is refused outside of a statement, where it would only lead to a bare connection.
        """
        del options
        if self._user is None:
            self._allow_everything("session.get_bind()")
        if bind is not None:
            return bind
        binding, reading = self.means.binding, self.means.reading
        if reading is not None and self.begins == "nothing":
            return reading.sync_engine
        if binding.shared is not None and self._is_shared(mapper, clause):
            return binding.shared.sync_engine
        return binding.engine.sync_engine

    def _is_shared(self, mapper: Mapper[Any] | None, clause: Any) -> bool:
        catalog = self.scope.catalog
        tables: list[Any] = (
            [mapper.local_table] if mapper is not None else [*getattr(clause, "get_final_froms", tuple)()]
        )
        tables = tables or [getattr(clause, "table", None)]
        entries = [catalog.by_table.get(table) for table in tables]
        return any(entry is not None and entry.standing == "shared" for entry in entries)

    # What leads out of the scope.

    def connection(self, *args: Any, **options: Any) -> Connection:
        """Refuse in a scope: statements on a bare connection can't be kept to the tenant."""
        self._allow_everything("session.connection()")
        return super().connection(*args, **options)

    def lend(self, work: Callable[[Any], Awaitable[T]]) -> T:
        """Let the ledger work on the driver's connection of the open transaction; where none is open, it begins."""

        def lent() -> T:
            connection = super(ScopedSession, self).connection()
            driver = connection.connection.driver_connection
            if not getattr(driver, "is_in_transaction", lambda: True)():
                connection.exec_driver_sql("select 1")  # SQLAlchemy begins with the first statement of its own
            return await_only(work(driver))

        return self._alone(lent)

    def bulk_save_objects(self, *args: Any, **options: Any) -> None:
        """Refuse in a scope: its updates go by primary key alone."""
        self._allow_everything("session.bulk_save_objects()")
        super().bulk_save_objects(*args, **options)

    def bulk_insert_mappings(self, *args: Any, **options: Any) -> None:
        """Refuse in a scope: nothing looks at the tenant of what it inserts."""
        self._allow_everything("session.bulk_insert_mappings()")
        super().bulk_insert_mappings(*args, **options)

    def bulk_update_mappings(self, *args: Any, **options: Any) -> None:
        """Refuse in a scope: its updates go by primary key alone."""
        self._allow_everything("session.bulk_update_mappings()")
        super().bulk_update_mappings(*args, **options)

    def merge(self, instance: Any, *, load: bool = True, **options: Any) -> Any:
        """Merge as SQLAlchemy does; without loading refused in a scope, since the row could be anybody's."""
        if not load:
            self._allow_everything("session.merge(load=False)")
        return super().merge(instance, load=load, **options)

    def _allow_everything(self, what: str) -> None:
        if not self.everything:
            refuse(f"{what} can't be kept to the tenant", "use `database.<table>`, or statements on mapped classes")

    # One user at a time, and none after the end.

    def execute(self, *args: Any, **options: Any) -> Any:
        """Execute a statement, as SQLAlchemy does, within the scope."""
        return self._alone(lambda: super(ScopedSession, self).execute(*args, **options))

    def scalar(self, *args: Any, **options: Any) -> Any:
        """Execute a statement within the scope, and give the first value."""
        return self._alone(lambda: super(ScopedSession, self).scalar(*args, **options))

    def scalars(self, *args: Any, **options: Any) -> Any:
        """Execute a statement within the scope, and give the first value of each row."""
        return self._alone(lambda: super(ScopedSession, self).scalars(*args, **options))

    def flush(self, objects: Any = None) -> None:
        """Write what was changed."""
        if self.new or self.dirty or self.deleted:
            self._alone(lambda: super(ScopedSession, self).flush(objects), writing=True)

    def commit(self) -> None:
        """Commit; refused inside `database.transaction()`, which commits at its end."""
        self._refuse_in_transaction("commit")
        self._check()
        self._refuse_second()
        super().commit()

    def rollback(self) -> None:
        """Roll back; refused inside `database.transaction()`, which is rolled back by an exception."""
        self._refuse_in_transaction("rollback")
        self._refuse_second()
        super().rollback()
        self.failure = None

    def _refuse_in_transaction(self, what: str) -> None:
        if self.managed:
            message = f"{what} inside database.transaction(), which commits at its end; raise an exception to undo it"
            raise PinstripeError(message)

    def _refuse_second(self) -> asyncio.Task[Any] | None:
        """Refuse what another task asks for in the middle of a statement; give the task that asks."""
        task = asyncio.current_task()
        if self._user is not None and self._user is not task:
            message = (
                "the session is in use by another task; await one after the other, or use `database.<table>`, where "
                "operations take turns"
            )
            raise PinstripeError(message)
        return task

    def _alone(self, work: Callable[[], T], *, writing: bool = False) -> T:
        """Do something as the only task that uses the session, and remember what failed."""
        if not in_greenlet():
            message = (
                "what isn't loaded has to be awaited: read a relationship by `await database.session.refresh(row, "
                "['posts'])`, or with the rows by a query of `database.session` that has selectinload in its options; "
                "a row of a transaction that was rolled back has to be read again"
            )
            raise PinstripeError(message)
        self._check()
        task, former, was_writing, accepted = self._refuse_second(), self._user, self.writing, len(self._accepted)
        self._user, self.writing = task, writing
        try:
            self.means  # noqa: B018 - made before anything else is asked for, outside of SQLAlchemy's own state
            return work()
        except (DBAPIError, asyncio.CancelledError) as error:
            self.failure = error
            raise
        except StatementError as error:
            if isinstance(error.orig, PinstripeError):  # criteria that refuse
                raise error.orig from None
            raise
        finally:
            self._user, self.writing = former, was_writing
            del self._accepted[accepted:]


class DatabaseSession(AsyncSession):
    """The session that `database.session` gives: SQLAlchemy's own `AsyncSession`, kept to the workspace's scope.

    It follows SQLAlchemy's rules: its first use begins a transaction, which lasts, and holds a connection, until
    `commit()` or `rollback()`. What is not committed when the workspace closes is undone.
    """

    sync_session_class = ScopedSession
    sync_session: ScopedSession

    def get_bind(self, *args: Any, **options: Any) -> Any:
        """Refuse in a scope, as `ScopedSession.get_bind`."""
        return self.sync_session.get_bind(*args, **options)

    async def lend(self, work: Callable[[Any], Awaitable[T]]) -> T:
        """Let the ledger do something in the open transaction, as `ScopedSession.lend`; it is given to nobody else."""
        return await self.run_sync(lambda _: self.sync_session.lend(work))


def keep_rows(session: Session) -> list[tuple[Any, dict[str, Any]]]:
    """Remember what was read, so that a rollback doesn't take it away: `restore_rows` gives it back.

    SQLAlchemy expires every row of a session that is rolled back, and an expired row can't be read without awaiting.
    Rows with changes of their own are left out: those are undone.
    """
    kept = []
    for row in session.identity_map.values():
        state: InstanceState[Any] = inspect(row)
        if not state.modified:
            names = [attribute.key for attribute in state.mapper.column_attrs]
            kept.append((row, {key: state.dict[key] for key in names if key in state.dict}))
    return kept


def forget_rows(session: Session, known: frozenset[Any]) -> None:
    """Let go of the rows whose identity isn't one of the `known`: what they were read from has been undone.

    SQLAlchemy would take one for whatever row of the database has its primary key later on.
    """
    for row in list(session.identity_map.values()):
        if inspect(row).key not in known:
            session.expunge(row)


def restore_rows(kept: Iterable[tuple[Any, dict[str, Any]]]) -> None:
    """Give rows their values back that `keep_rows` has remembered."""
    for row, values in kept:
        for key, value in values.items():
            set_committed_value(row, key, value)


keep_in_scope(ScopedSession)
