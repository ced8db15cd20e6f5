"""The servers that peers need, each in a folder of its own on disk; they end with their block."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from benchmarks.peers.environments import Missing

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
    """Make a database on the server of `PINSTRIPE_TEST_POSTGRES`, or on one that is started with default settings."""
    from tests.postgres_server import Account, find_programs

    chosen = os.environ.get("PINSTRIPE_TEST_POSTGRES", "")
    if "://" in chosen:
        with _database(chosen) as url:
            yield url
        return
    with _folder() as folder:
        try:
            account = Account.for_server()
            programs = find_programs("wheel" if chosen == "wheel" else None, account, folder)
        except RuntimeError as error:
            raise Missing(str(error)) from error
        data, port = folder / "data", _free_port()
        for place in (folder, data):
            place.mkdir(exist_ok=True)
            account.own(place)
        make = [str(programs / "initdb"), "-D", str(data), "-U", "postgres", "--auth", "trust", "--encoding", "UTF8"]
        subprocess.run(make, check=True, capture_output=True, cwd="/", **account.options)
        command = [str(programs / "postgres"), "-D", str(data), "-p", str(port), "-k", str(folder)]
        url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        with _served([*command, "-h", "127.0.0.1"], folder, lambda: _connects(url), **account.options):
            yield url


@contextmanager
def _database(url: str) -> Iterator[str]:
    name = f"pinstripe_benchmark_{secrets.token_hex(4)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'create database "{name}"'.encode())
        try:
            parted = url.split("/")
            yield "/".join([*parted[:3], name])
        finally:
            connection.execute(f'drop database "{name}" with (force)'.encode())


@contextmanager
def _folder() -> Iterator[Path]:
    # A socket's path has 107 bytes at most, and the folder that TMPDIR names may be a long way down.
    folder = Path(tempfile.mkdtemp(prefix="pinstripe-peer-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _served(command: list[str], folder: Path, is_ready: Callable[[], bool], **account: Any) -> Iterator[None]:
    output = folder / "output.txt"
    with output.open("wb") as stream:
        process = subprocess.Popen(command, cwd="/", stdout=stream, stderr=stream, **account)
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


def _connects(url: str) -> bool:
    with suppress(psycopg.OperationalError), psycopg.connect(url):
        return True
    return False


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port
