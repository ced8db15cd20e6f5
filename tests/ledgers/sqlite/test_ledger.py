"""What the SQLite ledger says where its file can't be used, and that it then loses nothing."""

# ruff: noqa: ASYNC240 - nothing else goes on in the event loop of these tests

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import apsw
import pytest

from pinstripe.errors import LedgerError
from pinstripe.ledger import RunFilter
from pinstripe.ledgers.sqlite.connection import refuse_network
from pinstripe.ledgers.sqlite.ledger import SQLiteLedger
from pinstripe.run import Counts, RunStatus
from tests.ledgers.conftest import HandClock
from tests.ledgers.moves import FAILED, SUCCEEDED, carry_out, new_run, select
from tests.ledgers.processes import PATIENCE, child
from tests.ledgers.stores import RETENTION

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]
NOBODY = 65_534


def on(path: Path, lock_wait: float = 10) -> SQLiteLedger:
    return SQLiteLedger(path, clock=HandClock(), retention=RETENTION, lock_wait=lock_wait)


@pytest.fixture
async def kept(path: Path) -> AsyncIterator[SQLiteLedger]:
    """Give an open ledger that has a run of 500 tenants, all of it in the file itself."""
    first = on(path)
    await first.open()
    run = await select(first, [f"tenant-{n:04}" for n in range(500)])
    await carry_out(first, run.id, {f"tenant-{n:04}": SUCCEEDED for n in range(500)})
    await first.close()
    ledger = on(path)
    yield ledger
    await ledger.close()


@contextmanager
def unprivileged(folder: Path) -> Iterator[None]:
    """Be somebody who may write nothing in `folder`: for root another user, whom the rights of files bind."""
    if os.geteuid() == 0:
        os.seteuid(NOBODY)
        try:
            yield
        finally:
            os.seteuid(0)
        return
    modes = {path: path.stat().st_mode for path in (folder, *folder.rglob("*"))}
    for path, mode in modes.items():
        path.chmod(mode & 0o555)
    try:
        yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


@pytest.fixture
def public() -> Iterator[Path]:
    """Give a folder that everybody may enter; the ones of tests are their user's own."""
    folder = Path(tempfile.mkdtemp(prefix="pinstripe-"))
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


async def assert_refused(path: Path, reason: str) -> None:
    """Check that the ledger is refused with this reason, to those who look and to those who write."""
    for write in (False, True):
        ledger = on(path)
        with pytest.raises(LedgerError, match=reason):
            await look(ledger, write=write)
        await ledger.close()


async def look(ledger: SQLiteLedger, *, write: bool) -> None:
    await ledger.open(write=write)
    await ledger.list_runs(RunFilter())


async def test_a_file_that_is_something_else(path: Path) -> None:
    path.write_bytes(b"a letter to somebody, not a database\n" * 500)
    before = path.read_bytes()
    await assert_refused(path, "is not a sound SQLite file: restore it from a backup")
    assert path.read_bytes() == before


async def test_a_header_that_is_garbage(kept: SQLiteLedger) -> None:
    with kept.path.open("r+b") as file:
        file.write(b"\xff" * 100)
    await assert_refused(kept.path, "is not a sound SQLite file")


async def test_torn_pages(kept: SQLiteLedger) -> None:
    """The first page is sound, so that the file opens; what is behind it is not."""
    size = kept.path.stat().st_size
    with kept.path.open("r+b") as file:
        file.seek(4_096)
        file.write(b"\xa5" * (size - 4_096))
    await assert_refused(kept.path, "is not a sound SQLite file")


async def test_a_page_that_is_torn_while_the_ledger_is_open(kept: SQLiteLedger) -> None:
    await kept.open()
    with kept.path.open("r+b") as file:
        file.seek(4_096)
        file.write(b"\xa5" * (kept.path.stat().st_size - 4_096))
    with pytest.raises(LedgerError):
        await select(kept, ["a"])


async def test_a_file_that_was_cut(kept: SQLiteLedger) -> None:
    os.truncate(kept.path, 3 * 4_096)
    await assert_refused(kept.path, "is not a sound SQLite file")


async def test_an_empty_file_is_an_empty_ledger(path: Path) -> None:
    path.touch()
    ledger = on(path)
    await ledger.open(write=False)
    assert await ledger.list_runs(RunFilter()) == []
    await ledger.open()
    assert (await select(ledger, ["a"])).executions == Counts(1, queued=1)
    await ledger.close()


