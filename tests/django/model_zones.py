"""A program that asks a Django model, and plain Python, for the time zones of tenants; what differs is told as JSON.

`python -m tests.django.model_zones DATABASE`, where the database is Django's setting for it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import django
from django.conf import settings as django_settings

from pinstripe.background_job import BackgroundJob
from pinstripe.errors import PinstripeError
from pinstripe.loading import define
from pinstripe.selection import Selection, ZoneChoice, choose_again
from pinstripe.tenant_sources import Tenants
from pinstripe.zone_groups import ZoneGroups

if TYPE_CHECKING:
    from pinstripe.tenants import TenantSource

TEXTS = ["Europe/Paris", "europe/paris", "Asia/Tokyo", None, "", "Europe/Paris ", "Mars/Phobos", "Asia/Tokyo"]
ATTRIBUTES = ["time_zone", "loose", "zone", "seats", "own_zone", "missing"]


class ForAll(BackgroundJob):
    multi_tenant = True

    def run(self) -> None: ...


async def answer(source: TenantSource, attribute: str) -> dict[str, list[str]]:
    definition = define("the_job", ForAll, multi_tenant=False)
    zones = await ZoneGroups(lambda: source, active="active", attribute=attribute, default="UTC").read(definition)
    found = {}
    for name in sorted(zones):
        selection = Selection(zone=ZoneChoice(name, attribute, "UTC"))
        choice = choose_again(definition, selection, source, "active")
        found[name] = sorted([tenant.id async for page in choice.pages() for tenant in page])
    return found


def stripped(text: str | None) -> str | None:
    return text and text.strip()


def main(database: dict[str, Any]) -> None:
    django_settings.configure(DATABASES={"default": database}, USE_TZ=True)
    django.setup()
    from django.db import connection, models

    from pinstripe.django_models import VALUES, ModelTenants

    class ZoneField(models.CharField):  # type: ignore[misc]
        """A field of an author's own that gives zones."""

        def from_db_value(self, value: str | None, *_: object) -> ZoneInfo | None:
            return None if value is None else ZoneInfo(value)

        def get_prep_value(self, value: Any) -> Any:
            return value.key if isinstance(value, ZoneInfo) else value

    collation = "NOCASE" if connection.vendor == "sqlite" else "loose"
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("create collation loose (provider=icu, locale='und-u-ks-level2', deterministic=false)")

    class Client(models.Model):  # type: ignore[misc]  # noqa: DJ008 - it is shown to nobody
        id = models.CharField(max_length=9, primary_key=True)
        time_zone = models.CharField(max_length=20, null=True)  # noqa: DJ001 - NULL is what is tried
        loose = models.CharField(max_length=20, null=True, db_collation=collation)  # noqa: DJ001 - as above
        zone = ZoneField(max_length=20, null=True)
        seats = models.IntegerField()
        active = models.BooleanField()

        class Meta:
            app_label = "shop"

        @property
        def own_zone(self) -> str | None:
            return stripped(self.time_zone)

    with connection.schema_editor() as editor:
        editor.create_model(Client)
    items: list[dict[str, Any]] = [
        {"id": f"t{number}", "time_zone": text, "loose": text, "zone": zone, "seats": number, "active": number != 5}
        for number, (text, zone) in enumerate(
            zip(TEXTS, [None, *map(ZoneInfo, ["Asia/Tokyo", "UTC"] * 3)], strict=False)
        )
    ]
    Client.objects.bulk_create(Client(**item) for item in items)
    found: dict[str, Any] = {}
    for attribute in ATTRIBUTES:
        own = [{**item, "own_zone": stripped(item["time_zone"])} for item in items]
        by_django = asyncio.run(answer(ModelTenants(Client), attribute))
        found[attribute] = by_django if by_django == asyncio.run(answer(Tenants(own), attribute)) else "not the same"

    async def values(attribute: str) -> Any:
        told = await ModelTenants(Client).where(seats__lt=3).distinct(attribute)
        return None if told is None else sorted(map(str, told))

    found["values"] = {attribute: asyncio.run(values(attribute)) for attribute in ATTRIBUTES}
    Client.objects.bulk_create(
        Client(id=f"m{number}", time_zone=f"shop-{number}", seats=9, active=True) for number in range(VALUES)
    )
    found["too many"] = asyncio.run(ModelTenants(Client).distinct("time_zone"))
    with connection.schema_editor() as editor:
        editor.delete_model(Client)
    connection.close()
    try:
        asyncio.run(ModelTenants(Client).distinct("time_zone"))
    except PinstripeError as error:
        found["gone"] = type(error).__name__
    print(json.dumps(found))  # noqa: T201 - it is a program


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
