"""Pages from templates: everything that they show is escaped, and what can't be seen is made visible."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from pinstripe.server.access.forms import csrf_token
from pinstripe.server.access.identity import OWN_LOGIN_KEY, SCOPE_KEY
from pinstripe.server.dashboard import charts, heat, links
from pinstripe.server.dashboard.texts import add_filters, finalize
from pinstripe.version import VERSION

if TYPE_CHECKING:
    from starlette.requests import Request

    from pinstripe.server.access.identity import Access

_TEMPLATES = Path(__file__).parent / "templates"


class Place:
    """A part of the dashboard: its `name`, its page's `path`, the key that goes there after `g`."""

    def __init__(self, name: str, path: str, key: str, *, for_all: bool = False) -> None:
        """Take them; `for_all` parts are also there for those who are confined to some tenants."""
        self.name = name
        self.path = path
        self.key = key
        self.for_all = for_all

    def is_at(self, path: str) -> bool:
        """Tell whether a request's `path` is in this part."""
        own = links.url(self.path)
        if self.path == "/":
            return path in {own, links.PREFIX}
        return path == own or path.startswith(f"{own}/") or (self.path == "/tenants" and path == links.url("/tenant"))


PLACES = (
    Place("Overview", "/", "o"),
    Place("Runs", "/runs", "r", for_all=True),
    Place("Jobs", "/jobs", "j", for_all=True),
    Place("Schedules", "/schedules", "s"),
    Place("Tenants", "/tenants", "t", for_all=True),
    Place("Processes", "/processes", "p"),
    Place("Audit", "/audit", "a"),
)


def render(request: Request, name: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Make a page of the template `name` with these `values`.

    Templates also have `access` (None where nobody has been let in), `csrf` (a token for forms), `own_login` (whether
    one logs in at the application), `places`, `here`, the `path` and the `version`. Raises `UndefinedError` for a value
    that the template lacks.
    """
    access: Access | None = request.scope.get(SCOPE_KEY)
    text = (
        environment()
        .get_template(name)
        .render(
            access=access,
            csrf=csrf_token(request),
            own_login=request.scope.get(OWN_LOGIN_KEY, False),
            places=[place for place in PLACES if place.for_all or access is None or not access.is_confined],
            path=request.url.path,
            here=f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path,
            **values,
        )
    )
    # What can't be written in UTF-8 has been made visible; this is for what was made by the templates' own code.
    return HTMLResponse(text.encode("utf-8", "backslashreplace"), status, headers={"Cache-Control": "no-store"})


@cache
def environment() -> Environment:
    """Give what makes pages: once for the process, with each template compiled once."""
    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    add_filters(made)
    made.globals.update(url=links.url, static=links.static, charts=charts, heat=heat.heat, version=VERSION)
    made.globals["ui"] = made.get_template("macros.html").module
    return made
