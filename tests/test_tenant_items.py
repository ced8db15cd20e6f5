from __future__ import annotations

from collections import UserDict, namedtuple
from dataclasses import dataclass
from enum import Enum
from typing import Any
from uuid import UUID

import pytest

from pinstripe.comparisons import Checks, read_lookups
from pinstripe.errors import ConfigurationError, TenantSourceFailed
from pinstripe.tenant_items import Selector
from pinstripe.tenants import Tenant


def select(items: list[Any], *, key: str = "id", **lookups: Any) -> tuple[list[Tenant], Exception | None]:
    checks = [(lookup.attribute, Checks(lookup), False) for lookup in read_lookups(lookups)]
    found: list[Tenant] = []
    return found, Selector(key, "accounts", checks).select(items, found)


@dataclass
class Account:
    id: int
    plan: str


Pair = namedtuple("Pair", "id plan")  # noqa: PYI024 - as database drivers make them


class Slug(str, Enum):  # noqa: UP042 - its str() is not its value, as in older applications
    ZOO = "zoo"


class Row:
    """A row as drivers have it: keys, and values by key, and no `Mapping`."""

    def __init__(self, **values: object) -> None:
        self._values = values

    def keys(self) -> list[str]:
        return list(self._values)

    def __getitem__(self, key: str) -> object:
        return self._values[key]


@pytest.mark.parametrize(
    "item",
    [{"id": 7, "plan": "pro"}, UserDict(id=7, plan="pro"), Account(7, "pro"), Pair(7, "pro"), Row(id=7, plan="pro")],
)
def test_attributes_are_read_from_mappings_objects_and_rows(item: Any) -> None:
    found, error = select([item], plan="pro", id__ge=7)
    assert error is None
    assert [(tenant.id, tenant.plan) for tenant in found] == [("7", "pro")]
    _, error = select([item], plam="pro")
    assert str(error) == "tenant '7' of accounts has no attribute 'plam'; the nearest is plan"
    assert isinstance(error, ConfigurationError)


@pytest.mark.parametrize(
    ("item", "id_"),
    [("acme", "acme"), (7, "7"), (UUID(int=7), str(UUID(int=7))), ("Zürich", "Zürich"), (Slug.ZOO, "zoo"), (0, "0")],
)
def test_plain_ids_are_tenants_with_nothing_else(item: Any, id_: str) -> None:
    (tenant,), error = select([item])
    assert error is None
    assert tenant.id == id_
    assert type(tenant.id) is str
    assert tenant.get("upper") is None
    assert select([item], id=item)[0] == [tenant]
    assert select([item], key="slug", slug__ne=[])[0] == [tenant]
    assert "has no attribute 'plan'; it has id" in str(select([item], plan="pro")[1])


def test_tenants_are_taken_as_they_are() -> None:
    tenant = Tenant("acme", {"plan": "pro"})
    found, error = select([tenant], key="slug", plan="pro", id="acme")
    assert error is None
    assert found[0] is tenant
    assert isinstance(select([Tenant("")])[1], TenantSourceFailed)


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"name": "a"}, "item 2 has no 'id', which is to hold the id; .* got dict with name"),
        (object(), "item 2 has no 'id'.* got object with nothing to read"),
        (None, "item 2 has no 'id'"),
        (("a", True), "item 2 has no 'id'.* got tuple with count, index"),
        ({"id": None}, "item 2 has a 'id' of type None; expected an id"),
        ({"id": 1.5}, "item 2 has a 'id' of type float"),
        ({"id": True}, "item 2 has a 'id' of type bool"),
        (False, "item 2 has a 'id' of type bool"),
        ({"id": b"a"}, "item 2 has a 'id' of type bytes"),
        ({"id": ""}, "item 2 has the 'id' ''; expected an id that isn't empty"),
        ("", "item 2 has the 'id' ''"),
        ("a\0b", "without NUL"),
        ("\ud800", "half characters"),
    ],
)
def test_what_has_no_id_fails_the_source_by_its_place(item: Any, words: str) -> None:
    found, error = select(["first", item, "third"])
    assert isinstance(error, TenantSourceFailed)
    with pytest.raises(TenantSourceFailed, match=f"tenant source accounts failed: .*{words}"):
        raise error
    assert [tenant.id for tenant in found] == ["first"]


def test_items_of_several_kinds_may_come_together() -> None:
    found, error = select([{"id": "a", "n": 1}, Account(2, "pro"), {"id": "c", "n": None}][::2], n__ne=5)
    assert error is None
    assert [tenant.id for tenant in found] == ["a"]
