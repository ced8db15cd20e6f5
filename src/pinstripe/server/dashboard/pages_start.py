"""The form that starts a job: it says first, where it is asked to, for whom and with what; and then it does."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import aclosing
from typing import TYPE_CHECKING, NamedTuple

from starlette.responses import RedirectResponse
from starlette.routing import Route

from pinstripe.actor import Door
from pinstripe.clock import to_microseconds
from pinstripe.errors import PinstripeError, TenantSourceFailed, UnknownRun
from pinstripe.ledger import NO_TENANT
from pinstripe.priority import Priority
from pinstripe.redaction import redacted_of, shown
from pinstripe.server.access.forms import checked_form
from pinstripe.server.access.identity import access_of
from pinstripe.server.access.require import actor_of, require_all, require_operate, require_tenants
from pinstripe.server.dashboard.links import url
from pinstripe.server.dashboard.rendering import render
from pinstripe.server.dashboard.start_form import (
    ARGUMENT,
    GENERAL,
    Errors,
    Start,
    Unfit,
    fields_of,
    key_of,
    read_start,
    refused,
)
from pinstripe.views.filters import filter_in_force
from pinstripe.views.parameters import parameters_of, write_form
from pinstripe.views.preview import filter_of
from pinstripe.views.text import as_call

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from pinstripe.definition import Definition
    from pinstripe.server.access.identity import Access
    from pinstripe.server.context import WebContext

NAMED = 100
"""How many of the tenants that would run are named."""

COUNTED = 100_000
"""Up to how many of them are counted."""

PATIENCE = 20.0
"""How many seconds the reading of the tenants may take."""

AGAIN_AFTER = 5_000_000
"""From how many microseconds on a form that is sent once more is told to have started its run before."""


class Planned(NamedTuple):
    """What a run would be: the `call`, the `filter` in force (None where there are no tenants), and the tenants.

    Of `many` tenants the first are named; with `more` there are at least so many.
    """

    call: str
    filter: str | None
    tenants: list[str]
    many: int
    more: bool


def routes(context: WebContext) -> list[BaseRoute]:
    """Give the routes of the form."""
    project = context.project

    async def show(request: Request) -> Response:
        require_operate(access_of(request))
        name = request.query_params.get("job")
        if not name:
            names = sorted({*project.job_names(), *project.registry.names()})
            return render(request, "choose_job.html", names=names)
        definition = project.registry.find(name)
        fields = await _like(context, request, definition)
        return _form(context, request, definition, fields, secrets.token_hex(16))

    async def start(request: Request) -> Response:
        access = access_of(request)
        require_operate(access)
        form = await checked_form(request)
        fields = fields_of(form)
        definition = project.registry.find(fields.get("job", ""))
        token = fields.get("key", "")
        try:
            asked = read_start(definition, fields, project.settings.time_zone)
            _confine(definition, asked, access)
            if "dry_run" in form:
                planned = await _plan(context, asked)
                return _form(context, request, definition, fields, token, planned=planned)
            key = key_of(token, fields)
            now = project.clock.now()
            run = await project.enqueue(
                asked.request, asked.terms._replace(key=key), actor=actor_of(access, Door.DASHBOARD)
            )
        except Unfit as unfit:
            return _form(context, request, definition, fields, token, errors=unfit.errors)
        except PinstripeError as error:
            errors = refused(definition, fields, error)
            return _form(context, request, definition, fields, token, errors=errors)
        before = "1" if now - to_microseconds(run.created_at) > AGAIN_AFTER else None
        return RedirectResponse(url(f"/runs/{run.id}", before=before), 303)

    return [Route("/start", show, methods=["GET", "HEAD"]), Route("/start", start, methods=["POST"])]


def _form(
    context: WebContext,
    request: Request,
    definition: Definition,
    fields: Mapping[str, str],
    token: str,
    *,
    planned: Planned | None = None,
    errors: Errors | None = None,
) -> Response:
    """Make the page, with all that was typed; what is redacted is never sent back."""
    errors = errors or {}
    own = access_of(request).tenants
    return render(
        request,
        "start.html",
        422 if errors else 200,
        job=definition.name,
        summary=definition.summary,
        multi_tenant=definition.multi_tenant,
        filter=filter_in_force(definition, context.project),
        parameters=parameters_of(definition),
        prefix=ARGUMENT,
        typed={name: text.replace("\r\n", "\n") for name, text in fields.items()},
        token=token if token.isalnum() else secrets.token_hex(16),
        planned=planned,
        errors=errors,
        general=errors.get(GENERAL, []),
        priorities=[("", "the job's own"), *((str(one), str(one)) for one in Priority)],
        zone=context.settings.time_zone,
        own=None if own is None else sorted(own)[:NAMED],
    )


async def _like(context: WebContext, request: Request, definition: Definition) -> dict[str, str]:
    """Begin the form with the arguments of a run that it is to be like, or for a tenant, where one is named."""
    tenant, like = request.query_params.get("tenant"), request.query_params.get("like")
    fields = {"tenants": tenant} if tenant else {}
    if like and not access_of(request).is_confined:
        try:
            run = await context.project.ledger.find_run(like, failures=False)
        except UnknownRun:
            return fields
        if run.job == definition.name:
            texts = write_form(definition, run.args, run.kwargs)
            fields |= {ARGUMENT + name: text for name, text in texts.items()}
    return fields


def _confine(definition: Definition, asked: Start, access: Access) -> None:
    """Let who is confined start what is for their own tenants alone, each named."""
    if not access.is_confined:
        return
    if not definition.multi_tenant:
        require_all(access)
    if asked.request.selection.tenants is None:
        raise Unfit({"tenants": ["name at least one of your tenants: you are confined to some"]})
    if asked.request.selection.where:  # which tells of attributes that nobody is shown
        raise Unfit({"where": ["it is for those who see all tenants; name the tenants that you mean"]})
    require_tenants(access, asked.request.selection.tenants)
    require_tenants(access, asked.request.selection.exclude)


async def _plan(context: WebContext, asked: Start) -> Planned:
    """Tell what a request would come to, and do nothing of it."""
    preview = await context.project.preview(asked.request)
    definition = preview.definition
    hidden = redacted_of(definition.signature, definition.job_class.redact, preview.args, preview.kwargs)
    call = f"{definition.name}({as_call(*shown(preview.args, preview.kwargs, hidden))})"
    if not definition.multi_tenant:
        return Planned(call, None, [NO_TENANT], 1, more=False)
    named: list[str] = []
    many = 0
    try:
        async with asyncio.timeout(PATIENCE), aclosing(preview.tenants()) as tenants:
            async for tenant in tenants:
                many += 1
                if many <= NAMED:
                    named.append(tenant.id)
                if many == COUNTED:
                    break
    except TimeoutError:
        message = f"the tenant source has not given all of them within {PATIENCE:g} s"
        raise TenantSourceFailed(message) from None
    return Planned(call, filter_of(preview, asked.request, context.project), named, many, more=many == COUNTED)
