"""Lock files: a process holds one for as long as it lives, and the system frees it the instant it is gone."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from weakref import WeakSet

if TYPE_CHECKING:
    from pathlib import Path

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    fcntl = None  # type: ignore[assignment]


_HELD: WeakSet[Lock] = WeakSet()
"""The locks of this process: each project that is open in it may have one."""


class Lock:
    """A lock that this process holds on a file of its own."""

    def __init__(self, path: Path, descriptor: int) -> None:
        """Take the `path` and the open, locked `descriptor`."""
        self.path = path
        self._descriptor = descriptor
        _HELD.add(self)

    def remove(self) -> None:
        """Remove the file and give up the lock; in this order, so that nobody finds a free lock of a living process."""
        self.path.unlink(missing_ok=True)
        self.release()

    def release(self) -> None:
        """Give up the lock and leave the file."""
        _HELD.discard(self)
        os.close(self._descriptor)


def hold(path: Path) -> Lock:
    """Make the file `path` and lock it. It appears under its name only once it is locked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = _open(made, os.O_CREAT | os.O_EXCL)
    if not _lock(descriptor):  # pragma: no cover - nobody else knows the name
        os.close(descriptor)
        raise BlockingIOError(str(made))
    made.rename(path)
    return Lock(path, descriptor)


def is_held_here(path: Path) -> bool:
    """Tell whether this process holds the lock of a file, by a name that no other file has."""
    return any(lock.path.name == path.name for lock in tuple(_HELD))


def take(path: Path) -> Lock | None:
    """Lock the file of a process that may be gone; None while that process (or a child that inherited it) holds it.

    Raises FileNotFoundError where there is no such file.
    """
    descriptor = _open(path, 0)
    if _lock(descriptor) and _is_still(path, descriptor):
        return Lock(path, descriptor)
    os.close(descriptor)
    return None


def _open(path: Path, flags: int) -> int:
    return os.open(path, os.O_RDWR | flags, 0o666)  # close-on-exec, as everything that Python opens (PEP 446)


def _is_still(path: Path, descriptor: int) -> bool:
    """Tell whether the locked file is the one that has the name now: its process may have removed it meanwhile."""
    try:
        named = path.stat()
    except FileNotFoundError:
        return False
    held = os.fstat(descriptor)
    return (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino)


def _lock(descriptor: int) -> bool:
    """Lock without waiting. It is flock(2), never lockf: that one is lost when any descriptor of the file is closed."""
    if fcntl is None:  # pragma: no cover - Windows
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        except OSError:
            return False
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
