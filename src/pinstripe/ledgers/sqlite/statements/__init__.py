"""The statements of the SQLite ledger: they live in the `.sql` files of this folder, each under a `-- name:` line."""

from __future__ import annotations

import os
import re
from functools import cache

_FOLDER = os.path.dirname(__file__)  # noqa: PTH120 - a cold command need not import pathlib's machinery for this
_FILES = (
    *("owners.sql", "runs.sql", "executions.sql", "listing.sql", "retention.sql"),
    *("enqueueing.sql", "queue.sql", "admission.sql", "waiting.sql", "fires.sql", "late_work.sql"),
)
_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)
_PART = re.compile(r"\{(\w+)\}")


@cache
def statement(name: str) -> str:
    """Give the statement of that name, with the parts it names in braces put in; raises KeyError for an unknown one."""
    return _PART.sub(lambda part: _texts()[part[1]], _texts()[name])


@cache
def _texts() -> dict[str, str]:
    texts: dict[str, str] = {}
    for file in _FILES:
        with open(os.path.join(_FOLDER, file), encoding="utf-8") as opened:  # noqa: PTH118, PTH123 - as above
            pieces = _NAME.split(opened.read())
        texts.update(zip(pieces[1::2], (piece.strip() for piece in pieces[2::2]), strict=True))
    return texts
