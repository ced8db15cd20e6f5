"""What a form begins with that is to start a run like another one: its arguments, and whom that one was for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pinstripe.errors import UnknownRun
from pinstripe.retrying import ONLY
from pinstripe.selection import Selection
from pinstripe.server.dashboard.start_form import ARGUMENT
from pinstripe.views.parameters import write_form

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pinstripe.definition import Definition
    from pinstripe.ledger import Ledger
    from pinstripe.run import Run

MOST = 1_000
"""Up to how many tenants are named in a form."""


class Like(NamedTuple):
    """The `fields` of a form, and a `note` on what of the run they don't have."""

    fields: Mapping[str, str]
    note: str | None = None


async def like_run(ledger: Ledger, definition: Definition, reference: str) -> Like:
    """Give what a run of a job was started with; nothing where there is no such run of it."""
    try:
        run = await ledger.find_run(reference, failures=False)
    except UnknownRun:
        return Like({})
    if run.job != definition.name:
        return Like({})
    texts = write_form(definition, run.args, run.kwargs, run.redacted)
    arguments = {ARGUMENT + name: text for name, text in texts.items()}
    if not definition.multi_tenant:
        return Like(arguments)
    whom = await _whom(ledger, run)
    return Like({**arguments, **whom.fields}, whom.note)


async def _whom(ledger: Ledger, run: Run) -> Like:
    """Give the fields that select whom the run was for: as it was told, or else each by their id."""
    kept = (await ledger.selected_by(run.id)).selection
    as_told = None if run.retry_of is not None or kept.get(ONLY) else _as_told(Selection.from_json(kept))
    if as_told is not None:
        return as_told
    say = "Say yourself whom this one is for: as it is, that is all that match."
    if run.selecting:
        return Like({}, f"Whom that run is for isn't selected yet. {say}")
    if run.executions.total > MOST:
        return Like({}, f"That run was for {run.executions.total:,} tenants, too many to be named here. {say}")
    page = await ledger.history.executions(run.id, limit=MOST)
    return _named("tenants", [one.tenant for one in page.executions if one.tenant is not None])


def _as_told(selection: Selection) -> Like | None:
    """Write a selection as it is typed; None where that can't be, or is too much."""
    if selection.force or selection.zone is not None:
        return None
    if len(selection.tenants or ()) > MOST or len(selection.exclude) > MOST:
        return None
    where = [None if text is None else f"{key}={text}" for key, value in selection.where for text in [_text(value)]]
    if any(line is None or line != line.strip() or "\n" in line for line in where):
        return None
    tenants, exclude = _named("tenants", selection.tenants or ()), _named("except", selection.exclude)
    fields = {**tenants.fields, **exclude.fields}
    return Like({**fields, "where": "\n".join(map(str, where))}, tenants.note or exclude.note)


def _text(value: Any) -> str | None:
    """Give the text that means a value of a condition."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value) if isinstance(value, int | float) else None


def _named(field: str, ids: Sequence[str]) -> Like:
    """Write ids one a line; those that no line means are told of."""
    lines = [id_ for id_ in ids if id_ == id_.strip() and id_ and not {"\n", "\r"} & {*id_}]
    left = len(ids) - len(lines)
    note = f"{left:,} of its tenants can't be typed, for their ids have a line break or begin or end with a space."
    return Like({field: "\n".join(lines)}, note if left else None)
