from __future__ import annotations

import pytest

from pinstripe.actor import Actor, Door
from pinstripe.server.access.identity import Access, Role
from pinstripe.server.access.require import (
    actor_of,
    require_all,
    require_operate,
    require_tenant,
    require_tenants,
)
from pinstripe.server.problems import Refused

ALL = Access("ada", Role.OPERATE)
READER = Access("bob", Role.READ)
OWN = Access("eve", Role.OPERATE, frozenset({"acme", "globex"}))
NONE = Access("mallory", Role.OPERATE, frozenset())


def test_who_may_do_everything_is_let_through() -> None:
    require_operate(ALL)
    require_operate(OWN)
    require_all(READER)
    require_tenants(READER, None)
    for tenant in ("acme", "other", "", None):
        require_tenant(ALL, tenant)


@pytest.mark.parametrize("tenant", ["other", "", "ACME", "acme ", None])
def test_who_is_confined_gets_nothing_of_others(tenant: str | None) -> None:
    require_tenant(OWN, "acme")
    require_tenants(OWN, ["acme", "globex"])
    for access in (OWN, NONE):
        with pytest.raises(Refused) as caught:
            require_tenant(access, tenant)
        assert caught.value.problem.status == 403
    for tenants in (None, ["acme", "other"]):
        with pytest.raises(Refused):
            require_tenants(OWN, tenants)
    with pytest.raises(Refused):
        require_all(OWN)


def test_who_may_read_does_nothing() -> None:
    with pytest.raises(Refused, match="'bob' has the role 'read'") as caught:
        require_operate(READER)
    assert caught.value.problem.status == 403


def test_who_acts_is_the_one_who_was_let_in() -> None:
    assert actor_of(OWN, Door.API) == Actor(Door.API, "eve")
