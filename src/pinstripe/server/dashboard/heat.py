"""The heat map of a job: its tenants by its last runs, as a table in which each cell is a state's shape and colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from pinstripe.server.dashboard.links import url
from pinstripe.server.dashboard.texts import cut, moment
from pinstripe.views.text import short

if TYPE_CHECKING:
    from pinstripe.history import HeatMap, HeatRow
    from pinstripe.run import ExecutionStatus, Run

_SIGNS = {"succeeded": "·", "failed": "×", "cancelled": "⊘", "skipped": "»", "running": "▸", "queued": "…"}  # noqa: RUF001
"""The shape of each state, for who can't tell the colours apart."""


def heat(found: HeatMap) -> Markup:
    """Draw a heat map; each cell leads to the execution, each heading to its run or tenant."""
    if not found.rows:
        return Markup("")
    heads = Markup("").join(
        Markup('<th scope="col"><a href="{}" title="{}"><span class="hidden">Run {}</span>{}</a></th>').format(
            url(f"/runs/{run.id}"),
            f"{run.created_at:%Y-%m-%d %H:%M:%S}Z {run.status}",
            short(run.id),
            _sign(run.status),
        )
        for run in found.runs
    )
    rows = Markup("").join(_row(row, found.runs) for row in found.rows)
    span = (
        Markup("Each column is a run, from {} to {}").format(
            moment(found.runs[0].created_at), moment(found.runs[-1].created_at)
        )
        if found.runs
        else ""
    )
    more = _more(found) if found.more else ""
    return Markup(
        '<p class="heat-legend small dim">{}</p>'
        '<div class="heat-box" tabindex="0" role="region" aria-label="Tenants by runs"><table class="heat">'
        '<caption class="hidden">{}{}</caption>'
        '<thead><tr><th scope="col">Tenant</th>{}<th scope="col" class="num">Failed</th></tr></thead>'
        '<tbody>{}</tbody></table></div><p class="small dim">{}{}</p>'
    ).format(_legend(), span, more, heads, rows, span, more)


def _more(found: HeatMap) -> str:
    """Tell of the tenants that have no row, as far as the runs tell how many they are."""
    totals = {run.executions.total for run in found.runs}
    left = max(totals, default=0) - len(found.rows)
    least = "at least " if len(totals) > 1 else ""
    many = f"{least}{left:,} more {'tenant' if left == 1 else 'tenants'}" if left > 0 else "more tenants"
    return f"; and {many}, " + ("with fewer failures" if found.rows[-1].failed else "none of which failed")


def _row(row: HeatRow, runs: list[Run]) -> Markup:
    cells = Markup("").join(_cell(row.tenant, state, run) for state, run in zip(row.states, runs, strict=True))
    return Markup('<tr><th scope="row"><a class="tenant" href="{}">{}</a></th>{}<td class="num">{}</td></tr>').format(
        url("/tenant", id=row.tenant), cut(row.tenant, 40), cells, f"{row.failed:,}"
    )


def _cell(tenant: str, state: ExecutionStatus | None, run: Run) -> Markup:
    if state is None:
        return Markup('<td><span class="hidden">not in it</span></td>')
    return Markup('<td><a class="heat-cell heat-{0}" tabindex="-1" href="{1}" title="{0}">{2}</a></td>').format(
        state, url(f"/runs/{run.id}/execution", tenant=tenant), _sign(state)
    )


def _sign(state: object) -> Markup:
    name = str(state)
    return Markup('<span aria-hidden="true">{}</span><span class="hidden">{}</span>').format(_SIGNS.get(name, ""), name)


def _legend() -> Markup:
    return Markup("").join(
        Markup('<span class="nowrap"><span class="heat-cell heat-{0}" aria-hidden="true">{1}</span> {0}</span>').format(
            name, sign
        )
        for name, sign in _SIGNS.items()
    )
