from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pinstripe.runs import Request
from pinstripe.selection import Selection
from pinstripe.views.preview import filter_of, preview_json
from tests.views.conftest import opened

if TYPE_CHECKING:
    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio

GREET = """
    from pinstripe import BackgroundJob

    class Greet(BackgroundJob):
        multi_tenant = True
        async def run(self, times: int = 1): ...
    """


async def test_all_tenants_are_counted_and_as_many_are_named_as_are_asked_for(shop: ProjectFolder) -> None:
    shop.job("greet", GREET)
    async with opened(shop) as project:
        preview = await project.preview(Request("greet", args=("2",), text=True))
        all_of_it = {"job": "greet", "args": [2], "kwargs": {}, "total": 2, "tenants": ["acme", "globex"]}
        assert await preview_json(preview) == all_of_it
        assert await preview_json(preview, most=1) == {**all_of_it, "tenants": ["acme"]}
        assert await preview_json(preview, most=0) == {**all_of_it, "tenants": []}


async def test_the_filter_in_force_is_told_with_what_was_asked_for(shop: ProjectFolder) -> None:
    shop.job("greet", GREET)
    async with opened(shop) as project:
        selection = Selection(where=(("plan", "\x1b[2J"),), exclude=("acme",))
        request = Request("greet", selection=selection)
        preview = await project.preview(Request("greet"))
        assert filter_of(preview, request, project) == r"active=True; --where plan=\x1b[2J; --except, 1 named"
