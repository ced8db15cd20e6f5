"""Executes attacks in a world, and tells what has come of each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Row, inspect

from pinstripe.errors import PinstripeError
from tests.database.attacks.attack import Attacker, NobodyThereError
from tests.database.attacks.worlds import CANARY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pinstripe.database.access import DatabaseAccess
    from pinstripe.database.service import Database
    from tests.database.attacks.attack import Attack
    from tests.database.attacks.worlds import World


class Result(NamedTuple):
    """What has come of an attack: `outcome` is an `Outcome`, or "leaked"; `shown` is what was read, as text."""

    outcome: str
    shown: str
    ours: list[str]


async def try_all(world: World, attacks: Iterable[Attack], *, unscoped: bool = False) -> dict[str, Result]:
    """Try each attack, with the rows as they were at first; with `unscoped` where nothing is guarded."""
    before = world.look()
    results = {}
    async with world.access() as access:
        for attack in attacks:
            outcome, shown = await _try(world, access, attack, unscoped=unscoped)
            ours, theirs = after = world.look()
            if CANARY in shown or CANARY in "".join(ours) or theirs != before[1]:
                outcome = "leaked"
            results[attack.name] = Result(outcome, shown, [_KEY.sub("", row) for row in ours])
            if after != before:
                world.restore()
    return results


async def _try(world: World, access: DatabaseAccess, attack: Attack, *, unscoped: bool) -> tuple[str, str]:
    tenant = world.tenants[0]
    work = access.open(tenant)
    opened: list[Any] = []
    try:
        if unscoped:
            async with access.unscoped(tenant, "to see that it leaks", "a test") as database:
                return await _outcome(world, access, database, attack, opened)
        return await _outcome(world, access, work.database, attack, opened)
    finally:
        for each in (work, *opened):
            await each.close()


async def _outcome(
    world: World, access: DatabaseAccess, database: Database, attack: Attack, opened: list[Any]
) -> tuple[str, str]:
    attacker = Attacker(database, world.shop, world.ours, world.other, world.tenants[1], access, opened)
    try:
        shown = show(await attack.run(attacker))
        if database.session.in_transaction():
            await database.session.commit()
    except PinstripeError as error:
        return "refused", str(error)
    except NobodyThereError:
        return "nobody", ""
    except AttributeError as error:
        if error.obj is world.shop:
            return "nobody", ""  # this shop has no such class
        return "failed", f"{type(error).__name__}: {error}"
    except Exception as error:  # noqa: BLE001 - whatever it is, it is no answer
        return "failed", f"{type(error).__name__}: {error}"
    return "scoped", shown


_KEY = re.compile(r"'\w*id': \d+")
"""A key: those that a database gives to new rows tell how many rows it has, and no more."""


def show(value: Any) -> str:
    """Give everything that a value has in it as text: of a row of a class, what was read of it."""
    if isinstance(value, str | int | float | None):
        return repr(value)
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {show(one)}' for key, one in value.items())}}}"
    if isinstance(value, Row | list | tuple):
        return f"({', '.join(show(one) for one in value)})"
    state = inspect(value, raiseerr=False)
    if state is None:
        return repr(value)
    columns = [key for key in sorted(state.dict) if key in state.mapper.attrs and key not in state.mapper.relationships]
    return f"{type(value).__name__}{show({key: state.dict[key] for key in columns})}"