async def test_the_applications_own_database(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.execute("create table users(name); insert into users values ('ada')")
    connection.close()
    before = path.read_bytes()
    await assert_refused(path, "is a database with tables of its own, not a ledger")
    assert path.read_bytes() == before  # not even its journal mode


async def test_a_table_of_the_same_name_makes_no_ledger(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.execute("create table schema_version(version); insert into schema_version values (3)")
    connection.close()
    await assert_refused(path, "is not a ledger of this version")


async def test_a_newer_ledger(kept: SQLiteLedger) -> None:
    connection = apsw.Connection(str(kept.path))
    connection.execute("update schema_version set version = 99, min_code = 98")
    connection.close()
    await assert_refused(kept.path, "made by a newer Pinstripe.*update Pinstripe here")


async def test_a_folder_in_place_of_the_file(path: Path) -> None:
    path.mkdir()
    await assert_refused(path, "is a folder; name a file")


async def test_a_network_file_system(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.touch()
    mounts = path.with_name("mountinfo")
    mounts.write_text(f"30 22 0:25 / {path.parent} rw - nfs4 server:/export rw\n")
    monkeypatch.setattr("pinstripe.ledgers.sqlite.store.refuse_network", lambda path: refuse_network(path, mounts))
    await assert_refused(path, "network file system")


async def test_a_file_that_may_not_be_written(public: Path) -> None:
    path = public / "ledger.db"
    first = on(path)
    await first.open()
    run = await select(first, ["a"])
    with unprivileged(public):
        looking = on(path)
        await looking.open(write=False)
        assert await looking.rescue() == 0
        assert (await looking.find_run(run.id)).executions == Counts(1, queued=1)
        with pytest.raises(LedgerError):
            await create(looking)
        assert await looking.list_runs(RunFilter()) != []
        await looking.close()
    await carry_out(first, run.id, {"a": SUCCEEDED})
    await first.close()


async def create(ledger: SQLiteLedger) -> None:
    await ledger.open(write=True)
    await ledger.create(new_run())


async def test_a_dead_owner_is_left_to_who_may_write(public: Path) -> None:
    path = public / "ledger.db"
    with child(path, "run") as process:
        run = process.line()
        process.kill()
    with unprivileged(public):
        looking = on(path)
        await looking.open(write=False)
        assert await looking.rescue() == 0
        assert (await looking.find_run(run)).status == RunStatus.RUNNING
        await looking.close()
    writing = on(path)
    await writing.open(write=False)
    assert await writing.rescue() == 1
    await writing.close()


async def test_a_folder_that_may_not_be_entered_or_written(public: Path) -> None:
    (public / "secret.db").touch(mode=0o000)
    (public / "closed").mkdir(mode=0o700)
    (public / "closed" / "ledger.db").touch()
    os.chmod(public / "closed", 0o000)  # noqa: PTH101 - root may enter it all the same
    with unprivileged(public):
        await assert_refused_to_write(public / "secret.db")
        await assert_refused_to_write(public / "closed" / "ledger.db")
        await assert_refused_to_write(public / "not to be made" / "ledger.db")
    os.chmod(public / "closed", 0o700)  # noqa: PTH101


async def assert_refused_to_write(path: Path) -> None:
    ledger = on(path)
    with pytest.raises(LedgerError, match=r"can't be (reached|opened)"):
        await ledger.open(write=True)
    await ledger.close()


async def test_a_ledger_that_is_locked_for_too_long(path: Path) -> None:
    ledger = on(path, lock_wait=0.05)
    await ledger.open()
    run = await ledger.create(new_run())
    with child(path, "hold") as process:
        assert process.line() == "holding"
        for tenants in (["a"], ["b", "c"]):
            with pytest.raises(LedgerError, match="is locked: another process has held its lock"):
                await ledger.add(run.id, tenants)
        assert (await ledger.find_run(run.id)).executions == Counts()
        assert process.release() == 0
    assert await ledger.add(run.id, ["a", "b"]) == 2
    await ledger.close()


async def test_the_event_loop_goes_on_while_a_lock_keeps_a_process_from_its_first_run(path: Path) -> None:
    ledger = on(path)
    await ledger.open()
    with child(path, "hold") as process:
        assert process.line() == "holding"
        created = [asyncio.create_task(ledger.create(new_run())) for _ in range(2)]
        assert not (await asyncio.wait(created, timeout=0.05))[0]
        assert process.release() == 0
    assert len({(await each).id for each in created}) == 2
    assert len(ledger._store.rows("processes")) == 1  # noqa: SLF001 - the queue's status would be another test's
    await ledger.close()


async def test_a_full_disk_loses_nothing_that_was_acknowledged(path: Path) -> None:
    ledger = on(path)
    await ledger.open()
    run = await select(ledger, ["a", "b"])
    connection = ledger._store.writer._connection  # type: ignore[union-attr]  # noqa: SLF001 - only it can be limited
    connection.pragma("max_page_count", connection.pragma("page_count"))
    large = "x" * 200_000
    claimed = await ledger.turn(run.id, [], ["a"])
    for _ in range(2):
        with pytest.raises(LedgerError, match=r"has no space left: free some space.*nothing that was recorded is lost"):
            await ledger.create(new_run(args=[large]))
        assert (await ledger.find_run(run.id)).executions == Counts(2, queued=1, running=1)
    connection.pragma("max_page_count", 1_000_000)
    assert (await ledger.create(new_run(args=[large]))).args == (large,)
    assert [one.tenant for one in claimed.claimed] == ["a"]
    await ledger.close()


def _folders() -> list[str]:
    """Name the ways to a folder of small size that there are here; the first is everywhere."""
    try:
        mount = ["unshare", "--mount", "mount", "-t", "tmpfs", "-o", "size=1m", "none", "/mnt"]
        mounts = subprocess.run(mount, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounts = False
    return ["limited", *(["mounted"] if mounts else [])]


@pytest.mark.parametrize("how", _folders())
def test_a_folder_of_small_size_that_fills_up(tmp_path: Path, how: str) -> None:
    program = [sys.executable, "-m", "tests.ledgers.sqlite.programs", how, str(tmp_path)]
    if how == "mounted":
        mounting = 'mount -t tmpfs -o size=1m none "$0" && exec "$@"'
        program = ["unshare", "--mount", "sh", "-c", mounting, str(tmp_path), *program]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    error, full, freed = done.stdout.splitlines()
    assert error.startswith(f"the ledger {tmp_path / 'ledger.db'} ")
    assert ("has no space left" if how == "mounted" else "is it full?") in error
    added, counted = map(int, full.split())
    assert added == counted >= 1_000
    assert freed.split() == [str(added + 1)] * 3


async def test_a_run_that_a_full_disk_left_open_is_closed_by_the_next_process(path: Path) -> None:
    ledger = on(path)
    await ledger.open()
    run = await select(ledger, ["a"])
    connection = ledger._store.writer._connection  # type: ignore[union-attr]  # noqa: SLF001 - as above
    connection.execute("pragma query_only = 1")
    with pytest.raises(LedgerError):
        await carry_out(ledger, run.id, {"a": FAILED})
    with pytest.raises(LedgerError):
        await ledger.close()
    after = on(path)
    await after.open(write=False)
    assert await after.rescue() == 1
    assert (await after.find_run(run.id)).status == RunStatus.CANCELLED
    await after.close()


@pytest.mark.parametrize("name", ["with space", "größe 🦓", "quo'te", "100%?x=y#z", "-dash", "file:x"])
async def test_any_name_will_do(tmp_path: Path, name: str) -> None:
    path = tmp_path / name / f"{name}.db"
    ledger = on(path)
    await ledger.open()
    run = await select(ledger, ["a"])
    await ledger.close()
    assert path.is_file()
    again = on(path)
    await again.open(write=False)
    assert (await again.find_run("last")).id == run.id
    await again.close()


async def test_nothing_lies_beside_a_ledger_that_was_closed(path: Path) -> None:
    ledger = on(path)
    await ledger.open()
    run = await select(ledger, ["a"])
    await carry_out(ledger, run.id, {"a": SUCCEEDED})
    await ledger.close()
    assert sorted(str(each.relative_to(path.parent)) for each in path.parent.rglob("*")) == [
        "ledger.db",
        "ledger.db-owners",
    ]


@pytest.mark.parametrize(("sync", "synchronous"), [("normal", 1), ("full", 2)])
async def test_the_setting_ledger_sync(path: Path, sync: str, synchronous: int) -> None:
    ledger = SQLiteLedger(path, clock=HandClock(), retention=RETENTION, sync=sync)
    await ledger.open()
    assert ledger._store.writer._connection.pragma("synchronous") == synchronous  # type: ignore[union-attr]  # noqa: SLF001
    await ledger.close()


async def test_numbers_of_runs_that_have_ended_are_forgotten(path: Path) -> None:
    """A process that lives for months starts millions of nested runs."""
    ledger = on(path)
    await ledger.open()
    for _ in range(3):
        run = await select(ledger, ["a"])
        await carry_out(ledger, run.id, {"a": SUCCEEDED})
        await ledger.end(run.id, FAILED, "")
        await select(ledger, [])
    assert ledger._numbers == {}  # noqa: SLF001 - nothing public shows it
    await ledger.close()


async def test_a_ledger_that_is_not_open(path: Path) -> None:
    ledger = on(path)
    ledger.beat()
    with pytest.raises(LedgerError, match="is not open for writing"):
        await ledger.create(new_run())
    with pytest.raises(LedgerError, match="is not open for writing"):
        await ledger.prune()


async def test_the_lease_is_longer_than_four_beats() -> None:
    from pinstripe.ledgers.sqlite.owners import LEASE
    from pinstripe.pulse import BEAT

    assert LEASE >= 4 * BEAT
