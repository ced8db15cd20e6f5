"""A cursor says where its own list goes on, and nothing else is one."""

from __future__ import annotations

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pinstripe.server.api.cursors import NotACursor, Position, read_cursor, write_cursor

POSITIONS = st.one_of(
    st.integers(0, 2**63 - 1), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
)
LISTS = st.dictionaries(st.sampled_from(["list", "job", "status"]), st.none() | st.text(max_size=3))


@given(POSITIONS, LISTS)
def test_what_was_written_is_read_for_the_same_list(position: Position, of: dict[str, object]) -> None:
    cursor = write_cursor(position, of)
    assert cursor.isascii()
    assert not set(cursor) & set("+/= ")
    assert read_cursor(cursor, of, type(position)) == position
    assert read_cursor(cursor, {**of, "other": None}, type(position)) == position


@given(POSITIONS, LISTS, LISTS)
def test_it_is_of_no_other_list_and_of_one_kind(
    position: Position, of: dict[str, object], other: dict[str, object]
) -> None:
    assume({k: v for k, v in of.items() if v is not None} != {k: v for k, v in other.items() if v is not None})
    cursor = write_cursor(position, of)
    with pytest.raises(NotACursor):
        read_cursor(cursor, other, type(position))
    with pytest.raises(NotACursor):
        read_cursor(cursor, of, int if isinstance(position, str) else str)


@given(POSITIONS, st.data())
def test_one_that_was_changed_is_none(position: Position, data: st.DataObject) -> None:
    cursor = write_cursor(position, {})
    place = data.draw(st.integers(0, len(cursor) - 1))
    changed = cursor[:place] + data.draw(st.characters(max_codepoint=0x2FF)) + cursor[place + 1 :]
    assume(changed != cursor)
    for text in (changed, cursor[:-1], cursor + "A", cursor + "="):
        with pytest.raises(NotACursor):
            read_cursor(text, {}, type(position))


@given(st.text())
@example("")
@example("A" * 4_000)
def test_any_other_text_is_none(text: str) -> None:
    for kind in (int, str):
        with pytest.raises(NotACursor):
            read_cursor(text, {}, kind)


@pytest.mark.parametrize("position", [-1, 2**63, True])
def test_a_position_that_no_list_has_is_none(position: int) -> None:
    with pytest.raises(NotACursor):
        read_cursor(write_cursor(position, {}), {}, int)


@pytest.mark.parametrize("position", ["\0", "a\ud800", -1, 2**63])
def test_what_no_ledger_can_be_asked_for_is_none(position: Position) -> None:
    with pytest.raises(NotACursor):
        read_cursor(write_cursor(position, {}), {}, type(position))
