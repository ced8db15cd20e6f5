from __future__ import annotations

import copy
import pickle
from types import SimpleNamespace
from typing import Any

import pytest

from pinstripe.tenants import Tenant


@pytest.mark.parametrize("item", [{"id": "acme", "plan": "pro"}, SimpleNamespace(id="acme", plan="pro")])
def test_attributes_are_those_of_the_item(item: Any) -> None:
    tenant = Tenant("acme", item)
    assert tenant.id == "acme"
    assert tenant.plan == "pro"
    assert tenant.get("plan") == "pro"
    assert tenant.get("seats") is None
    assert tenant.get("seats", 5) == 5
    with pytest.raises(AttributeError, match="tenant 'acme' has no attribute 'seats'"):
        _ = tenant.seats


def test_the_id_is_the_text_also_where_the_item_has_a_number() -> None:
    assert Tenant("7", {"id": 7}).id == "7"


def test_it_cannot_be_changed() -> None:
    tenant: Any = Tenant("acme", {"plan": "pro"})
    with pytest.raises(AttributeError, match="can't be changed"):
        tenant.id = "bolt"
    with pytest.raises(AttributeError, match="can't be changed"):
        tenant.plan = "free"
    with pytest.raises((AttributeError, TypeError)):
        del tenant.id
    assert (tenant.id, tenant.plan) == ("acme", "pro")


def test_two_are_equal_when_their_ids_are() -> None:
    assert Tenant("acme", {"plan": "pro"}) == Tenant("acme")
    assert len({Tenant("acme", {"plan": "pro"}), Tenant("acme")}) == 1
    assert Tenant("acme") != Tenant("Acme")
    assert Tenant("acme") != "acme"


def test_its_repr_shows_nothing_secret() -> None:
    assert repr(Tenant("acme", {"password": "hunter2"})) == "Tenant('acme')"


def test_it_travels_to_a_process_and_is_copied() -> None:
    tenant = Tenant("acme", {"plan": "pro"})
    for other in (pickle.loads(pickle.dumps(tenant)), copy.copy(tenant), copy.deepcopy(tenant)):
        assert other == tenant
        assert other.plan == "pro"
