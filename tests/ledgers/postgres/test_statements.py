from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pinstripe.ledgers import lateness, postgres
from pinstripe.ledgers.postgres.statements import statements

if TYPE_CHECKING:
    from pinstripe.ledgers.postgres.store import Store
    from pinstripe.ledgers.postgres.transaction import Transaction

HOME = Path(postgres.__file__).parent
NAMED = [
    name
    for file in sorted((HOME / "statements").glob("*.sql"))
    for name in re.findall(r"^-- name: (.*)$", file.read_text(), re.MULTILINE)
]
PARTS = set(re.findall(r"\{(\w+)\}", "".join(file.read_text() for file in (HOME / "statements").glob("*.sql"))))


@pytest.mark.anyio
async def test_every_statement_fits_the_schema(process: Store) -> None:
    async def prepare(tx: Transaction) -> None:
        for name in NAMED:
            if name not in PARTS:
                await tx.connection.execute(f"prepare {name}_here as {process.statement(name)}")

    await process.read(prepare)


def test_names_are_unique() -> None:
    assert sorted(set(NAMED)) == sorted(NAMED)
    assert set(NAMED) >= PARTS


def test_every_statement_is_used() -> None:
    files = [*HOME.glob("*.py"), *HOME.parent.parent.glob("engines/*.py")]
    code = "".join(file.read_text() for file in files)
    used = set(re.findall(r'"(\w+)"', code)) | PARTS | set(lateness.KINDS)
    computed = re.compile("|".join(re.findall(r'f"(\w+_)\{\w+', code)))
    assert [name for name in NAMED if name not in used and not computed.match(name)] == []


def test_another_schema_is_named_wherever_it_is_meant() -> None:
    elsewhere = statements("elsewhere")
    for name in NAMED:
        assert "pinstripe." not in elsewhere(name).lower()
        assert not re.search(r"\{\w+\}", elsewhere(name))
        assert elsewhere(name).count("elsewhere.") == statements("pinstripe")(name).count("pinstripe.")
