from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pinstripe.config import describe_settings, load_settings
from pinstripe.errors import ConfigurationError
from pinstripe.tokens import hide_tokens, parse_token, read_hosts, read_secret, read_tokens

if TYPE_CHECKING:
    from tests.conftest import ProjectFolder

SECRET = "s3cr3t-s3cr3t-s3cr3t:s3cr3t"


def test_an_entry_has_a_name_a_role_tenants_and_a_secret() -> None:
    assert parse_token(f"ci:operate:*:{SECRET}") == ("ci", "operate", None, SECRET)
    assert parse_token(f"a%3Ab%2C%25:read: acme  gl%20obex %2A :{SECRET}") == (
        "a:b,%",
        "read",
        frozenset({"acme", "gl obex", "*"}),
        SECRET,
    )


def test_an_entry_is_shown_without_its_secret() -> None:
    assert SECRET not in repr(parse_token(f"ci:operate:*:{SECRET}"))
    assert hide_tokens([f"ci:operate:*:{SECRET}", f"a:read:b c:{SECRET}"]) == ["ci:operate:*:***", "a:read:b c:***"]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("", "four parts"),
        (SECRET, "four parts"),
        ("ci:operate:s3cr3t-s3cr3t-s3cr3t", "four parts"),
        (f":operate:*:{SECRET}", "a name of 1 to 100"),
        (f"%20:operate:*:{SECRET}", "a name of 1 to 100"),
        (f"a%0Ab:operate:*:{SECRET}", "a name of 1 to 100"),
        (f"a%1b[2J:operate:*:{SECRET}", "a name of 1 to 100"),
        (f"{'a' * 101}:operate:*:{SECRET}", "a name of 1 to 100"),
        (f"ci:admin:*:{SECRET}", "'read' or 'operate'"),
        (f"ci:s3cr3t:*:{SECRET}", "'read' or 'operate'"),
        (f"ci:read::{SECRET}", "ids parted by spaces"),
        (f"ci:read: :{SECRET}", "ids parted by spaces"),
        (f"ci:read:%ff:{SECRET}", "utf-8"),
        (f"ci:read:a,b:{SECRET}", "%2C"),
        ("ci:read:*:s3cr3t", "it has 6"),
        ("ci:read:*:s3cr3t s3cr3t s3cr3t", "a space"),
    ],
)
def test_what_is_wrong_with_an_entry_is_told_without_its_secret(
    entry: str, reason: str, project_folder: ProjectFolder
) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        parse_token(entry)
    assert "s3cr3t" not in str(caught.value)
    project_folder.configure(f"server.tokens = {['a:read:*:' + 'x' * 20, entry]}".replace("'", '"'))
    with pytest.raises(ConfigurationError, match=r"server\.tokens in .*, found '\*\*\*' \(entry 2: ") as told:
        load_settings(project_folder.path, environment={})
    assert "s3cr3t" not in str(told.value)


@pytest.mark.parametrize(
    "secret", ["", "s3cr3t", "s3cr3t-s3cr3t-s3cr3", "s3cr3t " * 5, "s3cr3t\n" * 5, "s3cr3tä" * 5, "s3cr3t" * 100]
)
@pytest.mark.parametrize("name", ["token", "read_token"])
def test_a_secret_that_is_none_is_told_by_how_to_make_one(
    secret: str, name: str, project_folder: ProjectFolder
) -> None:
    with pytest.raises(ValueError, match=r"secrets\.token_urlsafe"):
        read_secret(secret)
    if secret:
        with pytest.raises(ConfigurationError) as told:
            load_settings(project_folder.path, environment={f"PINSTRIPE_SERVER_{name.upper()}": secret})
        assert str(told.value).startswith(
            f"server.{name} from PINSTRIPE_SERVER_{name.upper()}: expected a secret of 20 to 500 characters, without "
            "spaces, found '***' (it has "
        )
        assert "s3cr3t" not in str(told.value)


@pytest.mark.parametrize("raw", [12345678901234567890, ["s3cr3t-s3cr3t-s3cr3t"], True, {"s3cr3t": "s3cr3t"}])
@pytest.mark.parametrize("name", ["server.token", "server.read_token", "server.tokens"])
def test_another_type_is_told_without_what_it_says(raw: object, name: str, project_folder: ProjectFolder) -> None:
    with pytest.raises(ConfigurationError, match="found '\\*\\*\\*'") as told:
        load_settings(project_folder.path, environment={}, flags={name: raw})
    assert "s3cr3t" not in str(told.value)
    assert "1234" not in str(told.value)


