"""How people name a run: by its id, the unique end of one, or `last`; and what they are told where that is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pinstripe.errors import UnknownRun

if TYPE_CHECKING:
    from collections.abc import Sequence

LAST = "last"
"""Names the newest run that no job has started."""

ID_LENGTH = 36

_HEXADECIMAL = frozenset("0123456789abcdef-")


def read_reference(reference: str) -> str:
    """Give what a `reference` may name as it is kept: `last`, a whole id, or the end of one.

    Raises `UnknownRun` for what can be none of these.
    """
    written = reference.strip().lower()
    if written == LAST or (written and _HEXADECIMAL.issuperset(written) and len(written) <= ID_LENGTH):
        return written
    message = f"{reference!r} is not a run: expected an id, the unique end of one, or `last`"
    raise UnknownRun(message)


def the_one(rows: Sequence[Sequence[Any]], reference: str, ledger: object) -> Sequence[Any]:
    """Give the row of the one run that was found in a `ledger`, by its columns `columns_of_run`.

    Raises `UnknownRun` where there is none, or where the reference leads to several.
    """
    if not rows and reference.strip().lower() == LAST:
        raise UnknownRun(f"the ledger {ledger} has no run yet")
    if not rows:
        raise UnknownRun(unknown(reference, ledger))
    if len(rows) > 1:
        message = f"several runs end with {reference!r}, such as {rows[0][1]} and {rows[1][1]}: give more of the id"
        raise UnknownRun(message)
    return rows[0]


def unknown(reference: str, ledger: object) -> str:
    """Say that there is no such run, and why that may be."""
    return (
        f"the ledger {ledger} has no run {reference!r}: it never had, or its retention has passed; "
        "`pinstripe list-runs` shows those it has"
    )
