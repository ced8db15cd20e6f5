"""Where values stand in a column: asking for the bound is asking for the value, whatever the column holds."""

from __future__ import annotations

import operator
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Double, String

from pinstripe.database.column_values import Bound, after_prefix, find_bound

NUMBERS: st.SearchStrategy[Any] = st.one_of(
    st.integers(),
    st.floats(allow_nan=False),
    st.decimals(allow_nan=False),
    st.fractions(),
    st.sampled_from([Decimal("1E+999999"), Decimal("-1E+999999"), Decimal("1E-999999"), 10**400, 2**63, -(2**63) - 1]),
)
ORDERS = {"lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge}


def assert_stands(bound: Bound, value: Any, held: Any) -> None:
    """Compare what a column holds with the bound, as conditions do, and with the value itself."""
    assert (bound.exact and held == bound.first) == (held == value)
    for name, holds in ORDERS.items():
        if bound.first is None:
            answer = name in ("lt", "le")
        elif bound.exact:
            answer = holds(held, bound.first)
        else:
            answer = held < bound.first if name in ("lt", "le") else held >= bound.first
        assert answer == holds(held, value), name


@given(NUMBERS, st.integers(-(2**63), 2**63 - 1))
@example(Decimal("2.5"), 2)
@example(2**63, 2**63 - 1)
@example(float("-inf"), -(2**63))
def test_a_number_stands_among_whole_ones(value: Any, held: int) -> None:
    assert_stands(find_bound(value, BigInteger(), "sqlite"), value, held)


@given(NUMBERS, st.floats(allow_nan=False))
@example(Decimal("0.3"), 0.3)
@example(Decimal("-0.3"), -0.3)
@example(Fraction(1, 3), 1 / 3)
@example(10**400, 1.7e308)
@example(10**400, float("inf"))
@example(-(10**400), float("-inf"))
@example(Decimal("1E+999999"), float("inf"))
@example(Decimal("-1E+999999"), float("-inf"))
def test_a_number_stands_among_fractions(value: Any, held: float) -> None:
    assert_stands(find_bound(value, Double(), "sqlite"), value, held)


ANY_TEXT = st.text(alphabet=st.characters() | st.sampled_from("\0\ud800\udfffa"), max_size=4)
HELD = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=4)


@given(ANY_TEXT, HELD)
@example("a\0b", "a")
@example("a\0", "a\x01")
@example("\ud800", "a")
@example("\udfff", "\ue000")
@example("a\ud800", "a\ud7ff")
def test_a_text_stands_among_those_that_a_database_holds(value: str, held: str) -> None:
    assert_stands(find_bound(value, String(), "postgresql"), value, held)


@given(HELD.filter(bool), HELD)
@example("\ud7ff", "\ud7ff\U0010ffff")
@example("a\U0010ffff", "b")
@example("\U0010ffff", "\U0010ffffa")
def test_what_begins_with_a_text_is_a_range(prefix: str, held: str) -> None:
    above = after_prefix(prefix)
    for one in (held, prefix + held):
        assert (one >= prefix and (above is None or one < above)) == one.startswith(prefix)
