from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.examples.conftest import NOW, rows

if TYPE_CHECKING:
    from pathlib import Path

    from newsletter.backup import Contents, Page
    from pinstripe import Project

pytestmark = pytest.mark.anyio

TENANT = "harbour-books"


@pytest.fixture
async def pages(project: Project) -> list[Page]:
    """Read what there is of the tenant to back up."""
    from newsletter import backup

    async with project.workspace(tenant=TENANT) as workspace:
        return [page async for page in backup.read_pages(workspace.database, TENANT)]


def contents(path: Path) -> Contents:
    from newsletter.backup import contents_of
    from newsletter.database import open_database

    with open_database(path, "ro").connect() as connection:
        return contents_of(connection)


async def test_a_backup_has_all_of_the_tenant_and_nothing_of_others(
    pages: list[Page], database_file: Path, tmp_path: Path
) -> None:
    from newsletter.backup import back_up

    backup = back_up(TENANT, pages, tmp_path / "backups")

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


@pytest.mark.parametrize("size", [1, 3])
async def test_a_backup_is_of_one_moment_and_the_same_whatever_the_page(
    project: Project, database_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    from newsletter import backup

    monkeypatch.setattr(backup, "PAGE", size)
    before = rows(database_file, "select id, name from users where tenant_id = ? order by id", TENANT)
    async with project.workspace(tenant=TENANT) as workspace:
        reading = []
        async for page in backup.read_pages(workspace.database, TENANT):
            reading.append(page)
            rows(database_file, "update users set name = 'Changed'")
            rows(database_file, "delete from sessions")

    done = backup.back_up(TENANT, reading, tmp_path / "backups")

    assert rows(done.path, "select id, name from users order by id") == before
    assert rows(done.path, "select count(*) from sessions") != [(0,)]
    assert max(len(page.rows) for page in reading) == size


async def test_a_damaged_file_is_caught_and_the_older_backup_stays(
    pages: list[Page], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from newsletter import backup

    good = backup.back_up(TENANT, pages, tmp_path).path.read_bytes()
    verify = backup.verify

    def damage_and_verify(path: Path, expected: Contents) -> None:
        content = bytearray(path.read_bytes())
        position = content.index(b"@harbour-books.example")  # inside of a row: the pages stay well-formed
        content[position] ^= 1
        path.write_bytes(content)
        verify(path, expected)

    monkeypatch.setattr(backup, "verify", damage_and_verify)
    with pytest.raises(backup.BackupDamaged, match="differs from the database in"):
        backup.back_up(TENANT, pages, tmp_path)

    assert (tmp_path / "harbour-books.db").read_bytes() == good
    assert not (tmp_path / "harbour-books.db.partial").exists()


@pytest.mark.parametrize("page", [0, 1, 2, 3])
async def test_a_file_with_a_page_overwritten_is_caught(pages: list[Page], tmp_path: Path, page: int) -> None:
    from newsletter import backup

    path = backup.back_up(TENANT, pages, tmp_path).path
    expected = contents(path)
    backup.verify(path, expected)
    content = bytearray(path.read_bytes())
    content[page * 4096 : (page + 1) * 4096] = b"\xff" * 4096
    path.write_bytes(content)

    with pytest.raises(backup.BackupDamaged):
        backup.verify(path, expected)


async def test_a_missing_row_is_caught(pages: list[Page], tmp_path: Path) -> None:
    from newsletter import backup

    path = backup.back_up(TENANT, pages, tmp_path).path
    expected = contents(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("delete from articles where id = (select min(id) from articles)")

    with pytest.raises(backup.BackupDamaged, match=r"differs .* in articles: expected 6 rows of articles, found 5"):
        backup.verify(path, expected)


async def test_a_time_that_is_none_is_damage(pages: list[Page], tmp_path: Path) -> None:
    from newsletter import backup, moments

    path = backup.back_up(TENANT, pages, tmp_path).path
    expected = contents(path)
    rows(path, "update users set joined_at = ?", moments.written(NOW).replace("T", "?T"))

    with pytest.raises(backup.BackupDamaged, match="can't be read"):
        backup.verify(path, expected)


@pytest.mark.parametrize("tenant", ["", "../escape", "a/b", ".hidden", "a\n"])
def test_an_id_that_is_no_file_name_is_refused(tmp_path: Path, tenant: str) -> None:
    from newsletter.backup import back_up

    with pytest.raises(ValueError, match="expected a tenant id of letters"):
        back_up(tenant, [], tmp_path / "backups")
    assert not (tmp_path / "backups").exists()
