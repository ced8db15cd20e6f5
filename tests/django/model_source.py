"""A program that uses a Django model as a tenant source in other ways; what it finds is told as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from typing import Any
from uuid import UUID

import django
from django.conf import settings

from pinstripe.errors import PinstripeError
from pinstripe.tenants import TenantSource


def refusal(make: Any, *args: Any, **options: Any) -> str:
    try:
        make(*args, **options)
    except PinstripeError as error:
        return f"{type(error).__name__}: {error}"
    return "no refusal"


def end_readings() -> None:
    for thread in threading.enumerate():
        if "tenants" in thread.name:
            thread.join()


async def main(file: str) -> dict[str, Any]:
    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": file, "CONN_MAX_AGE": None}
    settings.configure(DATABASES={"default": database}, USE_TZ=True)
    django.setup()
    from django.db import connection, models
    from django.db.backends.signals import connection_created

    from pinstripe.django_models import ModelTenants
    from pinstripe.tenant_sources import is_django_model

    class Plan(models.Model):  # type: ignore[misc]
        name = models.CharField(max_length=9)

        class Meta:
            app_label = "shop"

        def __str__(self) -> str:
            return str(self.name)

    class Client(models.Model):  # type: ignore[misc]
        token = models.UUIDField(unique=True)
        slug = models.SlugField()
        active = models.BooleanField(default=True)
        extra = models.JSONField(default=dict)
        plan = models.ForeignKey(Plan, models.CASCADE, null=True)

        class Meta:
            app_label = "shop"

        def __str__(self) -> str:
            return str(self.slug)

    class Abstract(models.Model):  # type: ignore[misc]
        class Meta:
            abstract = True
            app_label = "shop"

        def __str__(self) -> str:
            return "abstract"

    opened: list[Any] = []

    def note(*, connection: Any, **_: Any) -> None:
        opened.append((connection, threading.current_thread().name))

    connection_created.connect(note)

    def fill() -> None:
        with connection.schema_editor() as editor:
            editor.create_model(Plan)
            editor.create_model(Client)
        plan = Plan.objects.create(name="pro")
        for number in range(1, 26):
            Client.objects.create(
                token=UUID(int=number), slug=f"c{number}", active=number % 2, plan=None if number > 2 else plan
            )
        connection.close()

    await asyncio.to_thread(fill)
    opened.clear()
    source = ModelTenants(Client)
    by_slug, by_token = ModelTenants(Client, key="slug"), ModelTenants(Client, key="token")
    found: dict[str, Any] = {
        "is a model": [is_django_model(each) for each in (Client, Client.objects, dict)],
        "is a source": isinstance(source, TenantSource),
        "pages": [[tenant.id for tenant in page] async for page in source.pages(10)],
        "active": [tenant.slug async for tenant in source.where_active("active").where(id__le=4)],
        "no such column": source.where_active("enabled") is source,
        "by ids": [*await source.by_ids(["3", "2", "03", " 3", "x", "", "99", "3", "1\0", "0x3", "-1"])],
        "by slugs": [*await by_slug.where(active=True).by_ids(["c3", "c2", "C3", "c3 "])],
        "by tokens": [*await by_token.by_ids([str(UUID(int=2)), UUID(int=3).hex, "2"])],
        "many ids": len(await source.by_ids([str(number) for number in range(3_000)])),
        "none": [*await source.by_ids([])],
        "foreign key": [tenant.id async for tenant in source.where(plan_id=1)],
        "pk": [tenant.id async for tenant in source.where(pk__ge=24)],
        "descriptions": [source.description, repr(source.where(active=True).where(slug__ne=["a", None]))],
        "equal": (await source.by_ids(["3"]))["3"].slug,
    }
    async for page in source.pages(10):
        found["broken off"] = len(page)
        break
    found["refusals"] = [
        refusal(source.where, slog="a"),
        refusal(source.where, plan="pro"),
        refusal(source.where, extra=1),
        refusal(source.where, slug__like="a"),
        refusal(source.where, slug=5),
        refusal(ModelTenants, Client, key="slog"),
        refusal(ModelTenants, Client, key="active"),
        refusal(ModelTenants, Abstract),
    ]
    found["threads"] = sorted({name for _, name in opened})
    await asyncio.to_thread(end_readings)
    found["open"] = sum(each.connection is not None for each, _ in opened)

    def drop() -> None:
        with connection.schema_editor() as editor:
            editor.delete_model(Client)
        connection.close()

    await asyncio.to_thread(drop)
    try:
        _ = [tenant async for tenant in source]
    except PinstripeError as error:
        found["gone"] = f"{type(error).__name__}: {error}"
    return found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1]))))  # noqa: T201 - it is a program
