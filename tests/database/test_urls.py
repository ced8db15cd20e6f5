from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe.database.urls import SQLiteFile, dialect_of, read_url, tenant_url
from pinstripe.errors import ConfigurationError
from pinstripe.postgres_address import PostgresAddress
from pinstripe.tenants import Tenant

FOLDER = Path("/srv/app")


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
    assert isinstance(read, PostgresAddress)
    assert (read.name, read.host) == ("t_a/b?host=evil&x", "db")
    with pytest.raises(ConfigurationError, match=r"keeps 63 \(for tenant 'aaa"):
        tenant_url("postgresql://app:pw@db/t_{id}", Tenant("a" * 62), FOLDER)


def test_an_attribute_may_be_the_whole_url() -> None:
    tenant = Tenant("1", {"database_url": "sqlite:///some/../acme.db"})
    assert tenant_url("{database_url}", tenant, FOLDER) == SQLiteFile(FOLDER / "some/../acme.db", chosen=1)
    other = tenant_url("{database_url}", Tenant("2", {"database_url": "postgresql://u:s3cret@h/d"}), FOLDER)
    assert isinstance(other, PostgresAddress)
    assert other.name == "d"


@pytest.mark.parametrize("value", ["acme.db", "sqlite:///:memory:", "mysql://u:s3cret@h/d", "sqlite:///a.db?mode=rwc"])
def test_an_attribute_that_is_no_url_is_refused(value: str) -> None:
    with pytest.raises(ConfigurationError, match="the attribute 'database_url' of tenant '1'") as raised:
        tenant_url("{database_url}", Tenant("1", {"database_url": value}), FOLDER)
    assert "s3cret" not in str(raised.value)
