"""What keeps expressions, changes and rows within a scope, or refuses them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, literal, text

from pinstripe.database.catalog import declared
from pinstripe.database.guards import check_assigned, check_expression, check_flush
from pinstripe.database.scope import Scopes
from pinstripe.errors import IsolationError, TenantRequired
from pinstripe.tenants import Tenant
from tests.database import shop_models
from tests.database.settings import database_settings
from tests.database.shop_models import Line, Log, Plan, Post, User

if TYPE_CHECKING:
    from pinstripe.database.scope import Scope


@pytest.fixture(scope="module")
def scopes(tmp_path_factory: pytest.TempPathFactory) -> Scopes:
    """Give the scopes over the shop's models."""
    folder = tmp_path_factory.mktemp("guards")
    settings = database_settings(folder, models=shop_models.__name__, shared_tables=["plans"])
    return Scopes(declared(settings, "rows"), "sqlite")


@pytest.fixture(scope="module")
def acme(scopes: Scopes) -> Scope:
    """Give a tenant's scope."""
    return scopes.of(Tenant("acme"))


def test_a_new_row_is_given_the_tenant(acme: Scope) -> None:
    rows: list[Any] = [User(name="x"), Line(order=1, number=1), Plan(name="x")]
    check_flush(rows, acme, stamp=True)
    assert (rows[0].tenant_id, rows[1].tenant) == ("acme", "acme")


@given(whose=st.one_of(st.text(max_size=5), st.integers(), st.just(literal("acme")), st.just(func.lower("ACME"))))
def test_a_row_of_anybody_else_is_refused(acme: Scope, whose: Any) -> None:
    row = User(name="x", tenant_id=whose)
    if isinstance(whose, str) and whose == "acme":
        check_flush([row], acme, stamp=True)
        return
    for stamp in (True, False):
        with pytest.raises(IsolationError, match="in a workspace of tenant 'acme'; leave tenant_id out"):
            check_flush([row], acme, stamp=stamp)


def test_a_row_without_a_tenant_is_refused_where_none_is_given_any_more(acme: Scope) -> None:
    with pytest.raises(IsolationError, match="tenant_id = None in a workspace of tenant 'acme'"):
        check_flush([User(name="x")], acme, stamp=False)


def test_rows_beyond_the_scope_are_refused(scopes: Scopes, acme: Scope) -> None:
    with pytest.raises(IsolationError, match="table 'logs' can't be used"):
        check_flush([Log(line="x")], acme, stamp=True)
    with pytest.raises(IsolationError, match="Catalog is no mapped class of"):
        check_flush([acme.catalog], acme, stamp=True)
    with pytest.raises(TenantRequired, match="table 'users' belongs to tenants"):
        check_flush([User(name="x")], scopes.of(None), stamp=True)
    check_flush([Plan(name="x")], scopes.of(None), stamp=True)


@pytest.mark.parametrize("key", ["tenant_id", User.tenant_id, User.__table__.c.tenant_id])
def test_a_row_stays_with_its_tenant_by_whatever_name(acme: Scope, scopes: Scopes, key: Any) -> None:
    with pytest.raises(IsolationError, match="tenant_id can't be changed: a row stays with its tenant"):
        check_assigned([("name", "x"), (key, "acme")], User.__mapper__, acme)
    check_assigned([("name", "x")], User.__mapper__, acme)
    check_assigned([(key, "acme")], User.__mapper__, scopes.unscoped(None))


def test_an_expression_is_refused_for_text_and_for_tables_that_nothing_keeps(acme: Scope) -> None:
    check_expression(User.id == 1, acme, orm=True, own=User.__mapper__)
    with pytest.raises(IsolationError, match=r"SQL written as text \('1 = 1'\) can't be kept to the tenant"):
        check_expression(text("1  =\n1"), acme, orm=True, own=User.__mapper__)
    with pytest.raises(IsolationError, match="table 'posts' stands in a query where nothing would keep it"):
        check_expression(Post.id == 1, acme, orm=True, own=User.__mapper__)
