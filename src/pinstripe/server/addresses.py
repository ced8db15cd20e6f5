"""The addresses that the server listens at: read from `--host`, and bound before anything else starts."""

from __future__ import annotations

import errno
import re
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

from pinstripe.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HOST = "127.0.0.1"
"""The host of an address that names none: this machine, and nobody beyond it, reaches it."""

PORT = 3000
"""The port of an address that names none."""

BACKLOG = 2048
"""How many connections may wait to be accepted, also while the server starts anew."""

EXPECTED = "expected HOST:PORT such as 127.0.0.1:3000, localhost:3000, 0.0.0.0:80, [::1]:3000 or :3000"

_MAX_PORT = 65_535

_WRITTEN = re.compile(r"(?P<host>\[[^\[\]]*\]|[^\[\]:]*)(?::(?P<port>[0-9]{1,5}))?")

_HOST_NAME = re.compile(r"(?=.{1,253}\Z)[^\W_][^\s/@?#\[\]:,]*")

_UNABLE = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
"""What a machine answers that has no such address, or no such kind of addresses."""


class Address(NamedTuple):
    """Where to listen: a `host`, by name or number, and a `port`; 0 is one that the system chooses."""

    host: str
    port: int

    def __str__(self) -> str:
        """Write it as it stands in a URL."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Listener(NamedTuple):
    """An address that is listened at, with the port that it has got, and its sockets: a name may have several."""

    address: Address
    sockets: tuple[socket.socket, ...]

    @property
    def url(self) -> str:
        """Where a browser finds it."""
        return f"http://{self.address}"

    @property
    def local_url(self) -> str:
        """Where a browser on this machine finds it, also where it listens at all addresses."""
        local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.address.host, self.address.host)  # noqa: S104 - compared
        return f"http://{self.address._replace(host=local)}"


def parse_address(text: str) -> Address:
    """Read an address: `HOST:PORT`, `:PORT`, or one of the two alone; what is left out is 127.0.0.1, and 3000.

    An IPv6 address stands in brackets. Raises `ConfigurationError` with the form that is expected.
    """
    found = _WRITTEN.fullmatch(f":{text}" if re.fullmatch("[0-9]+", text) else text)
    if found is None or not text:
        hint = "; an IPv6 address stands in brackets" if text.count(":") > 1 and "/" not in text else ""
        raise ConfigurationError(f"--host {text!r}: {EXPECTED}{hint}")
    port = PORT if found["port"] is None else int(found["port"])
    if port > _MAX_PORT:
        raise ConfigurationError(f"--host {text!r}: expected a port of at most 65535, got {port}")
    host = found["host"] or HOST
    if host.startswith("["):
        host = host[1:-1]
        if not _is_ipv6(host):
            raise ConfigurationError(f"--host {text!r}: expected an IPv6 address in the brackets, got {host!r}")
    elif not _HOST_NAME.fullmatch(host):
        raise ConfigurationError(f"--host {text!r}: {EXPECTED}")
    return Address(host, port)


def listen(addresses: Iterable[Address]) -> list[Listener]:
    """Listen at all addresses, or at none.

    Raises `ConfigurationError` where one can't be had, with the reason and the remedy; the others are closed then. An
    address that stands there twice is listened at once.
    """
    with ExitStack() as undo:
        taken: set[Any] = set()
        listeners = []
        for address in addresses:
            sockets: list[socket.socket] = []
            undo.callback(_close, sockets)
            port = _listen(address, taken, sockets)
            if sockets:
                listeners.append(Listener(address._replace(port=port), tuple(sockets)))
        undo.pop_all()
    return listeners


def _listen(address: Address, taken: set[Any], sockets: list[socket.socket]) -> int:
    """Add to `sockets` one for each of the numbers that a host has; give their port."""
    port, unable = address.port, None
    for family, numbers in _resolve(address):
        place = (numbers[0], port, *numbers[2:])
        if port and (family, place) in taken:
            continue
        try:
            sockets.append(_bind(family, place))
        except OSError as error:
            # A name may have numbers of a kind that this machine doesn't have: "localhost" without IPv6.
            if error.errno == errno.EADDRINUSE and (other := _covering(family, place, taken)):
                raise ConfigurationError(
                    f"--host {address}: this command listens there by --host {other} already: 0.0.0.0 and [::] are all "
                    "addresses of this machine; leave one of the two out"
                ) from error
            if error.errno not in _UNABLE:
                raise _refusal(address, port, error) from error
            unable = error
            continue
        port = port or int(sockets[-1].getsockname()[1])
        taken.add((family, (numbers[0], port, *numbers[2:])))
    if unable is not None and not sockets:
        raise _refusal(address, port, unable) from unable
    return port


def _covering(family: int, place: Any, taken: Iterable[Any]) -> Address | None:
    """Find the address, of those `taken` by this command, that can't be had beside `place`."""
    for kind, (host, port, *_) in taken:
        if kind == family and port == place[1] and {host, place[0]} & {"0.0.0.0", "::"}:  # noqa: S104 - compared only
            return Address(host, port)
    return None


def _resolve(address: Address) -> Sequence[tuple[int, Any]]:
    try:
        found = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_ADDRCONFIG
        )
    except (socket.gaierror, UnicodeError):
        try:  # without an address of its own beside the loopback's, AI_ADDRCONFIG knows none at all
            found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ConfigurationError(
                f"--host {address}: unknown host {address.host!r} ({reason}); name one of this machine's addresses, "
                "or 0.0.0.0 for all of them"
            ) from error
    return list(dict.fromkeys((int(family), numbers) for family, _, _, _, numbers in found))


def _bind(family: int, place: Any) -> socket.socket:
    # Of a connection to a socket that doesn't say it is TCP's, asyncio leaves Nagle's algorithm on: an answer in two
    # parts, the head and the body, then takes 40 ms.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # else a server can't start again for a minute
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # [::] and 0.0.0.0 are two addresses
        made.bind(place)
        made.listen(BACKLOG)
    except BaseException:
        made.close()
        raise
    return made


def _refusal(address: Address, port: int, error: OSError) -> ConfigurationError:
    match error.errno:
        case errno.EADDRINUSE:
            reason = (
                f"the address is in use: end what listens there (`ss -ltnp 'sport = :{port}'` or `lsof -i :{port}` "
                "shows it), or choose another with --host"
            )
        case errno.EACCES | errno.EPERM:
            reason = (
                "the system doesn't let this user listen there, as with ports below 1024: choose a higher one, such as "
                f"{address._replace(port=PORT)}, and put a proxy before it"
            )
        case errno.EADDRNOTAVAIL | errno.EAFNOSUPPORT:
            reason = "this machine has no such address: name one of its own, or 0.0.0.0 for all of them"
        case _:
            reason = f"it can't be listened at ({error.strerror or error})"
    return ConfigurationError(f"--host {address}: {reason}")


def _is_ipv6(text: str) -> bool:
    import ipaddress

    try:
        return ipaddress.ip_address(text).version == 6  # noqa: PLR2004 - the number that IPv6 has
    except ValueError:
        return False


def _close(sockets: Iterable[socket.socket]) -> None:
    for one in sockets:
        one.close()
