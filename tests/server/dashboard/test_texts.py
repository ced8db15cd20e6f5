"""How values are written, and that what isn't ours is never markup."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError
from markupsafe import Markup

from pinstripe.server.dashboard import texts
from pinstripe.server.dashboard.links import url
from pinstripe.server.dashboard.rendering import PLACES, environment
from tests.server.dashboard.markup import read

ANY = st.text(st.characters())


def rendered(source: str, **values: object) -> str:
    return environment().from_string(source).render(**values)


@given(ANY)
def test_any_text_is_harmless_in_text_and_attributes(text: str) -> None:
    filters = ("", "|visible", "|cut(20)", "|first_line(20)", "|lines(20)", "|short")
    for write in filters:
        shown = rendered(f'<p title="{{{{ text{write} }}}}">{{{{ text{write} }}}}</p>', text=text)
        if write != "|lines(20)":
            node = read(shown).one("p")
            assert node.exact == node.attributes["title"]
        assert all(character.isprintable() or character in " \n\u00a0\u202f\u3000" for character in shown)


@given(ANY.filter(lambda text: "\r" not in text and "\0" not in text and text.isprintable()))
def test_a_field_sends_back_the_same(text: str) -> None:
    node = read(rendered('<input value="{{ text|exact }}">', text=text)).one("input")
    assert node.attributes["value"] == text


@given(ANY)
def test_an_address_is_ascii_and_ours(text: str) -> None:
    made = url(f"/jobs/{text}", tenant=text, none=None)
    assert made.isascii()
    assert made.startswith("/_pinstripe/jobs/")
    assert not {*"\"'<> \n"} & {*made}
    assert "none" not in made.partition("?")[2].partition("=")[0]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, texts.NOTHING),
        (0.02, "20 ms"),
        (3.21, "3.2 s"),
        (125, "2 min 5 s"),
        (timedelta(hours=5, minutes=4), "5 h 4 min"),
        (timedelta(hours=49), "2 d 1 h"),
    ],
)
def test_spans(value: timedelta | float | None, words: str) -> None:
    assert texts.span(value) == words


def test_moments() -> None:
    at = datetime(2026, 11, 21, 21, 30, 1, 234_567, tzinfo=UTC)
    shown = read(texts.moment(at)).one("time")
    assert shown.attributes == {"datetime": "2026-11-21T21:30:01.234Z", "title": "UTC 2026-11-21 21:30:01Z"}
    assert shown.exact == "2026-11-21 21:30:01Z"
    assert texts.moment(int(at.timestamp() * 1_000_000)) == texts.moment(at)
    assert texts.moment(None) == texts.NOTHING


def test_what_is_cut_says_how_much_there_is_more() -> None:
    assert texts.cut("abcdef", 4) == "abcd… (and 2 characters more)"
    assert texts.cut("abcd", 4) == "abcd"
    assert texts.lines("a\nb<\x1b" + "x" * 1_000, 5) == Markup(
        'a\nb&lt;\\x1b…\n<span class="note">(and 1,000 characters more)</span>'
    )
    assert texts.first_line("first\nsecond") == "first…"
    assert texts.breakable("a_b/<c>") == "a_<wbr>b/<wbr>&lt;c&gt;"
    assert texts.counted(1, "run") == "1 run"
    assert texts.counted(1_000, "run") == "1,000 runs"


def test_a_value_that_is_not_there_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="nothing"):
        rendered("{{ nothing }}")


def test_each_part_has_a_key_of_its_own() -> None:
    assert len({place.key for place in PLACES}) == len({place.path for place in PLACES}) == len(PLACES)


def test_templates_are_compiled_once() -> None:
    macros = environment().get_template("base.html")
    began = perf_counter()
    assert environment().get_template("base.html") is macros
    assert perf_counter() - began < 1
