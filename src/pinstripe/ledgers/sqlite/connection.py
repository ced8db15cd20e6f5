"""Connections to the ledger's file, and what SQLite's complaints mean for whoever reads them."""

from __future__ import annotations

import os
import re
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import apsw

from pinstripe.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCK_WAIT = 30.0
"""Seconds that a write waits for the other processes of the ledger before it gives up."""

_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "gpfs", "glusterfs", "ncpfs", "ocfs2"}
    | {"fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone", "fuse.davfs2", "fuse.cephfs"}
    | {"virtiofs", "webdav", "afpfs"},
)
"""File systems on which SQLite's locks and shared memory don't hold between hosts (or at all): sqlite.org/wal.html."""


_ESCAPED = re.compile(r"\\([0-7]{3})")
"""How mountinfo writes a blank, a tab, a newline and a backslash: in octal, see proc(5)."""


def connect(path: Path, *, write: bool, lock_wait: float = LOCK_WAIT) -> apsw.Connection:
    """Open the ledger's file; `write` creates it where it is absent. A lock is waited for `lock_wait` seconds."""
    with translated(path):
        if write:
            path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise LedgerError(f"the ledger {path} is a folder; name a file in the setting `ledger`")
        flags = apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_CREATE if write else 0)
        name = str(path)
        if not write and _is_at_rest(path):
            flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
            from urllib.parse import quote

            name = f"file:{quote(name)}?immutable=1"
        try:
            connection = apsw.Connection(name, flags=flags)
        except apsw.CantOpenError:
            if write:
                raise
            connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        connection.set_busy_handler(Patience(lock_wait))
        # Without it each new value may have a statement planned anew, for the sake of partial indexes: 3 to 12 us.
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        # Of a new file: a commit writes whole pages, one of each table and index that it touches; small ones sooner.
        connection.execute("pragma page_size = 2048").fetchall()
        # 16 MiB of cache hold the hot ends of the indexes; checkpoints are made between requests.
        connection.execute("pragma temp_store = memory; pragma cache_size = -16000; pragma wal_autocheckpoint = 0")
        return connection


def log_ahead(connection: apsw.Connection, path: Path, *, sync: str = "normal", lock_wait: float = LOCK_WAIT) -> None:
    """Set a connection to write by a write-ahead log; `sync` is `"normal"`, or `"full"` to sync at each commit."""
    with translated(path):
        mode = _switched(connection, Patience(lock_wait))
        if mode != "wal":
            raise LedgerError(f"the ledger {path} can't have a write-ahead log (it stays at {mode}): use a local disk")
        connection.execute(f"pragma synchronous = {'full' if sync == 'full' else 'normal'}")
        connection.execute("pragma journal_size_limit = 67108864")


def _switched(connection: apsw.Connection, patience: Patience) -> object:
    """Switch to the write-ahead log and give the mode that it has then.

    Where several processes switch a new file at once, SQLite refuses all but one without asking the busy handler, since
    they would wait for one another for ever.
    """
    waited = 0
    while True:
        try:
            return connection.execute("pragma journal_mode = wal").get
        except apsw.BusyError:
            if not patience(waited):
                raise
        waited += 1


class Patience:
    """A busy handler: waits for another writer in steps of 0 to 1 ms at random, for at most `LOCK_WAIT`.

    SQLite's own handler backs off to 100 ms and is unfair: the 99th percentile was 429 ms where this had 3.4 ms.
    """

    def __init__(self, limit: float = LOCK_WAIT) -> None:
        """Wait for at most `limit` seconds; 0 is not at all."""
        self.limit = limit
        self._since = 0.0

    def __call__(self, waited: int) -> bool:
        """Tell SQLite whether to try once more; `waited` is how often it has asked for this lock."""
        if waited == 0:
            self._since = time.monotonic()
        if time.monotonic() - self._since >= self.limit:
            return False
        time.sleep(os.urandom(1)[0] / 256_000)  # the module random costs each command a millisecond
        return True


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what SQLite and the file system complain about into a `LedgerError` that tells how to mend it."""
    try:
        yield
    except apsw.ReadOnlyError as error:
        remedy = f"make the file and its folder {path.parent} writable"
        raise _error(path, "can't be written to", remedy, error) from error
    except apsw.FullError as error:
        remedy = "free some space on its disk; nothing that was recorded is lost"
        raise _error(path, "has no space left", remedy, error) from error
    except (apsw.CorruptError, apsw.NotADBError) as error:
        remedy = "restore it from a backup, or move it away (with its -wal and -shm files) and start with a new one"
        raise _error(path, "is not a sound SQLite file", remedy, error) from error
    except (apsw.BusyError, apsw.LockedError) as error:
        remedy = "another process has held its lock for too long; look for a backup, a shell or a debugger on it"
        raise _error(path, "is locked", remedy, error) from error
    except apsw.CantOpenError as error:
        raise _error(path, "can't be opened", _why_not_openable(path), error) from error
    except apsw.IOError as error:
        raise _error(path, "can't be read or written", "look at the disk it is on (is it full?)", error) from error
    except apsw.SQLError as error:
        remedy = "run a job or start a worker, which bring an earlier one up to date, or name another file in `ledger`"
        raise _error(path, "is not a ledger of this version", remedy, error) from error
    except apsw.Error as error:
        raise _error(
            path, "can't be used", f"look at it with `sqlite3 {path} 'pragma integrity_check'`", error
        ) from error
    except OSError as error:
        raise _error(path, "can't be reached", f"look at {error.filename or path.parent}", error) from error


def refuse_network(path: Path, mounts: Path = Path("/proc/self/mountinfo")) -> None:
    """Raise `LedgerError` where the file would lie on a network file system (as Linux tells it in `mounts`)."""
    kind = file_system(path, mounts)
    if kind in _NETWORK:
        message = (
            f"the ledger {path} is on a network file system ({kind}), where SQLite loses data; expected a local disk: "
            'set `ledger = "sqlite:////a/local/path/ledger.db"`, or for several machines `ledger = "postgresql://…"`'
        )
        raise LedgerError(message)


def file_system(path: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str | None:
    """Tell the kind of file system that `path` is on, None where the machine doesn't say (see proc(5), mountinfo)."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    wanted = str(path.resolve())
    best, kind = -1, None
    for line in lines:
        mounted, _, rest = line.partition(" - ")
        fields = mounted.split(" ")
        point = _ESCAPED.sub(_unescaped, fields[4]) if len(fields) > 4 else ""  # noqa: PLR2004 - the fifth field
        inside = wanted == point or wanted.startswith(point.rstrip("/") + "/")
        if point and inside and len(point) >= best:
            best, kind = len(point), rest.split(" ", 1)[0]
    return kind


def _is_at_rest(path: Path) -> bool:
    """Tell whether nobody writes, in a folder where this user may not: sqlite.org/wal.html#readonly."""
    return not os.access(path.parent, os.W_OK) and not path.with_name(f"{path.name}-wal").exists()


def _error(path: Path, what: str, remedy: str, cause: Exception) -> LedgerError:
    return LedgerError(f"the ledger {path} {what}: {remedy} ({cause})")


def _unescaped(found: re.Match[str]) -> str:
    return chr(int(found[1], 8))


def _why_not_openable(path: Path) -> str:
    if not path.parent.is_dir():
        return f"its folder {path.parent} does not exist"
    return f"look at the rights on it and on {path.parent}"
