from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.ledgers import lateness, sqlite
from pinstripe.ledgers.sqlite.statements import statement

if TYPE_CHECKING:
    import apsw

HOME = Path(sqlite.__file__).parent
NAMED = [
    (file.name, name)
    for file in sorted((HOME / "statements").glob("*.sql"))
    for name in re.findall(r"^-- name: (.*)$", file.read_text(), re.MULTILINE)
]
PARTS = set(re.findall(r"\{(\w+)\}", "".join(file.read_text() for file in (HOME / "statements").glob("*.sql"))))


@pytest.mark.parametrize("name", [name for _, name in NAMED if name not in PARTS])
def test_every_statement_fits_the_schema(connection: apsw.Connection, name: str) -> None:
    text = statement(name)
    bare = re.sub(r"--.*", "", text)
    numbers = [int(number) for number in re.findall(r"\?(\d+)", bare)]
    many = max(numbers) if numbers else bare.count("?")
    values: Any = [None] * many if many else dict.fromkeys(re.findall(r":(\w+)", bare))
    connection.execute(f"explain {text}", values)


def test_names_are_unique() -> None:
    names = [name for _, name in NAMED]
    assert sorted(set(names)) == sorted(names)
    assert set(names) >= PARTS


def test_every_statement_is_used() -> None:
    code = "".join(file.read_text() for file in HOME.glob("*.py"))
    used = set(re.findall(r'"(\w+)"', code)) | PARTS | set(lateness.KINDS)
    computed = re.compile("|".join(re.findall(r'(?:statement|rows)\(f"(\w+_)\{\w+', code)))
    assert [name for _, name in NAMED if name not in used and not computed.match(name)] == []


def test_parts_are_put_in() -> None:
    assert "reversed_id >= :reversed" in statement("runs_by_end_of_id")
    assert not re.search(r"\{\w+\}", "".join(statement(name) for _, name in NAMED))


def test_an_unknown_statement() -> None:
    with pytest.raises(KeyError):
        statement("drop_everything")
