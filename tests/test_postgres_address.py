from __future__ import annotations

import pytest

from pinstripe.errors import ConfigurationError
from pinstripe.postgres_address import PostgresAddress, read_postgres_url


def read(url: str) -> PostgresAddress:
    return read_postgres_url(url, "database.url")


def test_postgresql_with_everything() -> None:
    address = read(
        "postgres://us%40er:p%2Fw@db.example:6432/app?sslmode=require&connect_timeout=3&application_name=billing"
        "&options=-c%20search_path%3Dapp"
    )
    assert address.dsn == "postgresql://us%40er:p%2Fw@db.example:6432/app?sslmode=require"
    assert (address.user, address.host, address.port, address.name) == ("us@er", "db.example", 6432, "app")
    assert address.connect_timeout == 3
    assert dict(address.server_settings) == {"application_name": "billing", "options": "-c search_path=app"}
    assert address.shown == str(address) == "postgresql://us@er@db.example:6432/app"


def test_postgresql_with_little() -> None:
    address = read("postgresql://app@/app?host=/run/postgresql")
    assert (address.host, address.port, address.name) == ("/run/postgresql", None, "app")
    assert address.connect_timeout == 10
    assert dict(address.server_settings) == {"application_name": "pinstripe"}
    assert read("postgresql://app@h/app?connect_timeout=0").connect_timeout is None


def test_a_password_may_have_an_at_sign_and_is_never_shown() -> None:
    address = read("postgresql://app:s3c@ret@db/app")
    assert "app:s3c%40ret@db" in address.dsn
    assert "s3c" not in f"{address} {address!r} {address.shown}"


def test_two_logins_to_one_database_have_one_identity() -> None:
    urls = ["postgresql://a:1@DB/x", "postgresql://b@db:5432/x", "postgresql://db/x?user=c&sslmode=disable"]
    assert len({read(url).identity for url in urls}) == 1
    assert read("postgresql://db/y").identity != read("postgresql://db/x").identity


def test_ipv6_addresses_are_told_apart_and_from_their_ports() -> None:
    one, other = read("postgresql://[::1]:5433/x"), read("postgresql://[fe80::1]:5433/x")
    assert (one.host, one.port) == ("::1", 5433)
    assert one.identity != other.identity
    assert read("postgresql://[::1]/x").identity == read("postgresql:///x?host=::1").identity
    assert one.dsn == "postgresql://[::1]:5433/x"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://app:s3cret#x@h/d", "write it as %23"),
        ("postgresql://app:s3cret/x@h/d", "write it as %2F"),
        ("postgresql://app:1234/s3cret@h/d", "write it as %2F"),
        ("postgresql://app:s3cret@h:port/d", "expected HOST or HOST:PORT"),
        ("postgresql://app:s3cret[@h/d", "write it as %5B"),
        ("postgresql://app:s3cret\u2100@h/d", "its bytes in UTF-8"),
        ("postgresql://app:s3cret@h:65536/d", "at most 65535, found 65536"),
        ("postgresql://app:s3cret@h:1,i:99999,j/d", "at most 65535, found 99999"),
        ("postgresql://app:s3cret@/d?port=65536", "at most 65535, found 65536"),
        ("postgresql://app:s3cret@h/d?ssl=require", "unknown parameter 'ssl' in the URL; there are host"),
        ("postgresql://app:s3cret@h/d?keepalives=1", "unknown parameter 'keepalives' in the URL; there are host"),
        ("postgresql://app:s3cret@h/d?sslmode=yes", "sslmode in the URL: expected one of disable, allow"),
        ("postgresql://app:s3cret@h/d?connect_timeout=1.5", "expected whole seconds"),
        ("postgresql://app:s3cret@h/d?client_encoding=latin1", "expected utf8"),
        (f"postgresql://app:s3cret@h/{'ä' * 32}", "64 bytes; PostgreSQL keeps 63"),
    ],
)
def test_what_is_no_url_is_refused_without_its_password(url: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        read_postgres_url(url, "database.url")
    assert "database.url" in str(raised.value)
    assert message in str(raised.value)
    assert "s3cret" not in str(raised.value)
