"""The arguments of a job, as a JSON Schema."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from pinstripe import BackgroundJob
from pinstripe.server.api.parameters import schema_of
from tests.shop import open_shop

if TYPE_CHECKING:
    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio


class Address(BaseModel):
    street: str


class Unwritable:
    pass


class Post(BackgroundJob):
    async def run(self, to: Address, day: date = date(2026, 1, 1), anything: Any = None, **others: int) -> None:
        return None


class Odd(BackgroundJob):
    async def run(self, one: Unwritable) -> None:
        return None


async def test_models_are_told_with_their_parts(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        definition = shop.project.registry.find(shop.add(Post))
        schema = schema_of(definition)
        assert schema is not None
        assert schema == {
            "type": "object",
            "properties": {
                "to": {**schema["properties"]["to"]},
                "day": {"type": "string", "format": "date"},
                "anything": {"default": None},
            },
            "required": ["to"],
            "additionalProperties": {"type": "integer"},
        } | ({"$defs": schema["$defs"]} if "$defs" in schema else {})
        assert "street" in str(schema["properties"]["to"]) + str(schema.get("$defs"))
        assert schema_of(definition) is schema


async def test_what_pydantic_has_no_schema_for_is_not_told(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        assert schema_of(shop.project.registry.find(shop.add(Odd))) is None
