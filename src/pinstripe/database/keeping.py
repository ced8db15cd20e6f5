"""What keeps a session in its scope whatever is done with it: at each statement, flush, begin, commit and new row.

SQLAlchemy tells of all of these by its events, also where it is SQLAlchemy itself that does something.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Table, event, inspect
from sqlalchemy.orm import FromStatement

from pinstripe.database.connections import SESSION, is_ours
from pinstripe.database.guards import check_flush, check_options, check_statement
from pinstripe.database.internals import with_element
from pinstripe.database.row_security import SET_SCOPE, UNSCOPED
from pinstripe.database.scope import parameter_of
from pinstripe.database.statements import takes_criteria
from pinstripe.errors import IsolationError, PinstripeError

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.orm import InstanceState, Mapper, ORMExecuteState, SessionTransaction

    from pinstripe.database.scope import Scope
    from pinstripe.database.session import ScopedSession


def keep_in_scope(sessions: type[ScopedSession]) -> None:
    """Keep every session of that class in its scope."""
    event.listen(sessions, "do_orm_execute", _keep_statement)
    event.listen(sessions, "after_begin", _begin)
    event.listen(sessions, "after_transaction_end", _end)
    event.listen(sessions, "before_attach", _refuse_foreign)
    event.listen(sessions, "after_attach", _stamp_late)
    event.listen(sessions, "before_flush", _stamp)
    event.listen(sessions, "after_flush", _check_stamps)
    event.listen(sessions, "before_commit", _refuse_to_pretend)


def _keep_statement(state: ORMExecuteState) -> None:
    session = cast("ScopedSession", state.session)  # it listens to no other
    if session.everything:
        return
    if session.prepared is None or state.statement is not session.prepared:
        _keep(state, session)
    session.accept(state.statement)


def _keep(state: ORMExecuteState, session: ScopedSession) -> None:
    check_options(state)
    scope = session.scope
    trusted = session.trusts(state.execution_options, orm=state.is_orm_statement)
    if not trusted and not state.is_relationship_load and not state.is_column_load:
        check_statement(state, scope)
    if state.is_insert or not scope.criteria:
        return
    if not state.is_orm_statement and (trusted or not takes_criteria(state.statement)):
        return
    if state.is_update or state.is_delete:
        state.statement = state.statement.options(*session.literal_criteria)
        return
    statement: Any = state.statement
    if state.is_column_load and scope.by_rows:
        statement = _keep_reread(statement, state.bind_mapper, scope, sqlite=session.means.sqlite)
    state.statement = statement.options(*scope.criteria)
    if scope.parameters:
        given: Any = state.parameters or {}
        state.parameters = {**given, **scope.parameters}


def _keep_reread(statement: Any, mapper: Mapper[Any] | None, scope: Scope, *, sqlite: bool) -> Any:
    """Keep the reading of a row that is known already: SQLAlchemy does it by the primary key, without any criteria.

    Another tenant may have a row under that key by now.
    """
    entry = None if mapper is None else scope.catalog.by_class.get(mapper.class_)
    if entry is None:
        message = f"{mapper} is none of the classes that {scope.catalog.settings.models} declares"
        raise IsolationError(message)
    restriction = scope.restriction(entry, given=True)
    if restriction is None:
        return statement
    if not isinstance(statement, FromStatement):
        return statement.where(restriction)
    # Of a class in several tables only those that are needed are read, and perhaps not the one that tells whose it is.
    query: Any = statement.element
    tables = [table for table in query.get_final_froms() if isinstance(table, Table)]
    name = scope.catalog.settings.tenant_column
    restriction = is_ours(tables, entry, name, parameter_of(entry), "sqlite" if sqlite else "postgresql")
    return with_element(statement, query.where(restriction))


def _begin(session: ScopedSession, transaction: SessionTransaction, connection: Connection) -> None:
    """Begin as the database needs it: SQLite's driver begins nothing, and row-level security asks whose it is."""
    means = session.means
    if transaction.nested:
        return
    if not session.everything:
        connection.execution_options(**{SESSION: session})
    if means.sqlite:
        if session.begins != "nothing":
            connection.exec_driver_sql("BEGIN IMMEDIATE" if session.begins == "immediate" else "BEGIN")
    elif means.protected:
        scope = means.scope
        tenant = "" if scope.tenant is None or scope.unscoped else scope.tenant.id
        connection.exec_driver_sql(SET_SCOPE, (tenant, UNSCOPED if scope.unscoped else ""))
    session.begun = True


def _end(session: ScopedSession, transaction: SessionTransaction) -> None:
    if transaction.parent is None:
        session.begun = False


def _refuse_foreign(session: ScopedSession, row: object) -> None:
    """Refuse a row that was read elsewhere: under its key this session may know another tenant's."""
    state: InstanceState[Any] = inspect(row)
    if state.key is not None and not session.everything:
        message = (
            f"a row of {state.mapper.class_.__name__} that was read in another workspace can't be used in this one; "
            "read it again, or use `await session.merge(row)`, which does"
        )
        raise IsolationError(message)


def _stamp(session: ScopedSession, context: Any, instances: Any) -> None:
    del context, instances
    if not session.everything:
        scope = session.scope
        check_flush(session.new, scope, stamp=True)
        check_flush(session.dirty, scope, stamp=False)
        check_flush(session.deleted, scope, stamp=False)


def _stamp_late(session: ScopedSession, row: object) -> None:
    """Give a row its tenant that an author's own event adds in the middle of a flush, after the others have theirs."""
    if session.writing and not session.everything and row in session.new:
        check_flush([row], session.scope, stamp=True)


def _check_stamps(session: ScopedSession, context: Any) -> None:
    """Look again: an author's own events may have changed rows while they were written; this undoes it."""
    del context
    if not session.everything:
        scope = session.scope
        check_flush([*session.new, *session.dirty], scope, stamp=False)


def _refuse_to_pretend(session: ScopedSession) -> None:
    """Refuse to commit where a statement has failed: PostgreSQL would roll back without a word."""
    if session.failure is not None:
        message = (
            f"a statement in this transaction has failed ({type(session.failure).__name__}), so it can't be committed; "
            "await session.rollback() first"
        )
        raise PinstripeError(message) from session.failure
