from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe.server.access.bearers import bearers_of, make_bearer
from pinstripe.server.access.identity import Access, Role
from pinstripe.server.access.sessions import begin_session, form_token_of, new_nonce, read_session
from tests.server.access.conftest import OTHER, READ, TOKEN, settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.server.access.conftest import Gate

BEARERS = bearers_of(settings())
NOW = 1_800_000_000_000_000


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def test_a_session_is_whose_token_began_it_until_its_end() -> None:
    for bearer in BEARERS:
        cookie = begin_session(bearer, NOW + 1)
        session = read_session(cookie, BEARERS, NOW)
        assert session is not None
        assert (session.access, session.ends) == (bearer.access, NOW + 1)
        assert read_session(cookie, BEARERS, NOW + 1) is None


def test_no_two_sessions_are_the_same() -> None:
    cookies = [begin_session(BEARERS[0], NOW + 1) for _ in range(3)]
    tokens = {session.form_token for cookie in cookies if (session := read_session(cookie, BEARERS, NOW))}
    assert len(set(cookies)) == len(tokens) == 3


def test_a_cookie_has_no_secret_in_it() -> None:
    said, _ = begin_session(BEARERS[0], NOW).split(".")
    name, ends, nonce = json.loads(decoded(said))
    assert (name, ends, len(nonce)) == ("operator", NOW, 32)


def test_a_session_ends_with_its_token_its_role_and_its_tenants() -> None:
    cookie = begin_session(BEARERS[2], NOW + 1)
    assert read_session(cookie, bearers_of(settings()), NOW) is not None, "another server, or another start"
    for entry in (
        f"support:operate:acme globex:{OTHER}",
        "support:read:acme globex:for-those-who-support-acme",
        "support:operate:acme:for-those-who-support-acme",
        "helpers:operate:acme globex:for-those-who-support-acme",
    ):
        assert read_session(cookie, bearers_of(settings(tokens=(entry,))), NOW) is None
    assert read_session(cookie, bearers_of(settings(tokens=())), NOW) is None


def test_who_may_read_makes_no_session_of_who_may_act() -> None:
    """One who knows the read token has its key, and nobody else's."""
    forged = begin_session(make_bearer(Access("operator", Role.OPERATE), READ), NOW + 1)
    assert read_session(forged, BEARERS, NOW) is None
    said, _ = begin_session(BEARERS[0], NOW + 1).split(".")
    _, signature = begin_session(BEARERS[1], NOW + 1).split(".")
    assert read_session(f"{said}.{signature}", BEARERS, NOW) is None


def test_what_a_session_says_is_its_own_bearer_s_name() -> None:
    own = make_bearer(Access("operator", Role.READ), READ)._replace(key=BEARERS[1].key)
    assert read_session(begin_session(own, NOW + 1), BEARERS, NOW) is None


@given(st.data())
def test_a_cookie_that_was_changed_anywhere_is_none(data: st.DataObject) -> None:
    cookie = begin_session(BEARERS[1], NOW + 1)
    at = data.draw(st.integers(0, len(cookie) - 1))
    letter = data.draw(st.sampled_from("ABCDEFGHijklmnop0123456789-_.=+/ \0ä").filter(lambda one: one != cookie[at]))
    assert read_session(cookie[:at] + letter + cookie[at + 1 :], BEARERS, NOW) is None


@given(st.text(max_size=300))
def test_any_other_text_is_no_session(text: str) -> None:
    assert read_session(text, BEARERS, NOW) is None


@pytest.mark.parametrize("cookie", ["", ".", "..", "a.b.c", "A" * 100_000, encoded(b"[]") + "." + encoded(b"x" * 32)])
def test_nonsense_is_no_session(cookie: str) -> None:
    assert read_session(cookie, BEARERS, NOW) is None


def test_an_end_that_was_put_off_is_none() -> None:
    said, signature = begin_session(BEARERS[0], NOW).split(".")
    name, ends, nonce = json.loads(decoded(said))
    later = encoded(json.dumps([name, ends + 10**12, nonce], separators=(",", ":")).encode())
    assert read_session(f"{later}.{signature}", BEARERS, NOW - 1) is None


def test_form_tokens_are_of_a_nonce_and_a_name() -> None:
    one, other = new_nonce(), new_nonce()
    tokens = {form_token_of(nonce, name) for nonce in (one, other) for name in ("", "ada", "bob")}
    assert len(tokens) == 6
    assert one not in "".join(tokens)


@pytest.mark.anyio
async def test_of_several_cookies_of_the_name_the_right_one_counts(make_gate: Callable[..., Gate]) -> None:
    gate = make_gate()
    right = gate.cookie()
    name = right.partition("=")[0]
    assert (await gate.ask("/", cookie=f"a=b; {name}=wrong; {right}; {name}=")).status_code == 200
    assert (await gate.ask("/", cookie="; ".join([*[f"{name}=wrong"] * 5, right]))).status_code == 303
    assert (await gate.ask("/", cookie=f"x={'y' * 20_000}; {right}")).status_code == 303
    assert (await gate.ask("/", cookie=right.replace("_3000", "_3001"))).status_code == 303
    assert (await gate.ask("/", cookie=right.replace("_3000", ""), host="localhost")).status_code == 200


@pytest.mark.anyio
async def test_a_session_of_one_token_is_nobody_elsewhere(make_gate: Callable[..., Gate]) -> None:
    cookie = make_gate().cookie("operator")
    other = make_gate(token=OTHER, read_token=TOKEN)
    assert (await other.ask("/", cookie=cookie)).status_code == 303
