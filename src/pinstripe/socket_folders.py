"""The folders of sockets that the processes of jobs call: each is one process's, and outlives it if that is killed.

So whoever makes one removes those that dead processes have left.
"""

from __future__ import annotations

import os
import socket
import stat
import tempfile
import time
import zlib
from contextlib import suppress

SOCKET = "socket"
"""The name of the socket in its folder."""

NEW = 60.0
"""Seconds in which a folder may belong to a process that has made its socket, and doesn't listen yet."""


def make_folder() -> str:
    """Make a folder that only this user may enter; give its path."""
    return tempfile.mkdtemp(prefix=_prefix())


def remove_dead() -> None:
    """Remove the folders of this user on this host in whose socket nobody listens any more; what fails is left."""
    prefix = _prefix()
    with suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        for entry in entries:
            if entry.name.startswith(prefix):
                with suppress(OSError):
                    _remove_if_dead(entry.path)


def _prefix() -> str:
    """Begin a folder's name: the host is in it, for a folder may be shared by several, and a socket can't be."""
    return f"pinstripe-{zlib.crc32(os.uname().nodename.encode()):08x}-"


def _remove_if_dead(path: str) -> None:
    # Others may put what they like in the place where these folders are: no link is followed, and all that is looked at
    # and removed is in the folder that was opened.
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        found = os.fstat(folder)
        if found.st_uid != os.geteuid() or abs(time.time() - found.st_mtime) < NEW:
            return
        if not stat.S_ISSOCK(os.stat(SOCKET, dir_fd=folder, follow_symlinks=False).st_mode) or not _is_dead(path):
            return
        os.unlink(SOCKET, dir_fd=folder)
    finally:
        os.close(folder)
    os.rmdir(path)  # noqa: PTH106 - paths are text here, as sockets have them


def _is_dead(path: str) -> bool:
    """Tell whether nobody listens; who does, and is too busy to answer, is alive."""
    with socket.socket(socket.AF_UNIX) as caller:
        caller.settimeout(0)
        try:
            caller.connect(os.path.join(path, SOCKET))  # noqa: PTH118 - as above
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False
