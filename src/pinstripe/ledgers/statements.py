"""The statements of a ledger: they live in `.sql` files of one folder, each under a `-- name:` line."""

from __future__ import annotations

import os
import re
from functools import cached_property

_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)
_PART = re.compile(r"\{(\w+)\}")


class Statements:
    """Those of one folder, read when the first is asked for."""

    def __init__(self, folder: str) -> None:
        """Take the path of the `folder`; what its files are called says nothing."""
        self._folder = folder
        self._whole: dict[str, str] = {}

    def __call__(self, name: str) -> str:
        """Give a statement, with the parts that it names in braces put in; raises KeyError for an unknown one."""
        whole = self._whole.get(name)
        if whole is None:
            whole = self._whole[name] = self._put_together(name)
        return whole

    def names(self) -> list[str]:
        """Give the names of all of them, and of the parts."""
        return [*self._texts]

    def _put_together(self, name: str) -> str:
        return _PART.sub(lambda part: self._put_together(part[1]), self._texts[name])

    @cached_property
    def _texts(self) -> dict[str, str]:
        texts: dict[str, str] = {}
        for file in sorted(os.listdir(self._folder)):  # noqa: PTH208 - a cold command need not import pathlib for this
            if file.endswith(".sql"):
                with open(os.path.join(self._folder, file), encoding="utf-8") as opened:  # noqa: PTH118, PTH123 - as above
                    pieces = _NAME.split(opened.read())
                texts.update(zip(pieces[1::2], (piece.strip() for piece in pieces[2::2]), strict=True))
        return texts
