"""The engines of tenants that have a database each: lent, shared, and at most so many open at once."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, NamedTuple

from pinstripe.errors import IsolationError, WorkspaceClosed

from .sqlite import check_letters, file_identity, find_identity
from .urls import SQLiteFile

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from sqlalchemy.ext.asyncio import AsyncEngine

    from .urls import Address


_log = logging.getLogger(__name__)


class Lease(NamedTuple):
    """An engine that stays open until `release` is called, which may be called again."""

    engine: AsyncEngine
    release: Callable[[], None]


class TenantEngines:
    """Engines by tenant and address, of which at most `limit` are open.

    An engine that is lent is never closed, and lent to all who ask for the same. Where another one is wanted and no
    more may be open, the one that was given back the longest ago is closed; where all are lent, who asks waits, and
    those who wait are served in the order in which they came.
    """

    def __init__(self, limit: int, open_engine: Callable[[Address], AsyncEngine], *, patience: float = 30) -> None:
        """Take the `limit`, and what makes an engine without connecting.

        Whoever has waited for `patience` seconds is told of in the log, and waits on: a job may take long, but one that
        opens a workspace of another tenant while it holds the last place waits for itself.
        """
        self._patience = patience
        self._limit = limit
        self._open_engine = open_engine
        self._open: OrderedDict[_Key, _Open] = OrderedDict()
        self._waiting: deque[_Waiter] = deque()
        self._closings: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def lease_now(self, tenant_id: str, address: Address) -> Lease | None:
        """Lend an engine where nothing has to be waited for; else None."""
        if self._is_closed:
            raise WorkspaceClosed("the databases of tenants were closed, with the project")
        key = _Key(tenant_id, address)
        is_first = not self._waiting and len(self._open) + len(self._closings) < self._limit
        return self._lend(key) if key in self._open or is_first else None

    async def lease(self, tenant_id: str, address: Address) -> Lease:
        """Lend an engine, waiting until one may be open. Whoever is cancelled while waiting has taken nothing."""
        lease = self.lease_now(tenant_id, address)
        if lease is not None:
            return lease
        waiter = _Waiter(_Key(tenant_id, address), asyncio.get_running_loop().create_future())
        self._waiting.append(waiter)
        self._serve()
        complaint = asyncio.get_running_loop().call_later(self._patience, self._complain, tenant_id)
        try:
            return await waiter.granted
        except asyncio.CancelledError:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            elif not waiter.granted.cancelled() and waiter.granted.exception() is None:
                waiter.granted.result().release()
            self._serve()
            raise
        finally:
            complaint.cancel()

    async def close(self) -> None:
        """Close all; whoever still waits gets `WorkspaceClosed`."""
        self._is_closed = True
        for waiter in self._waiting:
            if not waiter.granted.done():
                waiter.granted.set_exception(WorkspaceClosed("the databases of tenants were closed, with the project"))
        self._waiting.clear()
        while self._open:
            self._dispose(*self._open.popitem())
        await asyncio.gather(*self._closings, return_exceptions=True)

    def _complain(self, tenant_id: str) -> None:
        held = ", ".join(sorted(key.tenant_id for key in self._open))
        _log.warning(
            "tenant %s waits for its database: the %d that may be open are in use (%s); raise open_databases under "
            "[tool.pinstripe.database], or run fewer tenants at once",
            tenant_id,
            self._limit,
            held,
        )

    def _lend(self, key: _Key) -> Lease:
        opened = self._open.get(key)
        if opened is None:
            self._retire(key.tenant_id)
            opened = self._open[key] = _Open(self._open_engine(key.address))
        opened.leases += 1
        is_released = False

        def release() -> None:
            nonlocal is_released
            if is_released:
                return
            is_released = True
            opened.leases -= 1
            if opened.leases or self._open.get(key) is not opened:
                return
            if opened.is_former:
                self._dispose(key, self._open.pop(key))
            else:
                self._open.move_to_end(key)
            self._serve()

        return Lease(opened.engine, release)

    def _retire(self, tenant_id: str) -> None:
        """Close the engine that the tenant has under another address (the password of before, say), once it is free."""
        for key, opened in list(self._open.items()):
            if key.tenant_id != tenant_id:
                continue
            opened.is_former = True
            if not opened.leases:
                self._dispose(key, self._open.pop(key))

    def _serve(self) -> None:
        """Give those who wait what there is, the first first; make room for him where that can be done."""
        while self._waiting:
            waiter = self._waiting[0]
            if not (waiter.key in self._open or len(self._open) + len(self._closings) < self._limit):
                idle = next((key for key, opened in self._open.items() if not opened.leases), None)
                # One is closed at a time for each who waits: a second one isn't needed while the first is on its way.
                if idle is not None and len(self._closings) < len(self._waiting):
                    self._dispose(idle, self._open.pop(idle))
                return
            self._waiting.popleft()
            if waiter.granted.done():  # cancelled, and not yet awake
                continue
            try:
                waiter.granted.set_result(self._lend(waiter.key))
            except Exception as error:  # noqa: BLE001 - it is his who asked, not his who happened to give back
                waiter.granted.set_exception(error)

    def _dispose(self, key: _Key, opened: _Open) -> None:
        task = asyncio.create_task(opened.engine.dispose(), name=f"close the database of tenant {key.tenant_id}")
        self._closings.add(task)
        task.add_done_callback(self._disposed)

    def _disposed(self, task: asyncio.Task[None]) -> None:
        self._closings.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.warning("a tenant's database could not be closed in order", exc_info=task.exception())
        if not self._is_closed:
            self._serve()


class _Key(NamedTuple):
    tenant_id: str
    address: Address


class _Open:
    """An open engine, how many leases of it are out, and whether its tenant has moved to another address."""

    __slots__ = ("engine", "is_former", "leases")

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.leases = 0
        self.is_former = False


class _Waiter(NamedTuple):
    key: _Key
    granted: asyncio.Future[Lease]


class Owners:
    """Which database is whose: no two tenants may have the same one."""

    def __init__(self) -> None:
        """Start without any."""
        self._addresses: dict[str, Address] = {}
        self._tenants: dict[Hashable, str] = {}

    def claim(self, owner: str, address: Address) -> None:
        """Note that the database at `address` is the `owner`'s (in words: "tenant 'acme'").

        Raises `IsolationError` where it is another one's, `DatabaseUnavailable` for a file that isn't there.
        """
        identity = _identity(address)
        other = self._tenants.get(identity)
        if other is not None and other != owner and self._still_has(other, identity):
            raise IsolationError(
                f"{owner} and {other} have the same database, {address}; expected one of its own for each: mend "
                "database.tenant_url, or the tenants' attributes that it names"
            )
        self._tenants[identity] = owner
        self._addresses[owner] = address

    def _still_has(self, owner: str, identity: Hashable) -> bool:
        """Look again: a removed file's number is given to the next new file, and addresses change."""
        address = self._addresses.get(owner)
        if not isinstance(address, SQLiteFile):
            return address is not None and address.identity == identity
        return find_identity(address.path) == identity


def _identity(address: Address) -> Hashable:
    if isinstance(address, SQLiteFile):
        identity = file_identity(address.path)
        check_letters(address)
        return identity
    return address.identity
