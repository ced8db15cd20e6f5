"""One reading of a tenant source written in Python, page by page, with everything that may go wrong."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pinstripe.errors import PinstripeError, TenantSourceFailed
from pinstripe.setting_keys import hide_passwords
from pinstripe.tenant_readers import NotTenants, open_reader

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from pinstripe.tenant_items import Selector
    from pinstripe.tenants import Tenant


async def read_pages(source: object, selector: Selector, name: str, size: int) -> AsyncGenerator[list[Tenant], None]:
    """Read `source` in lists, each of the tenants that `selector` finds among `size` items; `name` is for messages.

    Raises `TenantSourceFailed` wherever the source fails, and `ConfigurationError` where a lookup can't be asked.
    """
    try:
        reader = await open_reader(source)
    except (Exception, SystemExit) as error:
        raise _failure(name, error, 0) from error
    more = True
    try:
        while more:
            items, failed, more = await reader.read(size)
            page: list[Tenant] = []
            unfit = selector.select(items, page)
            if page:
                yield page
            _raise_for(unfit or failed, name, selector.count, own=unfit is not None)
    except asyncio.CancelledError:
        await reader.close(wait=False)
        raise
    except BaseException:
        await reader.close()
        raise
    await reader.close()


def _raise_for(error: BaseException | None, name: str, count: int, *, own: bool) -> None:
    """Raise what reading ended with after `count` items, if anything; an error of our `own` as it is."""
    if own and isinstance(error, PinstripeError):
        raise error
    if error is not None:
        raise _failure(name, error, count) from error


def _failure(name: str, error: BaseException, count: int) -> TenantSourceFailed:
    if isinstance(error, TenantSourceFailed):
        return error
    where = f" after {count:,} items" if count else ""
    kind = "" if isinstance(error, NotTenants) else type(error).__name__
    told = hide_passwords(": ".join(filter(None, (kind, str(error)))))
    return TenantSourceFailed(f"tenant source {name} failed{where}: {told}")
