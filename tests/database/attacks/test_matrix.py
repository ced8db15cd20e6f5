"""Every attack in every world: what comes of it is what is written beside it, and never another tenant's rows."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from tests.database.attacks import (
    changes,
    facade,
    joins,
    loads,
    raw,
    reads,
    reads_of_classes,
    rows_taken,
    sessions,
    worlds,
)
from tests.database.attacks.attack import attacks_of
from tests.database.attacks.matrix import try_all
from tests.postgres import OWNER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.database.attacks.matrix import Result
    from tests.database.attacks.worlds import World
    from tests.postgres import Postgres

# What SQLAlchemy warns of, such as a cartesian product, is what many an attack is.
pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")]

MODULES = (reads, reads_of_classes, joins, loads, raw, changes, rows_taken, sessions, facade)

ATTACKS = [attack for module in MODULES for attack in attacks_of(module)]

ON_SQLITE: dict[str, Callable[[Path], World]] = {
    "rows": worlds.rows_on_sqlite,
    "rows of integers": lambda folder: worlds.rows_on_sqlite(folder, kind="integers"),
    "rows of uuids": lambda folder: worlds.rows_on_sqlite(folder, kind="uuids"),
    "databases": worlds.databases_on_sqlite,
}

ON_POSTGRESQL: dict[str, Callable[[Path, Postgres], World]] = {
    "rows": worlds.rows_on_postgresql,
    "rows guarded": lambda folder, postgres: worlds.rows_on_postgresql(folder, postgres, protected=True),
    "rows guarded and owned": lambda folder, postgres: worlds.rows_on_postgresql(
        folder, postgres, protected=True, user=OWNER
    ),
    "schemas": worlds.schemas_on_postgresql,
    "databases": worlds.databases_on_postgresql,
}


@pytest.fixture(autouse=True)
def _be_quiet() -> Iterator[None]:
    """Let nobody be told what attacks leave behind, which is told by other tests."""
    logging.getLogger("pinstripe.database").setLevel(logging.ERROR)
    yield
    logging.getLogger("pinstripe.database").setLevel(logging.NOTSET)


@pytest.mark.parametrize("kind", ON_SQLITE)
async def test_no_attack_leaks_on_sqlite(tmp_path: Path, kind: str) -> None:
    world = ON_SQLITE[kind](tmp_path / "shop")
    _check(world, await try_all(world, ATTACKS))


@pytest.mark.parametrize("kind", ON_POSTGRESQL)
async def test_no_attack_leaks_on_postgresql(tmp_path: Path, postgres: Postgres, kind: str) -> None:
    world = ON_POSTGRESQL[kind](tmp_path, postgres)
    _check(world, await try_all(world, ATTACKS))


async def test_what_is_scoped_is_what_the_tenant_would_see_alone(tmp_path: Path) -> None:
    """Not even a number or an order may tell of the other tenant."""
    together = await try_all(worlds.rows_on_sqlite(tmp_path / "together"), ATTACKS)
    alone = await try_all(worlds.rows_on_sqlite(tmp_path / "alone", alone=True), ATTACKS)
    different = {
        name: (result, alone[name])
        for name, result in together.items()
        if result.outcome == "scoped" and alone[name].outcome != "nobody" and result != alone[name]
    }
    assert different == {}


async def test_the_attacks_leak_where_nothing_guards(tmp_path: Path) -> None:
    """With everything allowed, each attack that is said to leak does so: the matrix would see it."""
    results = await try_all(worlds.rows_on_sqlite(tmp_path / "shop"), ATTACKS, unscoped=True)
    leaked = {name for name, result in results.items() if result.outcome == "leaked"}
    assert leaked == {attack.name for attack in ATTACKS if attack.leaks}
    assert len(leaked) >= 300


def test_there_are_enough_attacks_and_each_has_its_name() -> None:
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS) >= 365


def _check(world: World, results: Mapping[str, Result]) -> None:
    for place in world.places:
        place.close()
    wrong = {
        attack.name: f"expected {attack.outcome(world.name)}, found {results[attack.name]}"
        for attack in ATTACKS
        if results[attack.name].outcome not in (attack.outcome(world.name), "nobody")
    }
    assert wrong == {}
    assert sum(result.outcome == "nobody" for result in results.values()) <= _OF_JOINED


_OF_JOINED = 19
"""How many attacks are on a class over several tables, which one world can't have."""
