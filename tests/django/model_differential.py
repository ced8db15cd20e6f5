"""A program: random filters over random rows, asked of a Django model and of plain Python, with the same answers.

`python -m tests.django.model_differential DATABASE EXAMPLES`, where the database is a SQLite file or the name, socket
folder and user of a PostgreSQL one; Django's settings are the process's own.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import django
from django.conf import settings as django_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pinstripe.errors import ConfigurationError
from pinstripe.tenant_sources import Tenants
from pinstripe.text_values import TextValue
from tests.tenant_manners import ids

if TYPE_CHECKING:
    from collections.abc import Callable

    from pinstripe.tenants import TenantSource

TEXTS = st.text(alphabet="aAbÉé%_\\\N{GRINNING FACE} ", max_size=3)
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2026, 1, 3), timezones=st.just(UTC))  # noqa: DTZ001
NUMBERS = st.integers(-3, 3) | st.sampled_from([-2.5, 0.5, 2.5, 10**20, -(10**20), float("inf"), Decimal("1.25")])
COLUMNS: dict[str, tuple[st.SearchStrategy[Any], st.SearchStrategy[Any]]] = {
    "name": (TEXTS, TEXTS | st.sampled_from([TextValue("a"), TextValue("null")])),
    "loose": (TEXTS, TEXTS),
    "seats": (st.integers(-3, 3), NUMBERS | st.booleans() | st.sampled_from([TextValue("1"), TextValue("true")])),
    "share": (st.sampled_from([-1.5, 0.0, 0.5, 2.0]), NUMBERS),
    "price": (st.decimals(-3, 3, places=1), NUMBERS | st.sampled_from([Decimal("0.15"), Decimal(10**6), 0.5])),
    "active": (st.booleans(), st.booleans() | st.sampled_from([2, 0, 0.5, TextValue("yes"), TextValue("null")])),
    "since": (MOMENTS, MOMENTS | st.sampled_from([TextValue("2026-01-02"), datetime(2026, 1, 1)])),  # noqa: DTZ001
    "day": (st.dates(date(2026, 1, 1), date(2026, 1, 4)), st.dates(date(2026, 1, 1), date(2026, 1, 4))),
    "span": (st.timedeltas(timedelta(0), timedelta(1)), st.timedeltas(timedelta(0), timedelta(1))),
    "token": (st.sampled_from([UUID(int=1), UUID(int=2**127)]), st.sampled_from([UUID(int=1), UUID(int=2**100)])),
}
"""For each column what it holds, and what it is compared with."""

WRONG: st.SearchStrategy[Any] = st.sampled_from(["a", 1, date(2026, 1, 1), UUID(int=1), TextValue("x"), b"a"])
ROWS = st.lists(st.fixed_dictionaries({name: st.none() | held for name, (held, _) in COLUMNS.items()}), max_size=10)


@st.composite
def lookups(draw: st.DrawFn) -> dict[str, Any]:
    drawn: dict[str, Any] = {}
    for _ in range(draw(st.integers(0, 3))):
        column = draw(st.sampled_from([*COLUMNS]))
        of_text = ("begins_with", "ends_with", "contains") if column in {"name", "loose"} else ()
        comparison = draw(st.sampled_from(["", "ne", "lt", "gt", "le", "ge", *of_text, *of_text]))
        one = draw(st.sampled_from([COLUMNS[column][1]] * 9 + [WRONG]))
        if comparison in ("", "ne"):
            one = st.none() | one
        drawn[f"{column}__{comparison}" if comparison else column] = draw(one | st.lists(one, max_size=3))
    return drawn


def answer(make: Callable[[], TenantSource]) -> list[str] | str:
    try:
        return asyncio.run(ids(make()))
    except ConfigurationError:
        return "can't be asked"


def main(database: dict[str, Any], examples: int) -> None:
    django_settings.configure(DATABASES={"default": database}, USE_TZ=True, TIME_ZONE="Europe/Paris")
    django.setup()
    from django.db import connection, models

    collation = "NOCASE" if connection.vendor == "sqlite" else None

    class Client(models.Model):  # type: ignore[misc]  # noqa: DJ008 - it is shown to nobody
        id = models.CharField(max_length=9, primary_key=True)
        name = models.CharField(max_length=9, null=True)  # noqa: DJ001 - NULL is what is tried
        loose = models.TextField(null=True, db_collation=collation)  # noqa: DJ001 - as above
        seats = models.IntegerField(null=True)
        share = models.FloatField(null=True)
        price = models.DecimalField(max_digits=5, decimal_places=1, null=True)
        active = models.BooleanField(null=True)
        since = models.DateTimeField(null=True)
        day = models.DateField(null=True)
        span = models.DurationField(null=True)
        token = models.UUIDField(null=True)

        class Meta:
            app_label = "shop"

    with connection.schema_editor() as editor:
        editor.create_model(Client)
    from pinstripe.django_models import ModelTenants

    tally = {"answered": 0, "refused": 0, "found": 0}

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(ROWS, lookups())
    def same(rows: list[dict[str, Any]], where: dict[str, Any]) -> None:
        items = [{"id": f"t{number}", **row} for number, row in enumerate(rows)]
        Client.objects.all().delete()
        Client.objects.bulk_create(Client(**item) for item in items)
        by_python = answer(lambda: Tenants(items).where(**where))
        by_django = answer(lambda: ModelTenants(Client).where(**where))
        # Python meets what can't be compared only where there is a value; a table always has its type.
        if by_django == "can't be asked" and by_python != by_django:
            assert not all(all(row[key.partition("__")[0]] is not None for row in rows) and rows for key in where)
        else:
            assert by_django == by_python, (where, items)
        tally["refused" if isinstance(by_django, str) else "answered"] += 1
        tally["found"] += bool(by_django) and not isinstance(by_django, str)

    same()
    connection.close()
    print(json.dumps(tally))  # noqa: T201 - it is a program


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), int(sys.argv[2]))
