from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pinstripe.setting_keys import KEYS, LINE, SCHEMA, TABLES, hide_passwords, hide_secrets

if TYPE_CHECKING:
    from tests.postgres import Postgres


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://user:pa55@host/db", "postgresql://user:***@host/db"),
        ("postgresql://user:p@ss/w:rd@host/db", "postgresql://user:***@host/db"),
        ("redis://:pa55@host", "redis://:***@host"),
        ("postgresql://host/db?password=pa55&sslmode=require", "postgresql://host/db?password=***&sslmode=require"),
        ("postgresql://user@host/db", "postgresql://user@host/db"),
        ("sqlite:////home/a:b@c/ledger.db", "sqlite:////home/a:b@c/ledger.db"),
        ("newsletter.boot:setup", "newsletter.boot:setup"),
    ],
)
def test_passwords_of_urls_are_hidden(text: str, shown: str) -> None:
    assert hide_secrets(text) == shown


def test_passwords_of_urls_in_a_text_are_hidden_and_no_more() -> None:
    told = "no answer from 'postgresql://app:pa55@db/shop?password=w0rd&sslmode=off', so ask ada@example.org?token=x"
    assert hide_passwords(told) == (
        "no answer from 'postgresql://app:***@db/shop?password=***&sslmode=off', so ask ada@example.org?token=***"
    )
    assert hide_passwords("what is your password=?password=x") == "what is your password=?password=x"


def test_every_default_is_what_its_kind_accepts() -> None:
    for key in KEYS:
        if key.default is not None:
            assert key.kind.read(key.default) == key.default


def test_names_and_variables_are_unique() -> None:
    assert len({key.name for key in KEYS}) == len({key.variable for key in KEYS}) == len(KEYS)
    assert {"database", "tenants", "worker", "server", "retention"} == TABLES


@pytest.mark.parametrize("name", ["pinstripe", "jobs_2", "_jobs", "a" * 40])
def test_a_schema_has_a_plain_name(name: str) -> None:
    assert SCHEMA.read(name) == name


@pytest.mark.parametrize(
    "name", ["", "Jobs", "2jobs", "my jobs", "jobs;drop", "jöbs", "pg_jobs", "a" * 41, "jobs\n", 7]
)
def test_what_is_no_plain_name_is_no_schema(name: object) -> None:
    with pytest.raises(ValueError, match=r"^$"):
        SCHEMA.read(name)


def test_a_word_of_sql_is_no_schema(postgres: Postgres) -> None:
    words = postgres.execute_now("select word from pg_get_keywords() where catcode in ('R', 'T')")
    assert len(words) > 90
    for (word,) in words:
        with pytest.raises(ValueError, match="a word of SQL"):
            SCHEMA.read(word)


@pytest.mark.parametrize("version", ["", " ", "1\n2", "1\x1b[0m", "1" * 101, 7])
def test_a_version_is_one_line(version: object) -> None:
    assert LINE.read("2026.11.22-3 (blue)") == "2026.11.22-3 (blue)"
    with pytest.raises(ValueError, match=r"^$"):
        LINE.read(version)
