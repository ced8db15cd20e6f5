from __future__ import annotations

import pytest

from pinstripe.errors import UnknownRun
from pinstripe.ledgers.references import LAST, read_reference, the_one

ID = "01996b52-1c00-7abc-8def-0123456789ab"
OTHER = "01996b52-1c00-7abc-8def-fff3456789ab"


@pytest.mark.parametrize(
    ("reference", "read"),
    [("last", LAST), (" LAST\n", LAST), (ID, ID), (ID.upper(), ID), ("89AB", "89ab"), (" f-f ", "f-f"), ("a", "a")],
)
def test_a_reference_is_read_however_it_is_written(reference: str, read: str) -> None:
    assert read_reference(reference) == read


@pytest.mark.parametrize("reference", ["", "  ", "latest", "xyz", "run 1", f"{ID}0", "ä", "%", "a_b", "\0"])
def test_what_can_be_no_run_is_refused(reference: str) -> None:
    with pytest.raises(UnknownRun, match="is not a run: expected an id, the unique end of one, or `last`"):
        read_reference(reference)


def test_one_row_is_the_one() -> None:
    assert the_one([(1, ID)], "89ab", "ledger.db") == (1, ID)


@pytest.mark.parametrize(
    ("rows", "reference", "message"),
    [
        ([], "last", "the ledger ledger.db has no run yet"),
        ([], "89ab", "the ledger ledger.db has no run '89ab': .*its retention has passed; `pinstripe list-runs` shows"),
        ([(1, ID), (2, OTHER)], "89ab", f"several runs end with '89ab', such as {ID} and {OTHER}: give more of the id"),
    ],
)
def test_none_and_several_are_told(rows: list[tuple[int, str]], reference: str, message: str) -> None:
    with pytest.raises(UnknownRun, match=message):
        the_one(rows, reference, "ledger.db")
