"""What an author's own expressions may name in operations of the table facade."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, literal, select
from sqlalchemy.orm import aliased

from pinstripe.database.catalog import declared
from pinstripe.database.expressions import check_bare, check_changed, clause_of, is_expression
from pinstripe.database.scope import Scopes
from pinstripe.errors import IsolationError
from pinstripe.tenants import Tenant
from tests.database import shop_models
from tests.database.settings import database_settings
from tests.database.shop_models import Plan, Post, User

if TYPE_CHECKING:
    from pathlib import Path

    from pinstripe.database.scope import Scope

USERS: Any = User.__table__


@pytest.fixture
def scope(tmp_path: Path) -> Scope:
    """Give a tenant's scope over the shop's models."""
    settings = database_settings(tmp_path, models=shop_models.__name__, shared_tables=["plans"])
    return Scopes(declared(settings, "rows"), "sqlite").of(Tenant("acme"))


def test_an_attribute_is_an_expression_and_a_value_is_none() -> None:
    assert all(is_expression(one) for one in (User.name, USERS.c.name, func.now(), select(User), literal(1)))
    assert not any(is_expression(one) for one in ("name", 1, None, User(), [User.name]))
    assert clause_of(USERS.c.name) is USERS.c.name
    assert clause_of("name") == "name"


@pytest.mark.parametrize("check", [check_bare, check_changed])
def test_own_columns_and_what_is_shared_may_be_named(scope: Scope, check: Any) -> None:
    for expression in (USERS.c.age + 1, func.lower(User.name), select(func.max(Plan.id)).scalar_subquery()):
        check(expression, scope, USERS)


@pytest.mark.parametrize("check", [check_bare, check_changed])
def test_other_rows_are_refused(scope: Scope, check: Any) -> None:
    others = (Post.title, aliased(User).name, USERS.alias().c.name, select(USERS.alias().c.id).scalar_subquery())
    for expression in others:
        with pytest.raises(IsolationError):
            check(expression, scope, USERS)


def test_only_where_criteria_hold_a_query_inside_may_read_the_tenants_rows(scope: Scope) -> None:
    titles = select(func.max(Post.title)).scalar_subquery()
    check_changed(titles, scope, USERS)
    with pytest.raises(IsolationError, match="'posts' stands in a query where nothing would keep it to the tenant"):
        check_bare(titles, scope, USERS)
