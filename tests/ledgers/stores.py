"""The stores that the behaviour suite runs over: a new ledger gets one here, and is done when the suite passes."""

from __future__ import annotations

import secrets
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urldefrag

import apsw
import psycopg

from pinstripe.config import RetentionSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from pinstripe.clock import Clock
    from pinstripe.ledger import Ledger
    from tests.ledgers.conftest import HandClock
    from tests.ledgers.ready import ReadyLedgers

RETENTION = RetentionSettings(succeeded=timedelta(days=30), failed=timedelta(days=90), logs=timedelta(days=7))

NO_PROCESS = 2**22 + 1
"""The number of no process, since it is greater than any can be: see proc_sys_kernel(5), `pid_max`."""


class Store(Protocol):
    """One store of runs, and as many ledgers on it as a test wants: each stands for a process."""

    clock: HandClock
    made: list[Ledger]

    @property
    def address(self) -> str:
        """How another process opens it: see `ledger_at`."""
        ...

    @property
    def exists(self) -> bool:
        """Whether a ledger has ever been made in it."""
        ...

    def ledger(self) -> Ledger:
        """Give another ledger on the store, not yet open; it is closed with the store."""
        ...

    def prepare(self) -> None:
        """Let a ledger have been made in it before, by whatever is quickest; nobody has looked at the store yet."""
        ...

    def kill(self, ledger: Ledger) -> None:
        """Take from a ledger what tells others that its process lives, as the system does when a process dies."""
        ...

    def reboot(self, ledger: Ledger) -> None:
        """Let a ledger's process have ended with its machine."""
        ...

    def execute(self, sql: str) -> None:
        """Execute a statement as somebody does who mends a ledger by hand."""
        ...

    def locked(self) -> AbstractContextManager[None]:
        """Have all wait that write of owners."""
        ...

    def refusing(self, tenant: str) -> AbstractContextManager[None]:
        """Let every transaction fail that changes an execution of a tenant."""
        ...

    async def close(self) -> None:
        """Close the ledgers that were made on it."""
        ...

    def remove(self) -> None:
        """Remove what is kept in it. Idempotent."""
        ...


class NewStore(Protocol):
    """Makes empty stores of one kind, as many as a test wants; they are removed after it."""

    def __call__(self, clock: HandClock | None = None) -> Store:
        """Make one, whose ledgers have this clock, or one of their own."""
        ...

    def examples(self, many: int) -> int:
        """Tell how many examples to try of a law for which SQLite's ledger is tried with so `many`."""
        ...


