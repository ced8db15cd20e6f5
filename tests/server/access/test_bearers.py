from __future__ import annotations

import hmac
from typing import Any

import pytest

from pinstripe.server.access.bearers import LOCAL, bearers_of, digest_of, find_bearer, make_bearer
from pinstripe.server.access.identity import Access, Role
from tests.server.access.conftest import ACME, OTHER, READ, TOKEN, settings


def test_each_setting_makes_somebody() -> None:
    found = [bearer.access for bearer in bearers_of(settings(), OTHER)]
    assert found == [
        Access("operator", Role.OPERATE),
        Access("reader", Role.READ),
        Access("support", Role.OPERATE, frozenset({"acme", "globex"})),
        Access(LOCAL, Role.OPERATE),
    ]
    assert bearers_of(settings(token=None, read_token=None, tokens=())) == ()


def test_what_is_shown_of_a_bearer_has_nothing_to_use() -> None:
    for bearer in bearers_of(settings()):
        for secret in (TOKEN, READ, ACME, bearer.key.hex(), repr(bearer.key), repr(bearer.digest)):
            assert secret not in repr(bearer)


@pytest.mark.parametrize("presented", [TOKEN, READ, ACME, OTHER, "", "x" * 10_000, "\udcff", "ä"])
def test_all_tokens_are_compared_whichever_is_right(presented: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bearers, compared = bearers_of(settings()), []
    compare = hmac.compare_digest

    def count(one: Any, other: Any) -> bool:
        compared.append((len(one), len(other)))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", count)
    find_bearer(bearers, presented)
    assert compared == [(32, 32)] * len(bearers)


def test_keys_differ_by_the_token_the_name_the_role_and_the_tenants() -> None:
    made = [
        make_bearer(Access(name, role, tenants), secret).key
        for name in ("a", "b")
        for role in Role
        for tenants in (None, frozenset({"x", "y"}), frozenset({"xy"}), frozenset({"*"}))
        for secret in (TOKEN, OTHER)
    ]
    assert len(set(made)) == len(made)
    assert digest_of(TOKEN) not in made
