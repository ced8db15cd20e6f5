from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import apsw
import pytest

from pinstripe.errors import LedgerError
from pinstripe.ledgers.sqlite.connection import Patience, connect, file_system, log_ahead, refuse_network, translated

if TYPE_CHECKING:
    from pathlib import Path

MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:25 / {folder} rw shared:2 - {kind} server:/export rw
31 30 8:2 / {folder}/local\\040disk rw - xfs /dev/sdb rw
32 22 0:30 / {folder}-not rw - nfs4 server:/other rw
garbage
33 22 -
"""


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    file = tmp_path / "mountinfo"
    file.write_text(MOUNTS.format(folder=tmp_path / "share", kind="nfs4"))
    return file


def test_the_file_and_its_folders_are_made_for_writing(tmp_path: Path) -> None:
    path = tmp_path / "some where" / "größe 🦓" / "ledger.db"
    connection = connect(path, write=True)
    log_ahead(connection, path)
    connection.execute("create table kept(n)")
    connection.close()
    assert path.is_file()
    assert connect(path, write=False).pragma("journal_mode") == "wal"


def test_nothing_is_made_for_reading(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "ledger.db"
    with pytest.raises(LedgerError, match="does not exist"):
        connect(path, write=False)
    assert not path.parent.exists()


@pytest.mark.parametrize("name", ["ledger.db", "größe 🦓.db", "100%?mode=rw#x&y.db", "quo'te.db"])
def test_a_file_at_rest_is_read_where_nothing_can_be_made_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """SQLite wants to make its index of the log there, even to read: sqlite.org/wal.html#readonly."""
    path = tmp_path / name
    connection = connect(path, write=True)
    log_ahead(connection, path)
    connection.execute("create table kept(n); insert into kept values (5)")
    connection.close()
    monkeypatch.setattr(os, "access", lambda *_: False)
    reader = connect(path, write=False)
    assert reader.execute("select n from kept").get == 5
    assert [each.name for each in tmp_path.iterdir()] == [name]
    with pytest.raises(apsw.ReadOnlyError):
        reader.execute("insert into kept values (6)")


def test_a_file_that_somebody_writes_is_not_taken_to_be_at_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.db"
    writing = connect(path, write=True)
    log_ahead(writing, path)
    writing.execute("create table kept(n)")
    monkeypatch.setattr(os, "access", lambda *_: False)
    reader = connect(path, write=False)
    for n in range(3):
        writing.execute("insert into kept values (?)", (n,))
        assert reader.execute("select max(n) from kept").get == n
    reader.close()
    writing.close()


@pytest.mark.parametrize(("sync", "synchronous"), [("normal", 1), ("full", 2)])
def test_sync_is_as_the_setting_says(path: Path, sync: str, synchronous: int) -> None:
    """See sqlite.org/pragma.html: 2 syncs the log at each commit, 1 only before a checkpoint."""
    connection = connect(path, write=True)
    log_ahead(connection, path, sync=sync)
    assert connection.pragma("synchronous") == synchronous
    assert connection.pragma("wal_autocheckpoint") == 0
    connection.close()


def test_a_file_that_can_have_no_log_is_refused() -> None:
    from pathlib import Path

    memory = apsw.Connection(":memory:")
    with pytest.raises(LedgerError, match="it stays at memory"):
        log_ahead(memory, Path("ledger.db"))


def test_a_lock_is_waited_for(path: Path) -> None:
    holder, waiter = connect(path, write=True), connect(path, write=True, lock_wait=10)
    holder.execute("create table kept(n); begin immediate")
    asked = threading.Event()
    patience = Patience(10)

    def handler(waited: int) -> bool:
        asked.set()
        return patience(waited)

    waiter.set_busy_handler(handler)
    thread = threading.Thread(target=lambda: waiter.execute("insert into kept values (1)"))
    thread.start()
    assert asked.wait(10)
    holder.execute("commit")
    thread.join(10)
    assert holder.execute("select count(*) from kept").get == 1
    holder.close()
    waiter.close()