class SQLiteStores:
    """Makes stores in files of a folder, which is removed by whoever made it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made = 0

    def __call__(self, clock: HandClock | None = None) -> Store:
        self._made += 1
        return SQLiteStore(self._folder / f"kept here {self._made}" / "ledger.db", clock or _new_clock())

    def examples(self, many: int) -> int:
        return many


class SQLiteStore:
    """A store in a file."""

    def __init__(self, path: Path, clock: HandClock) -> None:
        self.path = path
        self.clock = clock
        self.made: list[Ledger] = []

    @property
    def address(self) -> str:
        return str(self.path)

    @property
    def exists(self) -> bool:
        return self.path.exists()

    def ledger(self) -> Ledger:
        self.made.append(ledger_at(self.address, self.clock, lock_wait=10.0))
        return self.made[-1]

    def prepare(self) -> None:
        """Leave it to the first ledger, which is quick."""

    def kill(self, ledger: Ledger) -> None:
        owners = ledger._store.owners  # type: ignore[attr-defined]  # noqa: SLF001 - nothing public does that
        owners._lock.release()  # noqa: SLF001
        owners._lock = None  # noqa: SLF001

    def reboot(self, ledger: Ledger) -> None:
        self.execute(f"update owners set boot_id = 'the boot before this one' where id = {owner_of(ledger)}")
        self.kill(ledger)

    def execute(self, sql: str) -> None:
        with closing(apsw.Connection(str(self.path))) as connection:
            connection.execute(sql)

    @contextmanager
    def locked(self) -> Iterator[None]:
        with closing(apsw.Connection(str(self.path))) as connection:
            connection.execute("begin immediate")
            yield
            connection.execute("rollback")

    @contextmanager
    def refusing(self, tenant: str) -> Iterator[None]:
        self.execute(
            f"create trigger refuse before update on executions when old.tenant = '{tenant}'"
            " begin select raise(fail, 'no more can be written'); end"
        )
        yield
        self.execute("drop trigger refuse")

    async def close(self) -> None:
        for ledger in self.made:
            await ledger.close()

    def remove(self) -> None:
        """Leave it to the folder that it is in."""


class Hand:
    """A superuser's connection to the stores' database, made anew where it has broken: tests stop the server too."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: psycopg.Connection | None = None

    @property
    def connection(self) -> psycopg.Connection:
        if self._connection is not None:
            try:
                self._connection.execute("select 1")
            except psycopg.OperationalError:
                self.close()
        if self._connection is None:
            self._connection = psycopg.connect(self._url, autocommit=True)
        return self._connection

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class PostgresStores:
    """Makes stores in schemas of one database."""

    def __init__(self, url: str, hand: Hand, ready: ReadyLedgers) -> None:
        """Take a database's URL, as a role that may make schemas, a superuser's connection to it, and what is ready."""
        self._url = url
        self._hand = hand
        self._ready = ready
        self._made: list[PostgresStore] = []

    def __call__(self, clock: HandClock | None = None) -> Store:
        self._made.append(PostgresStore(self._url, self._hand, clock or _new_clock(), self._ready))
        return self._made[-1]

    def examples(self, many: int) -> int:
        return max(1, many // 5)  # each takes ten times as long; the laws are the same

    def remove(self) -> None:
        for store in self._made:
            store.remove()


class PostgresStore:
    """A store in a schema of its own: it is made and dropped in a tenth of the time that a database takes."""

    def __init__(self, url: str, hand: Hand, clock: HandClock, ready: ReadyLedgers | None = None) -> None:
        self.schema = f"ledger_{secrets.token_hex(6)}"
        self.clock = clock
        self.made: list[Ledger] = []
        self.hand = hand
        self._url = url
        self._ready = ready
        self._is_ready = False

    @property
    def address(self) -> str:
        return f"{self._url}#{self.schema}"

    @property
    def exists(self) -> bool:
        return bool(self.fetch(f"select 1 from pg_namespace where nspname = '{self.schema}'"))

    def ledger(self) -> Ledger:
        self.made.append(ledger_at(self.address, self.clock))
        return self.made[-1]

    def prepare(self) -> None:
        if self._ready is not None:
            self._url, self.schema, self.hand = self._ready.take(self.clock)
            self._is_ready = True

    def kill(self, ledger: Ledger) -> None:
        self.execute(f"update owners set pid = {NO_PROCESS} where id = {owner_of(ledger)}")

    def reboot(self, ledger: Ledger) -> None:
        changes = "boot_id = 'the boot before this one', expires_at = 0"
        self.execute(f"update owners set {changes} where id = {owner_of(ledger)}")

    def execute(self, sql: str) -> None:
        self.fetch(sql)

    def fetch(self, sql: str) -> list[tuple[Any, ...]]:
        """Execute a statement by hand; give its rows, if it has any."""
        connection = self.hand.connection
        connection.execute(f'set search_path to "{self.schema}"'.encode())
        cursor = connection.execute(sql.encode())
        return cursor.fetchall() if cursor.description else []

    @contextmanager
    def locked(self) -> Iterator[None]:
        with self.hand.connection.transaction():
            self.execute("lock table owners in exclusive mode")
            yield

    @contextmanager
    def refusing(self, tenant: str) -> Iterator[None]:
        self.execute(
            "create function refuse() returns trigger language plpgsql as"
            " $$ begin raise exception 'no more can be written'; end $$"
        )
        self.execute(
            "create trigger refuse before update on executions for each row"
            f" when (old.tenant = '{tenant}') execute function {self.schema}.refuse()"
        )
        yield
        self.execute("drop function refuse() cascade")

    async def close(self) -> None:
        for ledger in self.made:
            await ledger.close()

    def remove(self) -> None:
        if self._is_ready:
            return  # it goes with its database
        schemas = f"{self.schema}, {self.schema}_engine"
        for _ in range(3):
            with suppress(psycopg.errors.LockNotAvailable):
                self.hand.connection.execute(
                    f"set lock_timeout = '5s'; drop schema if exists {schemas} cascade".encode()
                )
                return
            # A transaction of a test that has failed is still open.
            self.hand.connection.execute(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            )


def ledger_at(address: str, clock: Clock, **given: Any) -> Ledger:
    """Give the ledger in a file, or in a schema (`postgresql://…/database#schema`), not yet open."""
    if not address.startswith("postgresql://"):
        from pinstripe.ledgers.sqlite.ledger import SQLiteLedger

        return SQLiteLedger(Path(address), clock=clock, retention=RETENTION, **given)
    from pinstripe.ledgers.postgres.ledger import PostgresLedger

    url, schema = urldefrag(address)
    return PostgresLedger(url, clock=clock, retention=RETENTION, schema=schema, **given)


def owner_of(ledger: Ledger) -> int:
    """Give the number of a ledger's row among the owners."""
    number: int = ledger._store.owners.id  # type: ignore[attr-defined]  # noqa: SLF001 - nothing public tells it
    return number


def _new_clock() -> HandClock:
    from tests.ledgers.conftest import HandClock

    return HandClock()
