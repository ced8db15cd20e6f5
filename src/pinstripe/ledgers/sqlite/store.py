"""The ledger's open file: its one writer, its reader, and this process as an owner: what ledger and queue share."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, TypeVar

from pinstripe.errors import LedgerError, UnknownRun
from pinstripe.ledgers.sqlite import schema
from pinstripe.ledgers.sqlite.connection import LOCK_WAIT, connect, log_ahead, refuse_network, translated
from pinstripe.ledgers.sqlite.owners import LEASE, Owners, owners_folder
from pinstripe.ledgers.sqlite.statements import statement
from pinstripe.ledgers.sqlite.writer import Writer
from pinstripe.threads import start_thread

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import apsw

    from pinstripe.clock import Clock
    from pinstripe.engine import Engine
    from pinstripe.ledger import Look

T = TypeVar("T")


class Store:
    """A ledger's file, from its opening to its closing."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        sync: str = "normal",
        code_version: str = "",
        lock_wait: float = LOCK_WAIT,
        lease: float = LEASE,
    ) -> None:
        """Take the file's absolute `path`; `lock_wait` and `lease` are in seconds."""
        self.path = path
        self.clock = clock
        self._sync = sync
        self._code_version = code_version
        self._lock_wait = lock_wait
        self._lease = lease
        self.writer: Writer | None = None
        self.reader: apsw.Connection | None = None
        self.owners: Owners | None = None
        self._engine: Engine[apsw.Connection] | None = None

    @property
    def engine(self) -> Engine[apsw.Connection]:
        """What wakes workers, and gives the chunks of this file in their order as tickets."""
        if self._engine is None:
            from pinstripe.engines.embedded import EmbeddedEngine  # only where something is queued, or waited for

            if self.reader is None:
                raise LedgerError(f"the ledger {self.path} is not open")
            self._engine = EmbeddedEngine(owners_folder(self.path), self.reader, take=statement("take_tickets"))
        return self._engine

    def open(self, *, write: bool) -> None:
        """Connect; with `write` create or migrate the schema, else only look at what is there."""
        if self.reader is not None and (self.writer is not None or not write):
            return
        with translated(self.path):
            if not write and not self.path.exists():
                return
            refuse_network(self.path)
            connection = connect(self.path, write=write, lock_wait=self._lock_wait)
            try:
                if not schema.is_made(connection, self.path) and not write:
                    connection.close()
                elif write:
                    log_ahead(connection, self.path, sync=self._sync, lock_wait=self._lock_wait)
                    schema.migrate(connection, self.path)
                    self.reader = self.reader or connect(self.path, write=False, lock_wait=self._lock_wait)
                    self.writer = Writer(connection, self.path, lock_wait=self._lock_wait)
                    self.owners = Owners(self.path, self.writer, self.clock, lease=self._lease)
                else:
                    schema.check(connection, self.path)
                    self.reader = connection
            except BaseException:
                connection.close()
                raise

    def close(self) -> None:
        """Disconnect; this process's lock and row go, unless something of its is still open: that is up for rescue."""
        engine, self._engine = self._engine, None
        owners, self.owners = self.owners, None
        writer, self.writer = self.writer, None
        reader, self.reader = self.reader, None
        with ExitStack() as closing:
            if writer is not None:
                closing.callback(writer.close)
            if reader is not None:
                closing.callback(reader.close)
            if owners is not None:
                closing.callback(owners.leave)
            if engine is not None:
                closing.callback(engine.close)

    async def write(self, request: Callable[[apsw.Connection], T], *, long: bool = False) -> T:
        """Run `request` in a transaction; see `Writer.write`."""
        if self.writer is None:
            raise LedgerError(f"the ledger {self.path} is not open for writing")
        return await self.writer.write(request, long=long)

    def look(self, lock_wait: float) -> Look:
        """Look at the file with fresh eyes; from any thread."""
        from pinstripe.ledgers.sqlite.looking import look  # only a server is asked for it

        return look(self.path, None if self.writer is None else self.writer.file, lock_wait=lock_wait)

    def read(self, request: Callable[[apsw.Connection], T]) -> T:
        """Give what `request` reads; raises `UnknownRun` where there is no ledger yet."""
        if self.reader is None:
            raise UnknownRun(f"the ledger {self.path} is empty: nothing has run yet")
        with translated(self.path):
            return request(self.reader)

    def rows(self, name: str, values: Any = ()) -> list[Any]:
        """Give the rows of a statement; none where there is no ledger yet, or none of this version."""
        if self.reader is None or not schema.is_current(self.reader, self.path):
            return []
        with translated(self.path):
            return self.reader.execute(statement(name), values).fetchall()

    def refuse_earlier(self) -> None:
        """Raise `LedgerError` where the ledger is an earlier version's: that it has no rows here doesn't mean none."""
        if self.reader is not None and not schema.is_current(self.reader, self.path):
            message = (
                f"the ledger {self.path} is not a ledger of this version: run a job or start a worker, which bring an "
                "earlier one up to date, or name another file in `ledger`"
            )
            raise LedgerError(message)

    def ours(self) -> Owners:
        """Give this process as an owner; raises `LedgerError` where the ledger isn't open for writing."""
        if self.owners is None:
            raise LedgerError(f"the ledger {self.path} is not open for writing")
        return self.owners

    async def register(self) -> int:
        """Give the number of this process's row, after making it if there is none.

        That is done in a thread, so that the event loop goes on where another process's write is waited for.
        """
        number = self.ours().id
        if number is None:
            try:
                registering = start_thread(asyncio.get_running_loop(), "pinstripe ledger", self._register)
            except RuntimeError:  # there is no thread to be had
                return self._register()
            number, raised = await registering
            if raised is not None:
                raise raised
        return number

    def _register(self) -> int:
        with translated(self.path):  # its lock file may be what can't be made
            return self.ours().register(self._code_version)
