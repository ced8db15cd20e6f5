"""By which names the server may be reached: a page elsewhere whose name is turned to this machine gets nothing."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

_WRITTEN = re.compile(
    r"(?:\[(?P<number>[0-9A-Fa-f:.]{2,45})\]|(?P<name>[A-Za-z0-9._-]{1,253}))(?::(?P<port>[0-9]{1,5}))?"
)

_PORTS = {"http": 80, "https": 443}


class Host(NamedTuple):
    """What a `Host` header says: a `name`, in lower case, and a `port` where there is one."""

    name: str
    port: int | None


class Hosts:
    """Tells whether a name is one of the server's own."""

    def __init__(self, names: Iterable[str]) -> None:
        """Take the names besides `localhost` and all numbers: nobody else can turn those to another machine."""
        self._names = {"localhost", *(name.lower().removesuffix(".") for name in names)}

    def knows(self, host: Host) -> bool:
        """Tell whether the server is reached by that name."""
        return host.name in self._names or is_number(host.name)


def read_host(written: str) -> Host | None:
    """Read a `Host` header; None for what is none."""
    found = _WRITTEN.fullmatch(written)
    if found is None:
        return None
    name = (found["number"] or found["name"]).lower().removesuffix(".")
    return Host(name, None if found["port"] is None else int(found["port"]))


def is_same_origin(origin: str, host: Host) -> bool:
    """Tell whether an `Origin` header is of the host that the request is for.

    The scheme isn't compared: a proxy may have taken TLS away. Its port is what counts where none is written.
    """
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return False
    usual = _PORTS.get(parts.scheme)
    if usual is None or parts.hostname is None or parts.path or parts.query or parts.fragment or parts.username:
        return False
    name = parts.hostname.lower().removesuffix(".")
    return name == host.name and (port or usual) == (host.port or usual)


def is_loopback(name: str) -> bool:
    """Tell whether only this machine reaches an address."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def is_number(name: str) -> bool:
    """Tell an address by its number from one by a name."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
