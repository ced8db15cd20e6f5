from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.examples.conftest import NOW

if TYPE_CHECKING:
    from pathlib import Path


def dump(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return hashlib.sha256("\n".join(connection.iterdump()).encode()).hexdigest()


def test_the_whole_database_has_the_promised_size_and_is_the_same_each_time(tmp_path: Path) -> None:
    from newsletter.models import ADDRESS
    from newsletter.seed import FAILING_TENANT, seed

    one, other = tmp_path / "one.db", tmp_path / "other.db"
    seed(one, now=NOW)
    seed(other, now=NOW)

    assert dump(one) == dump(other)
    with closing(sqlite3.connect(one)) as connection:
        assert connection.execute("select count(*), sum(active) from tenants").fetchall() == [(240, 234)]
        users = connection.execute("select tenant_id, email, subscribed from users").fetchall()
        assert connection.execute("pragma foreign_key_check").fetchall() == []
        assert connection.execute(
            "select count(*) from tenants where id not in (select tenant_id from users where subscribed)"
        ).fetchall() == [(0,)]
        [active] = connection.execute("select active from tenants where id = ?", (FAILING_TENANT,)).fetchone()
    assert len(users) == 20_000
    assert len({email for _, email, _ in users}) == 20_000
    malformed = [(tenant, subscribed) for tenant, email, subscribed in users if not ADDRESS.fullmatch(email)]
    assert malformed == [(FAILING_TENANT, 1)]
    assert active == 1


def test_seeding_again_replaces_what_is_there(database_file: Path) -> None:
    from newsletter.seed import seed

    before = dump(database_file)
    with closing(sqlite3.connect(database_file)) as connection, connection:
        connection.execute("delete from users")
    assert dump(database_file) != before

    seed(database_file, now=NOW, tenants=6, users=60)

    assert dump(database_file) == before


@pytest.mark.parametrize(("tenants", "users"), [(0, 10), (241, 20_000), (10, 39)])
def test_sizes_that_make_no_sense_are_refused(tmp_path: Path, tenants: int, users: int) -> None:
    from newsletter.seed import seed

    with pytest.raises(ValueError, match=f"got {tenants} and {users}"):
        seed(tmp_path / "newsletter.db", now=NOW, tenants=tenants, users=users)
    assert not (tmp_path / "newsletter.db").exists()
