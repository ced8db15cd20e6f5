from __future__ import annotations

import asyncio
import os
import socket
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pinstripe.errors import ConfigurationError
from pinstripe.server.addresses import Address, Listener, listen, parse_address

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def listening(*hosts: str) -> Iterator[list[Listener]]:
    listeners = listen([parse_address(host) for host in hosts])
    try:
        yield listeners
    finally:
        for listener in listeners:
            for one in listener.sockets:
                one.close()


def has_ipv6() -> bool:
    try:
        with closing(socket.socket(socket.AF_INET6)) as one:
            one.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:3000", ("127.0.0.1", 3000)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        ("localhost:3000", ("localhost", 3000)),
        ("[::1]:3000", ("::1", 3000)),
        ("[fe80::1%eth0]:80", ("fe80::1%eth0", 80)),
        (":8000", ("127.0.0.1", 8000)),
        ("8000", ("127.0.0.1", 8000)),
        ("0", ("127.0.0.1", 0)),
        ("web-1.example.org", ("web-1.example.org", 3000)),
        ("[::]", ("::", 3000)),
        ("127.0.0.1:65535", ("127.0.0.1", 65535)),
    ],
)
def test_what_an_address_leaves_out_is_this_machine_and_port_3000(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        *("", ":", "localhost:", "localhost:http", "a:1:2", "http://localhost:3000", "localhost:3000/", "a b:1"),
        *("[::1", "[]:80", "[localhost]:80", "[::1]80", "localhost:123456", "user@host:80", "[127.0.0.1]:80", "-1"),
    ],
)
def test_what_is_no_address_is_refused_with_the_form_that_is_expected(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^--host '.*': expected ") as refused:
        parse_address(text)
    assert repr(text) in str(refused.value)


@pytest.mark.parametrize("text", ["::1", "::1:3000", "fe80::1"])
def test_an_ipv6_address_without_brackets_may_mean_two_things(text: str) -> None:
    with pytest.raises(ConfigurationError, match="an IPv6 address stands in brackets"):
        parse_address(text)


@pytest.mark.parametrize("text", ["localhost:65536", "99999", "[::1]:70000"])
def test_a_port_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"65535|such as"):
        parse_address(text)


def test_an_address_is_written_as_in_a_url() -> None:
    assert Listener(Address("::1", 80), ()).url == "http://[::1]:80"
    assert Listener(Address("localhost", 3000), ()).url == "http://localhost:3000"


def test_port_0_is_one_that_the_system_chooses() -> None:
    with listening("127.0.0.1:0", "127.0.0.1:0") as (one, other):
        assert one.address.port
        assert one.address.port != other.address.port
        with closing(socket.create_connection(one.address)):
            pass


def test_each_number_of_a_name_is_listened_at_under_one_port() -> None:
    with listening("localhost:0") as (listener,):
        assert {one.getsockname()[1] for one in listener.sockets} == {listener.address.port}
        numbers = {one.getsockname()[0] for one in listener.sockets}
        assert numbers in ({"127.0.0.1"}, {"127.0.0.1", "::1"})


def test_ipv6() -> None:
    if not has_ipv6():
        pytest.skip("this machine has no IPv6")
    with listening("[::1]:0") as (listener,):
        assert listener.url == f"http://[::1]:{listener.address.port}"
        with closing(socket.create_connection(("::1", listener.address.port))):
            pass
        with listening(f"127.0.0.1:{listener.address.port}"):  # another address, of the same port
            pass


def test_an_address_that_is_given_twice_is_listened_at_once() -> None:
    with listening("127.0.0.1:0") as (listener,):
        port = listener.address.port
    with listening(f"127.0.0.1:{port}", f":{port}") as listeners:
        assert [str(one.address) for one in listeners] == [f"127.0.0.1:{port}"]


def test_an_address_in_use_is_named_and_the_others_are_closed() -> None:
    with listening("127.0.0.1:0", "127.0.0.1:0") as (held, free):
        taken, other = str(held.address), str(free.address)
        free.sockets[0].close()
        with pytest.raises(ConfigurationError, match=f"^--host {taken}: the address is in use: .*--host"):
            listen([parse_address(other), parse_address(taken)])
        with listening(other):
            pass


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"^--host 192\.0\.2\.1:80: this machine has no such address"):
        listen([Address("192.0.2.1", 80)])


@pytest.mark.parametrize("host", ["no-such-host.invalid", "x" * 64 + ".invalid"])
def test_an_unknown_host_is_refused(host: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^--host {host}:80: unknown host '{host}'"):
        listen([Address(host, 80)])


def test_a_port_that_the_system_keeps_for_others_is_refused() -> None:
    first = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    if os.geteuid() == 0 or (first.exists() and int(first.read_text()) < 80):
        pytest.skip("this user may listen everywhere")
    with pytest.raises(ConfigurationError, match=r"doesn't let this user listen there.*127\.0\.0\.1:3000"):
        listen([Address("127.0.0.1", 79)])


@pytest.mark.parametrize("hosts", [("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "0.0.0.0")])
def test_all_addresses_beside_one_of_them_are_refused_as_this_command_s_own(hosts: tuple[str, str]) -> None:
    with listening("127.0.0.1:0") as (held,):
        port = held.address.port
        held.sockets[0].close()
        first, second = (Address(host, port) for host in hosts)
        with pytest.raises(ConfigurationError, match=f"^--host {second}: this command listens there by --host {first}"):
            listen([first, second])


@pytest.mark.anyio
async def test_no_answer_waits_for_the_one_before_it_to_be_acknowledged() -> None:
    told = asyncio.get_running_loop().create_future()

    def accepted(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    (listener,) = listen([Address("127.0.0.1", 0)])
    async with await asyncio.start_server(accepted, sock=listener.sockets[0]):
        _, writer = await asyncio.open_connection("127.0.0.1", listener.address.port)
        assert await told
        writer.close()
