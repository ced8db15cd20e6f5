"""The form that starts a job: it says first, where it is asked to, for whom and with what; and then it does."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse
from starlette.routing import Route

from pinstripe.actor import Door
from pinstripe.clock import to_microseconds
from pinstripe.errors import PinstripeError
from pinstripe.priority import Priority
from pinstripe.server.access.forms import checked_form
from pinstripe.server.access.identity import access_of
from pinstripe.server.access.require import actor_of, require_all, require_operate, require_tenants
from pinstripe.server.dashboard.likeness import Like, like_run
from pinstripe.server.dashboard.links import url
from pinstripe.server.dashboard.planning import Planned, pauses_of, plan
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
from pinstripe.views.parameters import parameters_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from pinstripe.definition import Definition
    from pinstripe.server.access.identity import Access
    from pinstripe.server.context import WebContext

OWN_NAMED = 100
"""How many of their tenants who is confined is told."""

AGAIN_AFTER = 5_000_000
"""From how many microseconds on a form that is sent once more is told to have started its run before."""


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
        like = await _like(context, request, definition)
        return await _form(context, request, definition, like.fields, secrets.token_hex(16), note=like.note)

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
                planned = await plan(context, asked.request)
                return await _form(context, request, definition, fields, token, planned=planned)
            key = key_of(token, fields)
            now = project.clock.now()
            run = await project.enqueue(
                asked.request, asked.terms._replace(key=key), actor=actor_of(access, Door.DASHBOARD)
            )
        except Unfit as unfit:
            return await _form(context, request, definition, fields, token, errors=unfit.errors)
        except PinstripeError as error:
            errors = refused(definition, fields, error)
            return await _form(context, request, definition, fields, token, errors=errors)
        before = "1" if now - to_microseconds(run.created_at) > AGAIN_AFTER else None
        return RedirectResponse(url(f"/runs/{run.id}", before=before), 303)

    return [Route("/start", show, methods=["GET", "HEAD"]), Route("/start", start, methods=["POST"])]


async def _form(
    context: WebContext,
    request: Request,
    definition: Definition,
    fields: Mapping[str, str],
    token: str,
    *,
    planned: Planned | None = None,
    errors: Errors | None = None,
    note: str | None = None,
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
        note=note,
        pauses=await pauses_of(context, definition),
        errors=errors,
        general=errors.get(GENERAL, []),
        priorities=[("", "the job's own"), *((str(one), str(one)) for one in Priority)],
        zone=context.settings.time_zone,
        own=None if own is None else sorted(own)[:OWN_NAMED],
    )


async def _like(context: WebContext, request: Request, definition: Definition) -> Like:
    """Begin the form as a run was that it is to be like, or for a tenant, where one is named."""
    tenant, like = request.query_params.get("tenant"), request.query_params.get("like")
    found = Like({})
    if like and not access_of(request).is_confined:
        found = await like_run(context.project.ledger, definition, like)
    return Like({**found.fields, "tenants": tenant}, found.note) if tenant else found


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
