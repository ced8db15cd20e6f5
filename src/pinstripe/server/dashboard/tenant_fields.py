"""Tenants' ids in forms: a browser rewrites line breaks in what it sends, so an id that has some is sent as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pinstripe.server.problems import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PLAIN = "tenant"
"""The field that has an id as it is."""

AS_JSON = "tenant-json"
"""The field that has one as JSON."""


def tenant_field(id_: str | None) -> dict[str, str]:
    """Give the field that stands for a tenant in a form, by its name; none for no tenant."""
    if id_ is None:
        return {}
    return {AS_JSON: json.dumps(id_)} if "\n" in id_ or "\r" in id_ else {PLAIN: id_}


def tenants_in(form: Mapping[str, Sequence[str]]) -> list[str]:
    """Give the tenants that a form names, each once; raises `Refused` for what can't be one."""
    return list(dict.fromkeys([*form.get(PLAIN, ()), *map(_read, form.get(AS_JSON, ()))]))


def _read(text: str) -> str:
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, str):
        raise Refused(400, "Unreadable form", f"expected a tenant's id as JSON in {AS_JSON}", type_="bad-request")
    return found
