"""The tables of the PgQueuer engine in their schema, which PgQueuer makes, and our functions there.

Of PgQueuer the repository of queries is used: it makes the tables, and what it says to them is what our functions say.
So a ticket is minted or taken by one call, from within another statement too, and PgQueuer's own code isn't needed for
it. PgQueuer itself is imported where something is to be made.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncpg
    from pgqueuer.adapters.persistence.qb import QueryQueueBuilder
    from pgqueuer.adapters.persistence.queries import Queries
    from pgqueuer.domain.settings import DBSettings

FUNCTIONS = 1
"""Which edition of our functions this is: a later one is made as an upgrade of PgQueuer is."""

ENTRYPOINT = "pinstripe"
"""Under which all tickets are."""

SPAN = 1 << 30
"""How many places each band has in PgQueuer's priorities, which are 32-bit numbers: the three lie one below another."""

_NOBODY = uuid.UUID(int=0)


class EngineTables:
    """What the engine of the ledger in a schema keeps beside it; see `pinstripe.ledgers.postgres.schema.Installed`."""

    def __init__(self, schema: str) -> None:
        """Take the ledger's `schema`."""
        self.schema = schema_of(schema)
        self._ledger = schema

    @property
    def version(self) -> str:
        """The version of PgQueuer and the edition of our functions, such as `1.6.0+1`."""
        from importlib.metadata import version  # for those who write

        return f"{version('pgqueuer')}+{FUNCTIONS}"

    async def install(self, connection: asyncpg.Connection) -> None:
        """Make tables and functions in their schema, which is there, in the transaction of the connection."""
        queries = self._queries(connection)
        await queries.install(create_schema=False)
        await queries.optimize_autovacuum()
        await self.make_functions(connection)

    async def upgrade(self, connection: asyncpg.Connection) -> None:
        """Let PgQueuer bring its tables up to date; the connection is in no transaction."""
        await self._queries(connection).apply_upgrade()

    async def make_functions(self, connection: asyncpg.Connection) -> None:
        """Make the functions anew, in the transaction of the connection."""
        await connection.execute(self._functions(self._queries(connection).qbq))

    def _queries(self, connection: asyncpg.Connection) -> Queries:
        from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment, QueryQueueBuilder, QuerySchedulerBuilder
        from pgqueuer.adapters.persistence.queries import Queries

        settings = engine_settings(self.schema)
        driver: Any = Driver(connection)  # nothing of ours listens or notifies by it
        builders = QueryBuilderEnvironment(settings), QueryQueueBuilder(settings), QuerySchedulerBuilder(settings)
        return Queries(driver, *builders)

    def _functions(self, builder: QueryQueueBuilder) -> str:
        """Give what makes our functions, with PgQueuer's statements in them."""
        from pgqueuer.domain.types import QueueEntrypoint, QueueManagerId

        dequeue = builder.build_dequeue_query(
            batch_size=1,
            entrypoints=[QueueEntrypoint(ENTRYPOINT)],
            concurrency_limits=[0],
            queue_manager_id=QueueManagerId(_NOBODY),
            global_concurrency_limit=None,
            heartbeat_timeout=timedelta.max,
        )
        text = Path(__file__).with_name("pgqueuer.sql").read_text(encoding="utf-8")
        return text.format(
            schema=self.schema,
            ledger=self._ledger,
            entrypoint=ENTRYPOINT,
            nobody=_NOBODY,
            span=SPAN,
            trigger=builder.settings.trigger,
            enqueue=builder.build_enqueue_query("skip"),
            enqueue_anew=builder.build_enqueue_query("update_priority"),
            dequeue=dequeue.sql.rstrip().rstrip(";"),
            log_off=builder.build_log_job_query(),
        )


class Driver:
    """What PgQueuer's queries need of a connection: to be told the rows as mappings."""

    def __init__(self, connection: Any) -> None:
        """Work on a `connection`."""
        self._connection = connection

    async def fetch(self, query: str, *values: object) -> list[dict[str, object]]:
        """Execute one statement; give its rows."""
        return [dict(row) for row in await self._connection.fetch(query, *values)]

    async def execute(self, query: str, *values: object) -> str:
        """Execute a statement, or several without values."""
        said: str = await self._connection.execute(query, *values)
        return said


def schema_of(ledger: str) -> str:
    """Name the schema that is beside a ledger's."""
    return f"{ledger}_engine"


def engine_settings(schema: str) -> DBSettings:
    """Name what PgQueuer keeps in a schema of its own: all, since it takes what is left out from elsewhere."""
    from pgqueuer.domain.settings import DBSettings, Durability
    from pgqueuer.domain.types import Channel

    return DBSettings(
        prefix="",
        db_schema=schema,
        channel=Channel(schema),
        function="fn_pgqueuer_changed",
        statistics_table="pgqueuer_statistics",
        queue_status_type="pgqueuer_status",
        queue_table="pgqueuer",
        queue_table_log="pgqueuer_log",
        trigger="tg_pgqueuer_changed",
        schedules_table="pgqueuer_schedules",
        durability=Durability.balanced,
        widen_id=True,
    )
