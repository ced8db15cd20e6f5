from collections.abc import Iterator

from newsletter.database import Database
from newsletter.store import Store
from pinstripe import Tenant


def database(store: Store, tenant: Tenant | None) -> Iterator[Database]:
    """Give the application's database as the workspace's tenant may see it."""
    database = Database(store, tenant.id if tenant else None)
    try:
        yield database
    finally:
        database.close()
