"""The servers that peers need, each in a folder of its own on disk; they end with their block."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import databases
from benchmarks.figures import Missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE = 60.0
"""Seconds that a start may take."""


@contextmanager
def nothing() -> Iterator[str]:
    """Give no URL, for what needs no server."""
    yield ""


@contextmanager
def redis() -> Iterator[str]:
    """Start the system's Redis, which writes nothing to disk."""
    program = shutil.which("redis-server")
    if program is None:
        raise Missing("expected `redis-server` on the PATH (Debian and Ubuntu: install redis-server)")
    with _folder() as folder:
        port = _free_port()
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
        with _served([*command, "--save", "", "--appendonly", "no"], folder, lambda: _answers(port)):
            yield f"redis://127.0.0.1:{port}/0"


@contextmanager
def postgres() -> Iterator[str]:
    """Make a database on the server that Pinstripe's own ledger is measured on."""
    with databases.postgres() as server, server.database() as url:
        yield url


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="pinstripe-peer-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _served(command: list[str], folder: Path, is_ready: Callable[[], bool]) -> Iterator[None]:
    output = folder / "output.txt"
    with output.open("wb") as stream:
        process = subprocess.Popen(command, cwd="/", stdout=stream, stderr=stream)
    try:
        deadline = time.monotonic() + PATIENCE
        while not is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise Missing(f"`{' '.join(command)}` doesn't start: {output.read_text('utf-8', 'replace')[-500:]}")
            time.sleep(0.01)
        yield
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as connection:
        connection.sendall(b"PING\r\n")
        return connection.recv(64).startswith(b"+PONG")
    return False


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port
