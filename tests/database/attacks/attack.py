"""What an attack is: a statement that tries to reach another tenant's rows, and what has to come of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from types import ModuleType

    from pinstripe.database.access import DatabaseAccess
    from pinstripe.database.service import Database, Work
    from pinstripe.database.session import DatabaseSession
    from pinstripe.tenants import Tenant

Outcome = Literal["scoped", "refused", "failed"]
"""What comes of an attack: what the tenant would see if it were alone, an error of ours, or one of SQLAlchemy's."""


class NobodyThereError(Exception):
    """There is no other tenant whose row could be taken."""


@dataclass
class Attacker:
    """Code of tenant A, in a workspace of its own, which wants what is tenant B's.

    `shop` has the classes; `ours` and `other` are the tenants' ids as values of the tenant column.
    """

    database: Database
    shop: Any
    ours: Any
    other: Any
    other_tenant: Tenant
    access: DatabaseAccess
    opened: list[Work] = field(default_factory=list)

    @property
    def session(self) -> DatabaseSession:
        """The session of tenant A's workspace."""
        return self.database.session

    async def stolen(self, entity: Any) -> Any:
        """Give the first row of tenant B's, read in its workspace, which is closed by now."""
        work = self.access.open(self.other_tenant)
        row = await work.database[entity].first()
        await work.close()
        return self._there(row)

    async def shown(self, entity: Any) -> Any:
        """Give the first row of tenant B's, whose workspace is still open."""
        work = self.access.open(self.other_tenant)
        self.opened.append(work)
        return self._there(await work.database[entity].first())

    def _there(self, row: Any) -> Any:
        if row is None:
            raise NobodyThereError
        return row

    async def rows(self, statement: Any, **options: Any) -> list[Any]:
        """Execute a statement, and give its rows."""
        return list((await self.session.execute(statement, **options)).unique().all())

    async def change(self, statement: Any, *arguments: Any, **options: Any) -> object:
        """Execute a statement that changes something, and commit."""
        await self.session.execute(statement, *arguments, **options)
        return await self.commit()

    async def commit(self) -> object:
        """Commit; nothing is seen by that."""
        await self.session.commit()
        return None


@dataclass(frozen=True)
class Attack:
    """One attack, with the outcome that is expected in each world, and whether it `leaks` where nothing is guarded."""

    name: str
    run: Callable[[Attacker], Awaitable[object]]
    outcomes: Mapping[str, Outcome]
    leaks: bool

    def outcome(self, world: str) -> Outcome:
        """Give what is expected in the world of that name, such as "rows on sqlite"."""
        name = world.partition(" of ")[0]  # the same is expected whatever the type of the tenant column
        for part in (name, name.partition(" on ")[0]):
            if part in self.outcomes:
                return self.outcomes[part]
        return self.outcomes["rows"]


def expect(
    outcome: Outcome, others: Outcome | None = None, *, leaks: bool = True, **outcomes: Outcome
) -> Callable[[Callable[[Attacker], Awaitable[object]]], Attack]:
    """Make an attack of a function.

    `outcome` is expected where rows say whose they are, `others` where tenants have a schema or a database each;
    `outcomes` is for what differs: `schemas`, `databases`, or a world's name with its spaces as "_".
    """

    def make(run: Callable[[Attacker], Awaitable[object]]) -> Attack:
        expected: dict[str, Outcome] = {"rows": outcome}
        if others is not None:
            expected |= {"schemas": others, "databases": others}
        expected |= {name.replace("_", " "): value for name, value in outcomes.items()}
        return Attack(run.__name__, run, expected, leaks)

    return make


def attacks_of(module: ModuleType) -> list[Attack]:
    """Give the attacks of a module, in its order."""
    return [value for value in vars(module).values() if isinstance(value, Attack)]
