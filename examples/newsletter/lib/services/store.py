from collections.abc import Iterator

from newsletter.places import database_path
from newsletter.store import Store

scope = "project"  # one connection for the process


def store() -> Iterator[Store]:
    """Open the application's database file, which has all tenants."""
    store = Store(database_path())
    try:
        yield store
    finally:
        store.close()
