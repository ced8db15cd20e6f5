"""The statements of the SQLite ledger, in the `.sql` files of this folder."""

from __future__ import annotations

import os

from pinstripe.ledgers.statements import Statements

statement = Statements(os.path.dirname(__file__))  # noqa: PTH120 - a cold command need not import pathlib for this
