from __future__ import annotations

import pickle
from typing import Any

import pytest

from pinstripe import Limits


@pytest.mark.parametrize(
    ("arguments", "total", "per_tenant"),
    [({"total": 3}, 3, None), ({"per_tenant": 1}, None, 1), ({"total": 10, "per_tenant": 2}, 10, 2)],
)
def test_limits(arguments: dict[str, int], total: int | None, per_tenant: int | None) -> None:
    limits = Limits(**arguments)
    assert (limits.total, limits.per_tenant) == (total, per_tenant)


@pytest.mark.parametrize("name", ["total", "per_tenant"])
@pytest.mark.parametrize(
    ("value", "kind", "reason"),
    [
        ("3", TypeError, "limits: expected {} to be a whole number of at least 1, got '3'"),
        (1.0, TypeError, "limits: expected {} to be a whole number of at least 1, got 1.0"),
        (True, TypeError, "limits: expected {} to be a whole number of at least 1, got True"),
        (0, ValueError, "limits: expected {} to be at least 1, got 0; `pinstripe pause` stops a job"),
        (
            10**9 + 1,
            ValueError,
            "limits: expected {} to be at most 1,000,000,000, got 1000000001; None is for no limit",
        ),
        (-1, ValueError, "limits: expected {} to be at least 1, got -1; `pinstripe pause` stops a job"),
    ],
)
def test_what_is_wrong_is_told(name: str, value: Any, kind: type[Exception], reason: str) -> None:
    with pytest.raises(kind) as caught:
        Limits(**{name: value})
    assert str(caught.value).startswith(reason.format(name))


def test_limits_of_nothing() -> None:
    with pytest.raises(ValueError, match="limits: expected total=…, per_tenant=… or both; leave `limits` away for no"):
        Limits()


def test_they_are_a_value() -> None:
    limits = Limits(total=3, per_tenant=1)
    assert limits == Limits(3, 1)
    assert hash(limits) == hash(Limits(3, 1))
    assert pickle.loads(pickle.dumps(limits)) == limits
    with pytest.raises(AttributeError):
        limits.total = 4  # type: ignore[misc]
