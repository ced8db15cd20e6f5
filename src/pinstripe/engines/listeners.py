"""How the processes of one host wake one another: each that listens has a datagram socket in a folder they share.

A datagram is empty: that it came is all it says. Sending never waits: one whose buffer is full has been told already,
and one that is gone needs no telling. Whoever must be sure looks for itself now and then.
"""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from pathlib import Path

SUFFIX = ".sock"
"""What follows the owner's name in the name of its socket; its lock file has `.lock`."""

LONGEST_ADDRESS = 100
"""Bytes of a socket's path that every system takes: the limit is 108 with Linux and 104 with macOS, see unix(7)."""

LONGEST_NAME = 42
"""Bytes of a socket's name, with the slash before it: an owner's name is 32 characters long."""

GRAIN = 2_000_000_000
"""Nanoseconds in which a folder may change twice and show one time: 4 ms on most file systems, 2 s on the coarsest."""

_OWN_DESCRIPTORS = "/proc/self/fd"


class Listener:
    """The socket of one owner, from when it is made until `close`."""

    def __init__(self, folder: Path, owner: str, heard: Callable[[], None], loop: asyncio.AbstractEventLoop) -> None:
        """Listen on `loop`, and call `heard` there; raises OSError where there can be no socket."""
        self.name = f"{owner}{SUFFIX}"
        self._path = folder / self.name
        self._heard = heard
        self._loop = loop
        self._process = os.getpid()
        folder.mkdir(parents=True, exist_ok=True)
        # It gets its name only once it is bound, so that nobody finds a socket that refuses for being new.
        made = folder / f"{owner}.new"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self._socket.settimeout(0)
            with closing(Folder(folder)) as reached:
                self._socket.bind(reached.address(made.name))
            made.rename(self._path)
            loop.add_reader(self._socket, self._hear)
        except BaseException:
            self._socket.close()
            for path in (made, self._path):
                path.unlink(missing_ok=True)
            raise

    def close(self) -> None:
        """Stop listening. A forked child only lets go of the socket, which is still its parent's."""
        if os.getpid() == self._process:
            self._loop.remove_reader(self._socket)
            self._path.unlink(missing_ok=True)
        self._socket.close()

    def _hear(self) -> None:
        with suppress(OSError):  # BlockingIOError: all of them are read
            while True:
                self._socket.recv(1)
        self._heard()


class Folder:
    """A folder of sockets. A path to it that is too long for an address is gone round through the process's own."""

    def __init__(self, path: Path | str) -> None:
        """Take the folder's `path`."""
        self._start = str(path)
        self._descriptor: int | None = None
        if len(os.fsencode(self._start)) + LONGEST_NAME > LONGEST_ADDRESS and os.path.isdir(_OWN_DESCRIPTORS):  # noqa: PTH112
            self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            self._start = f"{_OWN_DESCRIPTORS}/{self._descriptor}"

    def address(self, name: str) -> str:
        """Give what a socket in it is called; where that is too long, to use it is an OSError."""
        return f"{self._start}/{name}"

    def close(self) -> None:
        """Let go of the folder."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


class _Listing(NamedTuple):
    """Who listened when the folder was last read; `changed` is the folder's time then, None where it may not be kept.

    Each is a name and an address.
    """

    changed: int | None
    found: tuple[tuple[str, str], ...]


class Listeners:
    """All who listen in a folder, to be told something; may be used by several threads at once."""

    def __init__(self, path: Path) -> None:
        """Take the folder's `path`; it need not exist."""
        self._path = str(path)
        self._folder: Folder | None = None
        self._socket: socket.socket | None = None
        self._listing = _Listing(None, ())
        self._making = threading.Lock()

    def tell(self, except_name: str | None = None) -> None:
        """Send each of them a datagram, but for the one with the name `except_name`; never waits, and never raises."""
        try:
            changed = os.stat(self._path).st_mtime_ns  # noqa: PTH116 - done at each enqueue: Path.stat takes twice as long
            listing = self._listing
            if changed != listing.changed:
                listing = self._listing = self._list(changed)
        except OSError:
            return  # there is no folder: nobody has ever listened
        for name, address in listing.found:
            if name != except_name:
                self._send(name, address)

    def close(self) -> None:
        """Let go of the socket that it sends from."""
        if self._socket is not None:
            self._socket.close()
        if self._folder is not None:
            self._folder.close()
        self._socket = self._folder = None

    def _list(self, changed: int) -> _Listing:
        """Read the folder. What changed just now may change again without showing it, so that is read again."""
        with self._making:
            folder = self._folder = self._folder or Folder(self._path)
        settled = time.time_ns() - changed > GRAIN
        names = [name for name in os.listdir(self._path) if name.endswith(SUFFIX)]  # noqa: PTH208 - as above
        return _Listing(changed if settled else None, tuple((name, folder.address(name)) for name in names))

    def _send(self, name: str, address: str) -> None:
        sender = self._socket or self._make_sender()
        try:
            sender.sendto(b"", address)
        except OSError as error:
            # Full: it has been told, and not yet looked. Gone: it ended meanwhile. Refused: it died.
            if error.errno == errno.ECONNREFUSED:
                self._remove_dead(name)

    def _make_sender(self) -> socket.socket:
        with self._making:
            if self._socket is None:
                sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                sender.settimeout(0)
                self._socket = sender
            return self._socket

    def _remove_dead(self, name: str) -> None:
        """Remove the socket of a dead owner that has been buried. Until then its process may only be about to end."""
        lock = f"{self._path}/{name.removesuffix(SUFFIX)}.lock"
        with suppress(OSError):
            if not os.path.exists(lock):  # noqa: PTH110 - as above
                os.unlink(f"{self._path}/{name}")  # noqa: PTH108 - as above
