from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe.queue import Pause
from pinstripe.views.pauses import Scope, since

SCOPES = st.builds(Scope, st.sampled_from([None, "greet", "hello"]), st.sampled_from([None, "acme", "globex"]))


@pytest.mark.parametrize(
    ("scope", "words", "options"),
    [
        (Scope(), "everything", ["--all"]),
        (Scope("greet"), "job greet", ["--job", "greet"]),
        (Scope(None, "acme"), "tenant acme", ["--tenant", "acme"]),
        (Scope("greet", "\x1b[2J"), r"job greet for tenant \x1b[2J", ["--job", "greet", "--tenant", "\x1b[2J"]),
    ],
)
def test_a_scope_is_named_in_words_and_by_options(scope: Scope, words: str, options: list[str]) -> None:
    assert (scope.in_words(), scope.options()) == (words, options)


@given(SCOPES, SCOPES)
def test_what_covers_another_meets_it_and_what_meets_it_has_something_in_common(one: Scope, other: Scope) -> None:
    assert one.meets(other) == other.meets(one)
    assert not one.covers(other) or one.meets(other)
    common = [
        Scope(job, tenant)
        for job in ("greet", "hello", "boom")
        for tenant in ("acme", "globex", "initech")
        if one.covers(Scope(job, tenant)) and other.covers(Scope(job, tenant))
    ]
    assert one.meets(other) == bool(common)


@given(SCOPES, SCOPES)
def test_only_equal_ones_cover_each_other(one: Scope, other: Scope) -> None:
    assert (one.covers(other) and other.covers(one)) == (one == other)


def test_a_pause_is_written_with_the_time_it_began_at() -> None:
    assert since(Pause(None, "acme", 0)) == "tenant acme, since 1970-01-01 00:00:00Z"
