"""A project's ledger, by its settings: in a file on this machine, or in a database that several machines share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pinstripe.clock import SystemClock
from pinstripe.version import VERSION

if TYPE_CHECKING:
    from pinstripe.clock import Clock
    from pinstripe.config import Settings
    from pinstripe.errors import LedgerError
    from pinstripe.ledger import Ledger


def make_ledger(settings: Settings, clock: Clock | None = None) -> tuple[Ledger, Clock]:
    """Make the ledger that `settings` name, not yet open, with the clock that it goes by.

    Without a given `clock` that is the machine's; on PostgreSQL it follows the database's from the first connection on,
    so that machines whose clocks differ agree on what is due. Raises `ConfigurationError` for a URL that can't be one.
    """
    version = settings.code_version or VERSION
    lease = settings.worker.lease.total_seconds()
    address = settings.ledger_address
    # Each imported only where it is used: a short command must not wait for the other one's driver.
    if isinstance(address, Path):
        from pinstripe.ledgers.sqlite.ledger import SQLiteLedger

        clock = clock or SystemClock()
        ledger: Ledger = SQLiteLedger(
            address,
            clock=clock,
            retention=settings.retention,
            sync=settings.ledger_sync,
            code_version=version,
            lease=lease,
        )
    else:
        from pinstripe.ledgers.postgres.database_clock import DatabaseClock
        from pinstripe.ledgers.postgres.ledger import PostgresLedger

        clock = clock or DatabaseClock()
        ledger = PostgresLedger(
            settings.ledger,
            clock=clock,
            retention=settings.retention,
            code_version=version,
            lease=lease,
            schema=settings.ledger_schema,
        )
    return ledger, clock


def is_away(settings: Settings, error: LedgerError) -> bool:
    """Tell whether the ledger can't be used since its server is away, which may pass; else somebody has to mend it."""
    address = settings.ledger_address
    if isinstance(address, Path):
        return False
    from pinstripe.ledgers.postgres import connection

    return error.__cause__ is not None and connection.is_away(error.__cause__, address)
