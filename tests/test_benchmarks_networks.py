"""Hosts on a network of their own: each has its name and its link, which can be cut, and nothing of them stays."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from benchmarks.torture.networks import Network, lacking

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.torture.networks import Host

PATIENCE = 30
"""Seconds that a test waits for an answer before it gives up."""

needs_namespaces = pytest.mark.skipif(lacking() is not None, reason=str(lacking()))

# What runs on a host: it connects, says its name, then sends a line for each that it is given.
CLIENT = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as server:
    server.sendall((socket.gethostname() + "\\n").encode())
    for line in sys.stdin:
        server.sendall(line.encode())
"""

OWNER_OF_A_NETWORK = """
import sys
from benchmarks.torture.networks import Network
network = Network(2)
print(*(host.name for host in network.hosts), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def network() -> Iterator[Network]:
    network = Network(2)
    yield network
    network.remove()


def links() -> str:
    return subprocess.run(["ip", "-brief", "link"], capture_output=True, text=True, check=True).stdout


def spaces() -> str:
    return subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout


@needs_namespaces
def test_what_is_sent_over_a_cut_link_arrives_when_it_is_healed_and_nobody_is_told(network: Network) -> None:
    with socket.create_server((network.address, 0)) as server:
        server.settimeout(PATIENCE)
        port = str(server.getsockname()[1])
        for host, other in (network.hosts, reversed(network.hosts)):
            command = host.command([sys.executable, "-c", CLIENT, network.address, port])
            with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as client:
                connection, (address, _) = server.accept()
                with connection, connection.makefile() as lines:
                    assert address == host.address
                    assert lines.readline() == f"{host.name}\n"
                    host.cut()
                    assert client.stdin
                    client.stdin.write("over a cut link\n")
                    client.stdin.flush()
                    assert is_reached(other, network)
                    connection.settimeout(0.2)
                    with pytest.raises(TimeoutError):
                        connection.recv(1)
                    connection.settimeout(PATIENCE)
                    host.heal()
                    assert connection.recv(100) == b"over a cut link\n"
                    client.stdin.close()
                    assert client.wait(PATIENCE) == 0
    assert socket.gethostname() not in {host.name for host in network.hosts}


def is_reached(host: Host, network: Network) -> bool:
    with socket.create_server((network.address, 0)) as server:
        server.settimeout(PATIENCE)
        words = [sys.executable, "-c", CLIENT, network.address, str(server.getsockname()[1])]
        with subprocess.Popen(host.command(words), stdin=subprocess.DEVNULL) as client:
            connection, _ = server.accept()
            with connection:
                said = connection.recv(100).decode()
        return client.returncode == 0 and said == f"{host.name}\n"


@needs_namespaces
def test_nothing_of_it_stays(network: Network) -> None:
    names = [host.name for host in network.hosts]
    assert all(name in links() and name in spaces() for name in names)
    network.remove()
    assert not any(name in links() or name in spaces() for name in names)


@needs_namespaces
def test_a_killed_process_leaves_no_network() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER_OF_A_NETWORK],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        names = process.stdout.readline().split()
        assert len(names) == 2
        process.kill()
    while any(name in links() or name in spaces() for name in names):
        pass  # what watches over it has no other way to tell


def test_who_may_not_make_one_is_told_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1_000)
    with pytest.raises(RuntimeError, match=r"need (root|Linux's namespaces)"):
        Network(1)


@needs_namespaces
def test_a_missing_program_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert lacking() == "hosts of their own need the program ip (of the package iproute2)"
