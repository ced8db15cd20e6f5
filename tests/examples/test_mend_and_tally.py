from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_mending_changes_the_malformed_address_and_nothing_else(database_file: Path) -> None:
    from newsletter.mend import mend

    with closing(sqlite3.connect(database_file)) as connection:
        before = dict(connection.execute("select id, email from users"))

        [(tenant, old, new)] = mend(database_file)

        after = dict(connection.execute("select id, email from users"))
    assert (tenant, new) == ("harbour-books", old.replace("(at)", "@"))
    assert [(before[user], after[user]) for user in before if before[user] != after[user]] == [(old, new)]
    assert mend(database_file) == []


def test_what_cannot_be_mended_is_said(database_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from newsletter.mend import main

    with closing(sqlite3.connect(database_file)) as connection, connection:
        connection.execute("update users set email = 'nobody' where id = 1")

    assert main() == 1
    assert "nobody is malformed; mend it by hand" in capsys.readouterr().out


def test_the_tally_tells_missing_and_doubled_messages(database_file: Path, tmp_path: Path) -> None:
    from newsletter.tally import tally

    received = tmp_path / "received.tsv"
    with closing(sqlite3.connect(database_file)) as connection:
        query = "select email from users where subscribed and tenant_id in (select id from tenants where active)"
        lines = [f"{email}\t<{number}@x>\n" for number, (email,) in enumerate(connection.execute(query))]

    received.write_text("".join(lines), encoding="utf-8")
    assert tally(database_file, received).right

    received.write_text("".join(lines[1:]), encoding="utf-8")
    found = tally(database_file, received)
    assert (found.right, found.missing, found.doubled) == (False, 1, 0)

    received.write_text("".join([*lines, lines[0]]), encoding="utf-8")
    found = tally(database_file, received)
    assert (found.right, found.missing, found.doubled) == (False, 0, 1)

    received.write_text("".join([*lines[1:], lines[1]]), encoding="utf-8")
    assert not tally(database_file, received).right
