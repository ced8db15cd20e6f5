"""What a caller asked to start, as the project's one door takes it; values are checked like those that code gives."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pinstripe.comparisons import parse_key
from pinstripe.errors import ConfigurationError, InvalidArguments
from pinstripe.json_values import show
from pinstripe.options import MAX_KEY, Terms
from pinstripe.run import Trigger
from pinstripe.runs import Request
from pinstripe.selection import Selection
from pinstripe.server.access.require import Refused, require_all, require_operate, require_tenants
from pinstripe.server.api.problems import Misfit
from pinstripe.server.api.validation import FieldProblem

if TYPE_CHECKING:
    from collections.abc import Callable

    from pinstripe.project import Project
    from pinstripe.server.access.identity import Access
    from pinstripe.server.api.models.starting import NewPreview, NewRun

MAX_CONDITIONS = 100
"""How many attributes a choice of tenants may ask for: a source is narrowed by one after another."""

_KEY = re.compile(rf"[\x21-\x7e](?:[\x20-\x7e]{{0,{MAX_KEY - 2}}}[\x21-\x7e])?")


def read_request(body: NewPreview, project: Project, access: Access) -> Request:
    """Make the request for a run; raises `Misfit`, `UnknownJob`, and `Refused` for tenants that aren't the caller's."""
    exclude = frozenset(body.exclude)
    both = [tenant for tenant in body.tenants or () if tenant in exclude]
    if both:
        message = f"{show(both[0])} is in `tenants`, too; expected it in one of them"
        raise Misfit([FieldProblem("exclude", message)])
    if len(body.where) > MAX_CONDITIONS:
        message = f"expected at most {MAX_CONDITIONS} attributes, got {len(body.where):,}"
        raise Misfit([FieldProblem("where", message)])
    for key in body.where:
        try:
            parse_key(key)
        except ConfigurationError as error:
            raise Misfit([FieldProblem("where", error.reason)]) from None
    if body.where:  # yes and no, asked often enough, tell every attribute that a tenant has, which may be a password
        require_operate(access)
        require_all(access)
    if access.is_confined:
        _check_tenants(body, project, access)
    selection = Selection(
        tenants=None if body.tenants is None else tuple(dict.fromkeys(body.tenants)),
        exclude=tuple(dict.fromkeys(body.exclude)),
        where=tuple(body.where.items()),
    )
    return Request(body.job, body.args, body.kwargs, selection=selection, trigger=Trigger.API)


def read_terms(body: NewRun, key: str | None, access: Access) -> Terms:
    """Make how a run waits; `key` is what the header Idempotency-Key said. Raises `Misfit`.

    The keys of who is confined are their own: by another's they would learn of others' runs, or keep them from being.
    """
    if body.at is not None and body.delay is not None:
        raise Misfit([FieldProblem("delay", "it says when, as `at` does; expected one of them")])
    at = None if body.at is None else _read_time(body.at)
    own = _read_key(key)
    terms = Terms(
        at=at,
        delay=None if body.delay is None else _checked("delay", lambda: Terms.of(delay=body.delay)).delay,
        key=f"{access.name}\n{own}" if own is not None and access.is_confined else own,
        priority=None
        if body.priority is None
        else _checked("priority", lambda: Terms.of(priority=body.priority)).priority,
    )
    _checked("at" if at else "delay", lambda: terms.due_at(0))
    return terms


def _check_tenants(body: NewPreview, project: Project, access: Access) -> None:
    """Let who is confined start what is for their tenants alone, each named."""
    definition = project.registry.find(body.job)
    if definition.multi_tenant and body.tenants is None:
        raise Refused(
            403, "Not one of your tenants", f"{access.name!r} is confined to some tenants: name them in `tenants`"
        )
    require_tenants(access, body.tenants if definition.multi_tenant else None)
    require_tenants(access, body.exclude)


def _read_time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
        if at.utcoffset() is not None:
            return at
    except ValueError:
        pass
    message = f"expected an ISO 8601 time with its time zone, such as 2026-11-21T20:00:00Z, got {show(text)}"
    raise Misfit([FieldProblem("at", message)])


def _read_key(key: str | None) -> str | None:
    if key is None or _KEY.fullmatch(key):
        return key
    message = f"expected 1 to {MAX_KEY} printable ASCII characters, without a space at its ends, got {show(key)}"
    raise Misfit([FieldProblem("Idempotency-Key", message)])


def _checked(field: str, make: Callable[[], Any]) -> Any:
    """Make what raises `InvalidArguments` where the value doesn't do, and say of which `field` that is."""
    try:
        return make()
    except InvalidArguments as error:
        message = str(error).partition(": ")[2] if str(error).startswith("options(") else str(error)
        raise Misfit([FieldProblem(field, message)]) from None