def test_patience_ends() -> None:
    patience = Patience(0)
    assert not patience(0)
    patience.limit = 60
    assert patience(0)
    assert patience(1)
    patience.limit = 0
    assert not patience(2)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (apsw.ReadOnlyError("attempt to write"), "can't be written to: make the file and its folder"),
        (apsw.FullError("database or disk is full"), "has no space left: free some space"),
        (apsw.CorruptError("malformed"), "is not a sound SQLite file: restore it from a backup"),
        (apsw.NotADBError("file is not a database"), "is not a sound SQLite file: restore it from a backup"),
        (apsw.BusyError("database is locked"), "is locked: another process has held its lock"),
        (apsw.LockedError("table is locked"), "is locked: another process has held its lock"),
        (apsw.CantOpenError("unable to open"), "can't be opened: "),
        (apsw.IOError("disk I/O error"), "can't be read or written: look at the disk"),
        (apsw.SQLError("no such table: runs"), "is not a ledger of this version: run a job or start a worker"),
        (apsw.ProtocolError("locking protocol"), "can't be used: "),
        (OSError(28, "No space left on device", "x.lock"), "can't be reached: look at x.lock"),
    ],
)
def test_each_complaint_is_told_with_its_remedy(path: Path, error: Exception, told: str) -> None:
    with pytest.raises(LedgerError) as raised, translated(path):
        raise error
    assert str(raised.value).startswith(f"the ledger {path} {told}")
    assert str(error) in str(raised.value)
    assert raised.value.__cause__ is error


def test_what_is_no_complaint_of_the_file_stays_as_it_is(path: Path) -> None:
    with pytest.raises(KeyError), translated(path):
        raise KeyError("x")
    with pytest.raises(LedgerError, match=r"^mine$"), translated(path):
        raise LedgerError("mine")


def test_a_folder_in_place_of_the_file(path: Path) -> None:
    path.mkdir()
    for write in (True, False):
        with pytest.raises(LedgerError, match="is a folder; name a file"):
            connect(path, write=write)


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match="can't be reached: look at"):
        connect(tmp_path / "file" / "ledger.db", write=True)


@pytest.mark.parametrize(
    ("where", "kind"),
    [
        ("ledger.db", "ext4"),
        ("share/ledger.db", "nfs4"),
        ("share/deep/er/ledger.db", "nfs4"),
        ("share", "nfs4"),
        ("share/local disk/ledger.db", "xfs"),
        ("shared/ledger.db", "ext4"),
        ("share-not/ledger.db", "nfs4"),
    ],
)
def test_the_file_system_of_a_file_is_that_of_the_nearest_mount(
    tmp_path: Path, mounts: Path, where: str, kind: str
) -> None:
    assert file_system(tmp_path / where, mounts) == kind


def test_the_file_system_is_found_through_links(tmp_path: Path, mounts: Path) -> None:
    (tmp_path / "share").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "share")
    assert file_system(tmp_path / "link" / "ledger.db", mounts) == "nfs4"


def test_a_later_mount_on_the_same_place_counts(tmp_path: Path, mounts: Path) -> None:
    with mounts.open("a") as file:
        file.write(f"40 22 8:3 / {tmp_path}/share rw - btrfs /dev/sdc rw\n")
    assert file_system(tmp_path / "share" / "ledger.db", mounts) == "btrfs"


def test_a_machine_that_does_not_say_has_no_file_systems(tmp_path: Path) -> None:
    assert file_system(tmp_path, tmp_path / "no mountinfo") is None
    refuse_network(tmp_path / "ledger.db", tmp_path / "no mountinfo")


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "9p", "fuse.sshfs", "virtiofs"])
def test_a_network_file_system_is_refused(tmp_path: Path, kind: str) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS.format(folder=tmp_path / "share", kind=kind))
    with pytest.raises(LedgerError, match=rf"network file system \({kind}\).*expected a local disk"):
        refuse_network(tmp_path / "share" / "ledger.db", mounts)
    refuse_network(tmp_path / "share" / "local disk" / "ledger.db", mounts)
    refuse_network(tmp_path / "ledger.db", mounts)


def test_this_folder_is_on_a_local_disk(tmp_path: Path) -> None:
    refuse_network(tmp_path / "ledger.db")
