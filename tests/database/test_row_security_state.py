from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pinstripe.database.row_security_state import look
from pinstripe.errors import ConfigurationError
from tests.database.guarded import catalog_of, catalog_of_classes, remedy, table, tables_of_notes, values
from tests.postgres import APP, OWNER

if TYPE_CHECKING:
    from tests.database.guarded import Guarded

pytestmark = pytest.mark.anyio

SUPERUSERS = """
    create view peep as select * from notes;
    grant select on peep to app
"""


async def views(guarded: Guarded, user: str = APP) -> list[str]:
    async with guarded.connect(user) as connection:
        return [view.name for view in (await look(connection, catalog_of(tables_of_notes()))).views]


async def count(guarded: Guarded, view: str) -> int:
    async with guarded.transaction("acme") as connection:
        (found,) = await values(connection, f"select count(*) from {view}")
        return int(found)


async def test_a_superusers_view_is_refused_until_it_reads_as_whoever_asks(guarded: Guarded) -> None:
    catalog = catalog_of(tables_of_notes())
    await guarded.enable(catalog)
    await guarded.execute(SUPERUSERS, user=None)
    assert await count(guarded, "peep") == 2  # this is why
    with pytest.raises(
        ConfigurationError, match=r"view public\.peep reads as its owner \w+, whom no policy holds"
    ) as caught:
        await guarded.inspect(catalog)
    await guarded.execute(remedy(caught.value), user=None)
    assert await guarded.inspect(catalog) is True
    assert await count(guarded, "peep") == 1


async def test_a_view_before_security_invokers_is_given_to_the_tables_owner(guarded: Guarded) -> None:
    catalog = catalog_of(tables_of_notes())
    await guarded.enable(catalog)
    await guarded.execute("alter table notes no force row level security")
    await guarded.execute(SUPERUSERS, user=None)
    async with guarded.connect() as connection:
        state = await look(connection, catalog)
    old = state._replace(views=[view._replace(can_invoke=False) for view in state.views])
    (fault,) = old.view_faults()
    await guarded.execute(";".join(fault.remedy), user=None)
    assert await guarded.inspect(catalog) is True
    assert await count(guarded, "peep") == 1


async def test_the_owners_view_is_as_good_as_the_force_on_its_table(guarded: Guarded) -> None:
    catalog = catalog_of(tables_of_notes())
    await guarded.enable(catalog)
    await guarded.execute("create view own as select * from notes")
    assert (await count(guarded, "own"), await guarded.inspect(catalog)) == (1, True)
    await guarded.execute("alter table notes no force row level security")
    assert await count(guarded, "own") == 2
    assert await views(guarded) == ["public.own"]


async def test_a_view_over_such_a_view_shows_what_that_shows(guarded: Guarded) -> None:
    await guarded.enable(catalog_of(tables_of_notes()))
    await guarded.execute(f"create view inner_ as select * from notes; grant select on inner_ to {OWNER}", user=None)
    assert await views(guarded) == []  # the application may not read it
    await guarded.execute("create view outer_ as select * from inner_")
    assert await count(guarded, "outer_") == 2
    assert await views(guarded) == ["public.inner_"]


async def test_a_materialized_view_is_refused_unless_it_is_shared(guarded: Guarded) -> None:
    catalog = catalog_of(tables_of_notes())
    await guarded.execute("create materialized view totals as select tenant_id, count(*) from notes group by tenant_id")
    await guarded.enable(catalog)
    with pytest.raises(
        ConfigurationError, match=r"materialized view public\.totals keeps rows of all tenants"
    ) as caught:
        await guarded.inspect(catalog)
    metadata = tables_of_notes()
    table("totals", "other").tables["totals"].to_metadata(metadata)
    assert await guarded.inspect(catalog_of(metadata, shared_tables=["plans", "totals"])) is True
    await guarded.execute(remedy(caught.value))
    assert await guarded.inspect(catalog) is True
    await guarded.execute(
        "create view mine as select * from totals where tenant_id = current_setting('pinstripe.tenant')"
    )
    assert (await count(guarded, "mine"), await guarded.inspect(catalog)) == (1, True)


async def test_a_view_that_is_mapped_is_no_table_to_protect(guarded: Guarded) -> None:
    await guarded.execute("create view lines with (security_invoker = true) as select * from notes")
    metadata = tables_of_notes()
    table("lines").tables["lines"].to_metadata(metadata)
    catalog = catalog_of(metadata)
    assert (await guarded.enable(catalog)).changed == ["public.notes", "public.pages"]
    assert await guarded.inspect(catalog) is True


async def test_a_foreign_table_cannot_be_protected(guarded: Guarded) -> None:
    await guarded.execute(
        "create foreign data wrapper nowhere; create server far foreign data wrapper nowhere;"
        "create foreign table remote (id int, tenant_id text) server far",
        user=None,
    )
    metadata = tables_of_notes()
    table("remote").tables["remote"].to_metadata(metadata)
    catalog = catalog_of(metadata)
    enabled = await guarded.enable(catalog)
    assert [fault.problem for fault in enabled.left] == ["foreign table public.remote can't have row-level security"]
    with pytest.raises(ConfigurationError, match="foreign table"):
        await guarded.inspect(catalog)


async def test_a_schema_that_the_role_may_not_use_is_told_of(guarded: Guarded) -> None:
    await guarded.execute("create schema apart; create table apart.things (tenant_id text)")
    await guarded.execute(f"revoke usage on schema apart from {APP}")
    catalog = catalog_of(table("things", schema="apart"))
    with pytest.raises(ConfigurationError, match=r"^permission denied for schema apart; mend it with\n") as caught:
        await guarded.inspect(catalog)
    await guarded.execute(remedy(caught.value))
    assert await guarded.inspect(catalog) is False


async def test_a_table_that_lacks_the_column_is_told_of(guarded: Guarded) -> None:
    catalog = catalog_of(tables_of_notes())
    await guarded.execute("alter table pages drop column tenant_id")
    enabled = await guarded.enable(catalog)
    assert enabled.changed == ["public.notes"]
    problem = "table public.pages doesn't have the tenant column in the database"
    assert [fault.problem for fault in enabled.left] == [problem]
    with pytest.raises(ConfigurationError, match=problem):
        await guarded.inspect(catalog)


async def test_a_class_with_a_table_without_the_column_does_without_row_level_security(guarded: Guarded) -> None:
    await guarded.execute(
        'create table people (id int primary key, tenant_id text); create table "Staff" (id int references people)'
    )
    catalog = catalog_of_classes()
    assert await guarded.inspect(catalog) is False
    enabled = await guarded.enable(catalog)
    problem = 'table "Staff" has no tenant column of its own, so no policy can tell whose its rows are'
    assert [fault.problem.startswith(problem) for fault in enabled.left] == [True]
    with pytest.raises(ConfigurationError, match=problem):
        await guarded.inspect(catalog)
