from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

TENANT = "harbour-books"


def rows(path: Path, sql: str, *parameters: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql, parameters).fetchall()


def test_a_backup_has_all_of_the_tenant_and_nothing_of_others(database_file: Path, tmp_path: Path) -> None:
    from newsletter.backup import back_up

    backup = back_up(database_file, TENANT, tmp_path / "backups")

    assert backup.path == tmp_path / "backups" / "harbour-books.db"
    assert [path.name for path in backup.path.parent.iterdir()] == ["harbour-books.db"]
    total = 0
    for table in ("users", "issues", "articles", "deliveries", "sessions"):
        kept = rows(backup.path, f"select * from {table} order by 1, 2, 3")
        assert kept == rows(database_file, f"select * from {table} where tenant_id = ? order by 1, 2, 3", TENANT)
        total += len(kept)
    assert [row[0] for row in rows(backup.path, "select id from tenants")] == [TENANT]
    assert rows(backup.path, "select count(*) from plans") == [(3,)]
    assert backup.rows == total + 1 + 3


def test_a_damaged_file_is_caught_and_the_older_backup_stays(
    database_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from newsletter import backup

    good = backup.back_up(database_file, TENANT, tmp_path).path.read_bytes()
    verify = backup.verify

    def damage_and_verify(path: Path, tenant: str, expected: backup.Contents) -> None:
        content = bytearray(path.read_bytes())
        position = content.index(b"@harbour-books.example")  # inside of a row: the pages stay well-formed
        content[position] ^= 1
        path.write_bytes(content)
        verify(path, tenant, expected)

    monkeypatch.setattr(backup, "verify", damage_and_verify)
    with pytest.raises(backup.BackupDamaged, match="differs from the database in"):
        backup.back_up(database_file, TENANT, tmp_path)

    assert (tmp_path / "harbour-books.db").read_bytes() == good
    assert not (tmp_path / "harbour-books.db.partial").exists()


@pytest.mark.parametrize("page", [0, 1, 2, 3])
def test_a_file_with_a_page_overwritten_is_caught(database_file: Path, tmp_path: Path, page: int) -> None:
    from newsletter import backup

    path = backup.back_up(database_file, TENANT, tmp_path).path
    with closing(sqlite3.connect(path)) as connection:
        expected = backup.contents_of(connection, "main", TENANT)
    backup.verify(path, TENANT, expected)
    content = bytearray(path.read_bytes())
    content[page * 4096 : (page + 1) * 4096] = b"\xff" * 4096
    path.write_bytes(content)

    with pytest.raises(backup.BackupDamaged):
        backup.verify(path, TENANT, expected)


def test_a_missing_row_is_caught(database_file: Path, tmp_path: Path) -> None:
    from newsletter import backup

    path = backup.back_up(database_file, TENANT, tmp_path).path
    with closing(sqlite3.connect(path)) as connection, connection:
        expected = backup.contents_of(connection, "main", TENANT)
        connection.execute("delete from articles where id = (select min(id) from articles)")

    with pytest.raises(backup.BackupDamaged, match=r"differs .* in articles: expected 6 rows of articles, found 5"):
        backup.verify(path, TENANT, expected)


@pytest.mark.parametrize("tenant", ["", "../escape", "a/b", ".hidden", "a\n"])
def test_an_id_that_is_no_file_name_is_refused(database_file: Path, tmp_path: Path, tenant: str) -> None:
    from newsletter.backup import back_up

    with pytest.raises(ValueError, match="expected a tenant id of letters"):
        back_up(database_file, tenant, tmp_path / "backups")
    assert not (tmp_path / "backups").exists()
