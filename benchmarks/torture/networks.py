"""Hosts on a network of their own: namespaces of this machine, joined by a bridge, each of which can be cut off.

See network_namespaces(7), uts_namespaces(7) and ip-netns(8). All of it goes with the process that made it.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PREFIX = "198.18"
"""Of 198.18.0.0/15, which is for benchmarks of networks and nobody's address (RFC 2544)."""

_DISABLED, _FORWARDING = 0, 3
"""In what state a port of a bridge may be: see bridge(8)."""

# It waits until the process that made the network closes the pipe, as it does also when it is killed.
_WATCHER = """
cat > /dev/null
bridge=$1
shift
for host; do
    ip link del "$host" 2> /dev/null
    ip netns del "$host" 2> /dev/null
done
ip link del "$bridge" 2> /dev/null
"""


def lacking() -> str | None:
    """Tell what is lacking here to make one; None where nothing is."""
    if os.name != "posix" or not os.path.isdir("/proc/self/ns"):  # noqa: PTH112 - it is one question
        return "hosts of their own need Linux's namespaces"
    if os.geteuid() != 0:
        return "hosts of their own need root, to make namespaces"
    for program, package in (("ip", "iproute2"), ("bridge", "iproute2"), ("unshare", "util-linux")):
        if shutil.which(program) is None:
            return f"hosts of their own need the program {program} (of the package {package})"
    probe = subprocess.run(["unshare", "--net", "--uts", "true"], capture_output=True, text=True, check=False)
    return f"hosts of their own need namespaces: {probe.stderr.strip()}" if probe.returncode else None


class Host(NamedTuple):
    """One host: a network and a host name of its own."""

    name: str
    address: str

    def command(self, words: Sequence[str]) -> list[str]:
        """Give the command line that executes this one there, in the process that is started."""
        inside = ["unshare", "--uts", "sh", "-c", f'hostname {self.name} && exec "$@"', "sh", *words]
        return ["ip", "netns", "exec", self.name, *inside]

    def variables(self, given: Mapping[str, str]) -> Mapping[str, str]:
        """Give the variables as they are."""
        return given

    def cut(self) -> None:
        """Lose every packet from now on, both ways, without telling anyone: neither end sees its link go down."""
        self._set(_DISABLED)

    def heal(self) -> None:
        """Let packets through again."""
        self._set(_FORWARDING)

    def _set(self, state: int) -> None:
        _run("bridge", "link", "set", "dev", self.name, "state", str(state))


class Network:
    """A bridge with hosts, made with the object; this machine is on it too, at `address`."""

    def __init__(self, hosts: int) -> None:
        """Make so many hosts.

        Raises:
            RuntimeError: it can't be made here; the message says what is lacking.

        """
        if (fault := lacking()) is not None:
            raise RuntimeError(fault)
        self._bridge = f"pin-{secrets.token_hex(3)}"  # the name of a link has 15 characters at most
        subnet = f"{_PREFIX}.{secrets.randbelow(256)}"
        self.address = f"{subnet}.1"
        self.hosts = [Host(f"{self._bridge}-{number}", f"{subnet}.{number + 2}") for number in range(hosts)]
        self._watcher = subprocess.Popen(
            ["/bin/sh", "-c", _WATCHER, "sh", self._bridge, *(host.name for host in self.hosts)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # what is typed into the terminal doesn't reach it
        )
        try:
            self._make()
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        """Remove it, whoever still runs on its hosts."""
        if self._watcher.stdin is not None:
            with suppress(BrokenPipeError):
                self._watcher.stdin.close()
        self._watcher.wait()

    def _make(self) -> None:
        _run("ip", "link", "add", self._bridge, "type", "bridge")
        _run("ip", "address", "add", f"{self.address}/24", "dev", self._bridge)
        _run("ip", "link", "set", self._bridge, "up")
        for host in self.hosts:
            _run("ip", "netns", "add", host.name)
            _run("ip", "link", "add", host.name, "type", "veth", "peer", "name", "eth0", "netns", host.name)
            _run("ip", "link", "set", host.name, "master", self._bridge, "up")
            _run("ip", "-n", host.name, "address", "add", f"{host.address}/24", "dev", "eth0")
            for link in ("lo", "eth0"):
                _run("ip", "-n", host.name, "link", "set", link, "up")


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"expected `{' '.join(words)}` to succeed, it said: {done.stderr.strip()}")
