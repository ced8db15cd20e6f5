from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe.server.access.hosts import Host, Hosts, is_loopback, is_number, is_same_origin, read_host

if TYPE_CHECKING:
    import ipaddress

NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,10}(\.[a-z][a-z0-9]{0,5}){0,3}", fullmatch=True)
PORTS = st.none() | st.integers(1, 65_535)
NUMBERS = st.ip_addresses()


def written(name: str, port: int | None) -> str:
    name = f"[{name}]" if ":" in name else name
    return name if port is None else f"{name}:{port}"


@given(NAMES | NUMBERS.map(str), PORTS)
def test_a_host_is_read_as_it_is_written(name: str, port: int | None) -> None:
    assert read_host(written(name, port)) == Host(name, port)


@given(st.text(max_size=40))
def test_any_text_is_a_host_of_letters_or_none(text: str) -> None:
    found = read_host(text)
    assert found is None or (found.name == found.name.lower() and not set(found.name) & set("/@?#\\ []\r\n\0"))


@given(NAMES, NUMBERS)
def test_numbers_are_known_and_of_names_only_our_own(
    name: str, number: ipaddress.IPv4Address | ipaddress.IPv6Address
) -> None:
    hosts = Hosts(["box", "Jobs.Example.org."])
    assert hosts.knows(Host(str(number), None))
    assert hosts.knows(Host(name, None)) is (name in {"box", "jobs.example.org", "localhost"})


@given(NAMES, PORTS, NAMES, PORTS, st.sampled_from(["http", "https"]))
def test_an_origin_is_the_same_by_its_name_and_its_port(
    name: str, port: int | None, other: str, other_port: int | None, scheme: str
) -> None:
    usual = {"http": 80, "https": 443}[scheme]
    same = name == other and (port or usual) == (other_port or usual)
    assert is_same_origin(f"{scheme}://{written(other, other_port)}", Host(name, port)) is same


@pytest.mark.parametrize(
    ("name", "only_here"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("box", False),
        ("localhost.evil.example", False),
        ("", False),
    ],
)
def test_what_only_this_machine_reaches(name: str, only_here: bool) -> None:
    assert is_loopback(name) is only_here


@pytest.mark.parametrize("name", ["", "1", "127.1", "0x7f.0.0.1", "127.0.0.1.", "::g", "localhost", "1.2.3.4.5"])
def test_what_is_no_whole_number_is_a_name(name: str) -> None:
    assert not is_number(name)
