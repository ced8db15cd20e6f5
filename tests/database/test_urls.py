from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe.database.urls import PostgresDatabase, SQLiteFile, dialect_of, read_url, tenant_url
from pinstripe.errors import ConfigurationError
from pinstripe.tenants import Tenant

FOLDER = Path("/srv/app")


def postgres(url: str) -> PostgresDatabase:
    read = read_url(url, FOLDER, "database.url")
    assert isinstance(read, PostgresDatabase)
    return read


def file_of(template: str, tenant: Tenant) -> SQLiteFile:
    read = tenant_url(template, tenant, FOLDER)
    assert isinstance(read, SQLiteFile)
    return read


def test_the_beginning_tells_the_kind() -> None:
    assert dialect_of("sqlite:///a.db") == "sqlite"
    assert dialect_of("postgres://h/d") == dialect_of("postgresql://h/d") == "postgresql"
    assert dialect_of("{database_url}") is None


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///app.db", "/srv/app/app.db"),
        ("sqlite:///data/my app%20.db", "/srv/app/data/my app%20.db"),
        ("sqlite:////var/lib/app.db", "/var/lib/app.db"),
    ],
)
def test_a_sqlite_file_is_in_the_project_or_absolute(url: str, path: str) -> None:
    assert read_url(url, FOLDER, "database.url") == SQLiteFile(Path(path))


def test_postgresql_with_everything() -> None:
    read = postgres(
        "postgres://us%40er:p%2Fw@db.example:6432/app?sslmode=require&connect_timeout=3&application_name=billing"
        "&options=-c%20search_path%3Dapp"
    )
    assert read.dsn == "postgresql://us%40er:p%2Fw@db.example:6432/app?sslmode=require"
    assert (read.user, read.host, read.port, read.name) == ("us@er", "db.example", 6432, "app")
    assert read.connect_timeout == 3
    assert dict(read.server_settings) == {"application_name": "billing", "options": "-c search_path=app"}
    assert read.shown == str(read) == "postgresql://us@er@db.example:6432/app"


def test_postgresql_with_little() -> None:
    read = postgres("postgresql://app@/app?host=/run/postgresql")
    assert (read.host, read.port, read.name) == ("/run/postgresql", None, "app")
    assert read.connect_timeout == 10
    assert dict(read.server_settings) == {"application_name": "pinstripe"}
    assert postgres("postgresql://app@h/app?connect_timeout=0").connect_timeout is None


def test_a_password_may_have_an_at_sign_and_is_never_shown() -> None:
    read = postgres("postgresql://app:s3c@ret@db/app")
    assert "app:s3c%40ret@db" in read.dsn
    assert "s3c" not in f"{read} {read!r} {read.shown}"


def test_two_logins_to_one_database_have_one_identity() -> None:
    urls = ["postgresql://a:1@DB/x", "postgresql://b@db:5432/x", "postgresql://db/x?user=c&sslmode=disable"]
    assert len({postgres(url).identity for url in urls}) == 1
    assert postgres("postgresql://db/y").identity != postgres("postgresql://db/x").identity


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://app:s3cret#x@h/d", "write it as %23"),
        ("postgresql://app:s3cret/x@h/d", "write it as %2F"),
        ("postgresql://app:1234/s3cret@h/d", "write it as %2F"),
        ("postgresql://app:s3cret@h:port/d", "expected HOST or HOST:PORT"),
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
        read_url(url, FOLDER, "database.url")
    assert "database.url" in str(raised.value)
    assert message in str(raised.value)
    assert "s3cret" not in str(raised.value)


NAMES = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1, max_size=12)


@given(NAMES, NAMES)
def test_no_tenant_leaves_the_folder_nor_meets_another(one: str, other: str) -> None:
    paths = set()
    for id_ in {one, other}:
        if id_.startswith("."):
            with pytest.raises(ConfigurationError, match="begins with a dot"):
                file_of("sqlite:///tenants/{id}.db", Tenant(id_))
            paths.add(Path(id_))
        else:
            path = file_of("sqlite:///tenants/{id}.db", Tenant(id_)).path
            assert path.parent == Path("/srv/app/tenants")
            paths.add(path)
    assert len(paths) == len({one, other})


@pytest.mark.parametrize(
    ("template", "value", "path", "chosen"),
    [
        ("sqlite:///tenants/{id}.db", "a/b", "/srv/app/tenants/a%2Fb.db", 1),
        ("sqlite:////data/{id}/db.sqlite", "it's 100%", "/data/it%27s%20100%25/db.sqlite", 2),
        ("sqlite:///t{id}.db", "../../etc", "/srv/app/t..%2F..%2Fetc.db", 1),
        ("sqlite:///.t{id}.db", ".", "/srv/app/.t..db", 1),
    ],
)
def test_values_are_quoted_in_files(template: str, value: str, path: str, chosen: int) -> None:
    assert file_of(template, Tenant(value)) == SQLiteFile(Path(path), chosen)


@pytest.mark.parametrize(
    ("template", "value", "message"),
    [
        ("sqlite:///tenants/{id}/x.db", "..", "begins with a dot"),
        ("sqlite:///tenants/.{id}/x.db", ".", "begins with a dot"),
        ("sqlite:///tenants/{id}", ".hidden", "begins with a dot"),
        ("sqlite:///tenants/{id}.db", "a" * 253, "256 bytes"),
        ("sqlite:///tenants/{id}.db", "ü" * 50, "303 bytes"),
        ("sqlite:///tenants/{id}", "acme-wal", "that SQLite keeps beside another"),
    ],
)
def test_names_that_are_no_place_for_a_file_are_refused(template: str, value: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        file_of(template, Tenant(value))


def test_values_are_quoted_in_a_url_of_postgresql() -> None:
    read = tenant_url("postgresql://app:pw@db/t_{id}", Tenant("a/b?host=evil&x"), FOLDER)
    assert isinstance(read, PostgresDatabase)
    assert (read.name, read.host) == ("t_a/b?host=evil&x", "db")
    with pytest.raises(ConfigurationError, match=r"keeps 63 \(for tenant 'aaa"):
        tenant_url("postgresql://app:pw@db/t_{id}", Tenant("a" * 62), FOLDER)


def test_an_attribute_may_be_the_whole_url() -> None:
    tenant = Tenant("1", {"database_url": "sqlite:///some/../acme.db"})
    assert tenant_url("{database_url}", tenant, FOLDER) == SQLiteFile(FOLDER / "some/../acme.db", chosen=1)
    other = tenant_url("{database_url}", Tenant("2", {"database_url": "postgresql://u:s3cret@h/d"}), FOLDER)
    assert isinstance(other, PostgresDatabase)
    assert other.name == "d"


@pytest.mark.parametrize("value", ["acme.db", "sqlite:///:memory:", "mysql://u:s3cret@h/d", "sqlite:///a.db?mode=rwc"])
def test_an_attribute_that_is_no_url_is_refused(value: str) -> None:
    with pytest.raises(ConfigurationError, match="the attribute 'database_url' of tenant '1'") as raised:
        tenant_url("{database_url}", Tenant("1", {"database_url": value}), FOLDER)
    assert "s3cret" not in str(raised.value)
