"""A pool in which nobody waits for a connection that nobody has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.pool import AsyncAdaptedQueuePool
from sqlalchemy.pool.base import _ConnectionRecord

if TYPE_CHECKING:
    from sqlalchemy.pool import ConnectionPoolEntry


class PlacePool(AsyncAdaptedQueuePool):
    """Gives out a place first, and connects in it afterwards.

    Where connecting fails or is cancelled, SQLAlchemy's own pool gives the place up and tells nobody: whoever came
    meanwhile waits on until the pool's timeout, and then all but one hear that every connection is in use. A place that
    was given out comes back as a connection does, so that the next one in the row has it at once.
    """

    def _create_connection(self) -> ConnectionPoolEntry:
        # As a connection that was lost, it is made when it is taken out; SQLAlchemy brings it back where that fails.
        return _ConnectionRecord(self, connect=False)
