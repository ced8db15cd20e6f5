"""Random operations of the table facade, written down, so that they can be done in two databases and compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

if TYPE_CHECKING:
    from pinstripe.database.rows import Rows
    from pinstripe.database.service import Database

NAMES = ["acme Ann", "acme Bob", "acme Cid", "acme Dan", "acme_", "ACME", ""]
PLANS = [None, "pro", "free", "Pro"]
NUMBERS = [None, 0, 7, 8, 30, 40]
COLUMNS: dict[str, list[Any]] = {"name": NAMES, "plan": PLANS, "age": NUMBERS, "level": [1, 7, 8]}
ORDERED = ["lt", "gt", "le", "ge"]
TEXTUAL = ["begins_with", "ends_with", "contains"]


class Step(NamedTuple):
    """One operation on rows that `lookups`, `order` and `limit` leave, with what it is given."""

    table: str
    operation: str
    lookups: dict[str, Any]
    order: tuple[str, ...]
    limit: int | None
    given: Any


@st.composite
def _lookups(draw: st.DrawFn) -> dict[str, Any]:
    lookups: dict[str, Any] = {}
    for column in draw(st.lists(st.sampled_from([*COLUMNS]), max_size=2)):
        values = COLUMNS[column]
        some = st.lists(st.sampled_from(values), max_size=3)
        kind = draw(st.sampled_from(["", "ne", "ordered", "text"]))
        if kind == "ordered":
            value = draw(st.sampled_from([one for one in values if one is not None]))
            lookups[f"{column}__{draw(st.sampled_from(ORDERED))}"] = value
        elif kind == "text" and column in ("name", "plan"):
            lookups[f"{column}__{draw(st.sampled_from(TEXTUAL))}"] = draw(st.sampled_from(["", "acme", "A", "_", "o"]))
        else:
            suffix = "__ne" if kind == "ne" else ""
            lookups[f"{column}{suffix}"] = draw(st.one_of(st.sampled_from(values), some))
    return lookups


_VALUES = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from([one for one in values if one is not None]) for name, values in COLUMNS.items()}
)
_OPERATIONS = ["all", "all", "first", "count", "exists", "pages", "insert", "insert_many", "update", "delete"]


@st.composite
def _step(draw: st.DrawFn) -> Step:
    operation = draw(st.sampled_from(_OPERATIONS))
    order: tuple[str, ...] = ()
    limit = draw(st.one_of(st.none(), st.none(), st.integers(0, 4)))
    if operation != "pages":
        columns = draw(st.lists(st.sampled_from([*COLUMNS]), max_size=2))
        # By the key at last, so that both databases have one order; nulls stand elsewhere in each kind of database.
        order = (*(draw(st.sampled_from(["", "-"])) + column for column in columns), "id")
    given: Any = None
    if operation == "insert":
        given = {"name": draw(st.sampled_from(NAMES)), **draw(_VALUES)}
    elif operation == "insert_many":
        given = [{"name": "acme Many", **one} for one in draw(st.lists(_VALUES, max_size=3))]
    elif operation == "update":
        given = draw(_VALUES.filter(bool))
    elif operation == "pages":
        given = draw(st.integers(1, 4))
    return Step("users", operation, draw(_lookups()), order, limit, given)


CHAINS = st.lists(st.tuples(st.sampled_from(["acme", "globex"]), _step()), min_size=1, max_size=12)
"""Lists of operations, each with the tenant who asks."""


async def perform(database: Database, step: Step, **always: str) -> object:
    """Do one operation; give what came of it without what differs between the databases: keys and times.

    `always` is what each inserted row has besides, where nothing sets it by itself.
    """
    rows: Rows[Any] = database[step.table].where(**step.lookups).order_by(*step.order)
    if step.limit is not None:
        rows = rows.limit(step.limit)
    try:
        return await _perform(rows, step, always)
    except IntegrityError:
        return "refused"


async def _perform(rows: Rows[Any], step: Step, always: dict[str, str]) -> object:  # noqa: PLR0911 - one for each operation
    match step.operation:
        case "all":
            return [shown(row) for row in await rows.all()]
        case "first":
            first = await rows.first()
            return None if first is None else shown(first)
        case "count":
            return await rows.count()
        case "exists":
            return await rows.exists()
        case "pages":
            return [[shown(row) for row in page] async for page in rows.pages(step.given)]
        case "insert":
            return shown(await rows.insert(**step.given, **always))
        case "insert_many":
            return await rows.insert_many({**one, **always} for one in step.given)
        case "update":
            return await rows.update(**step.given)
        case _:
            return await rows.delete()


def shown(row: Any) -> tuple[object, ...]:
    """Give the values of a user."""
    return (row.name, row.plan, row.age, row.level)