def test_a_secret_in_the_place_of_the_table_is_not_told(project_folder: ProjectFolder) -> None:
    project_folder.configure('server = "s3cr3t"')
    with pytest.raises(ConfigurationError, match="expected a table") as told:
        load_settings(project_folder.path, environment={})
    assert "s3cr3t" not in str(told.value)


def test_entries_come_through_the_environment_as_they_are(project_folder: ProjectFolder) -> None:
    entries = (f"ci:operate:*:{SECRET}", "a%2Cb:read:acme gl%2Cobex:another-one-another-one")
    settings = load_settings(project_folder.path, environment={"PINSTRIPE_SERVER_TOKENS": " , ".join(entries)})
    assert settings.server.tokens == entries
    shown = {key: value for key, value, _ in describe_settings(settings)}
    assert shown["server.tokens"] == ["ci:operate:*:***", "a%2Cb:read:acme gl%2Cobex:***"]
    assert "s3cr3t" not in repr(settings)


def test_each_setting_comes_through_the_environment_and_is_shown_hidden(project_folder: ProjectFolder) -> None:
    environment = {
        "PINSTRIPE_SERVER_TOKEN": SECRET,
        "PINSTRIPE_SERVER_READ_TOKEN": f"{SECRET}2",
        "PINSTRIPE_SERVER_HOSTS": "jobs.example.org, Other.Example.org.",
        "PINSTRIPE_SERVER_ACCESS": "web:who",
        "PINSTRIPE_SERVER_SESSION": "45m",
    }
    settings = load_settings(project_folder.path, environment=environment)
    assert (settings.server.token, settings.server.read_token) == (SECRET, f"{SECRET}2")
    shown = {key: value for key, value, _ in describe_settings(settings) if key.startswith("server.")}
    assert shown == {
        "server.token": "***",
        "server.read_token": "***",
        "server.tokens": [],
        "server.hosts": ["jobs.example.org", "other.example.org"],
        "server.access": "web:who",
        "server.session": "45m",
    }
    assert "s3cr3t" not in repr(settings)
    assert "s3cr3t" not in repr(settings.server)


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"TOKEN": SECRET, "READ_TOKEN": SECRET}, "the same; expected two secrets"),
        ({"TOKEN": SECRET, "TOKENS": f"ci:read:*:{SECRET}"}, "'ci' has the secret of 'token'"),
        ({"TOKENS": f"a:read:*:{SECRET},b:read:*:{SECRET}"}, "'b' has the secret of 'a'"),
        ({"TOKENS": f"a:read:*:{SECRET},a:read:*:{SECRET}2"}, "each name once"),
        ({"TOKENS": f"reader:read:*:{SECRET}"}, "each name once"),
    ],
)
def test_nobody_is_there_twice(environment: dict[str, str], reason: str, project_folder: ProjectFolder) -> None:
    given = {f"PINSTRIPE_SERVER_{name}": value for name, value in environment.items()}
    with pytest.raises(ConfigurationError, match=reason) as told:
        load_settings(project_folder.path, environment=given)
    assert "s3cr3t" not in str(told.value)


@pytest.mark.parametrize(
    "host", ["", "http://x", "x:80", "x/y", "*", "*.x.org", "a b", "-x", "x..y", "jöbs.org", "x" * 254, 7, None]
)
def test_a_host_is_a_plain_name(host: object) -> None:
    with pytest.raises(ValueError, match="is none"):
        read_hosts([host])


def test_hosts_are_names_as_browsers_send_them() -> None:
    assert read_hosts(["A.b-c.example.", "box", "xn--jbs-sna.org", "10.0.0.1", "_x.y"]) == (
        "a.b-c.example",
        "box",
        "xn--jbs-sna.org",
        "10.0.0.1",
        "_x.y",
    )
    assert read_tokens([]) == ()


@pytest.mark.parametrize("session", ["0s", "59s", "31d", "12", "later", 7])
def test_a_session_has_bounds(session: object, project_folder: ProjectFolder) -> None:
    with pytest.raises(ConfigurationError, match=r"server\.session as a flag: expected a duration from 1m to 30d"):
        load_settings(project_folder.path, environment={}, flags={"server.session": session})
