from __future__ import annotations

import pytest

from pinstripe.setting_keys import KEYS, TABLES, hide_passwords, hide_secrets


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
    assert {"database", "tenants", "worker", "retention"} == TABLES
