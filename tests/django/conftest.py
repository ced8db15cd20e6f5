"""A project on Django with django-tenants, in a folder of its own; what uses it runs in processes of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conftest import ProjectFolder
    from tests.postgres import Postgres

SETTINGS = """
    import json
    import os

    SECRET_KEY = "tests"
    SHARED_APPS = ["django_tenants", "django.contrib.contenttypes", "shop"]
    TENANT_APPS = ["shop"]
    INSTALLED_APPS = SHARED_APPS
    DATABASES = {"default": json.loads(os.environ["SHOP_DATABASE"])}
    DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
    DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
    TENANT_MODEL = "shop.Client"
    TENANT_DOMAIN_MODEL = "shop.Domain"
    USE_TZ = True
"""

MODELS = """
    from django.db import models
    from django_tenants.models import DomainMixin, TenantMixin

    class Client(TenantMixin):
        plan = models.CharField(max_length=10, default="free")
        active = models.BooleanField(default=True)
        auto_create_schema = False

    class Domain(DomainMixin):
        pass

    class Note(models.Model):
        text = models.CharField(max_length=80)
"""

BOOT = """
    import os

    import django

    def setup():
        os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"
        django.setup()

    def create(*tenants):
        from django.db import connection

        from shop.models import Client, Note

        with connection.schema_editor() as editor:
            editor.create_model(Client)
        for name in ("public", *tenants):
            with connection.cursor() as cursor:
                cursor.execute(f'create schema if not exists "{name}"')
            connection.set_schema(name)
            with connection.schema_editor() as editor:
                editor.create_model(Note)
            Note.objects.create(text=f"canary of {name}")
            connection.set_schema_to_public()
        for name in tenants:
            Client.objects.create(schema_name=name)
        connection.close()
"""

PYPROJECT = """
    setup = "shop.boot:setup"
    multi_tenant = true

    [tool.pinstripe.tenants]
    source = "shop.models:Client"
    key = "schema_name"
    context = "pinstripe.django_tenants:tenant_context"

    [tool.pinstripe.worker]
    concurrency = 8
"""


@dataclass(frozen=True, slots=True)
class DjangoProject:
    """The project, and the environment in which its programs run."""

    folder: ProjectFolder
    environment: dict[str, str]

    def job(self, name: str, body: str) -> None:
        """Write a job, with what it may need imported."""
        self.folder.job(name, JOB + dedent(body))

    def program(self, main: str) -> Any:
        """Run the lines of an `async def main(project)` in a process of its own, and give what it returns."""
        program = PROGRAM + "".join(f"    {line}\n" for line in dedent(main).strip().splitlines()) + RUN
        path = self.folder.file("program.py", program)
        ended = subprocess.run(
            [sys.executable, "-W", "error", str(path)],
            check=False,
            capture_output=True,
            text=True,
            cwd=self.folder.path,
            env=self.environment,
            timeout=120,
        )
        assert ended.returncode == 0, ended.stderr + ended.stdout
        assert "ResourceWarning" not in ended.stderr, ended.stderr
        return json.loads(ended.stdout.splitlines()[-1])


JOB = """\
import asyncio
import threading

from asgiref.sync import async_to_sync, sync_to_async
from django.db import connection, connections
from django_tenants.utils import schema_context

from pinstripe import BackgroundJob
from shop.models import Client, Note
"""

PROGRAM = """\
import asyncio
import json
import sys

import pinstripe


def told(failure):
    texts = []
    for each in getattr(failure, "exceptions", [failure]):
        texts.append(f"{type(each).__name__}: {each}")
    return texts


async def failures(project, job, *args, **options):
    try:
        async with project.workspace(tenant=None) as workspace:
            await workspace.options(**options).run_background_job(job, *args)
    except Exception as failure:
        return told(failure)
    return []


async def run(project, job, *args, **options):
    async with project.workspace(tenant=None) as workspace:
        return await workspace.options(**options).run_background_job(job, *args)


def in_thread(function, *args):
    # Django in a thread of the program's own, which closes what it opened.
    from django.db import connections

    def call():
        try:
            return function(*args)
        finally:
            connections.close_all()

    return asyncio.to_thread(call)


def notes():
    from django.db import connection
    from shop.models import Note

    found = {}
    for name in ("public", "ta", "tb"):
        connection.set_schema(name)
        found[name] = sorted(note.text for note in Note.objects.all())
    return found


async def main(project):
"""

RUN = """

async def start():
    async with pinstripe.open_project(".") as project:
        project.registry  # sets Django up
        return await main(project)


print(json.dumps(asyncio.run(start())))
"""


@pytest.fixture
def django_project(project_folder: ProjectFolder, postgres: Postgres, postgres_database: str) -> DjangoProject:
    """Give a project whose database has the tenants `ta` and `tb`, and a canary in the schema of each and in public."""
    folder = project_folder
    folder.configure(PYPROJECT)
    folder.file("shop/__init__.py", "")
    folder.file("shop/settings.py", SETTINGS)
    folder.file("shop/models.py", MODELS)
    folder.file("shop/boot.py", BOOT)
    database = {
        "ENGINE": "django_tenants.postgresql_backend",
        "NAME": postgres_database,
        "HOST": postgres.host,
        "PORT": postgres.port,
        "USER": "app_owner",
        "PASSWORD": "app_owner",
        "CONN_MAX_AGE": 600,
    }
    environment = {**os.environ, "SHOP_DATABASE": json.dumps(database)}
    project = DjangoProject(folder, environment)
    create = "import shop.boot\nshop.boot.setup()\nshop.boot.create('ta', 'tb')\n"
    subprocess.run([sys.executable, "-c", create], check=True, cwd=folder.path, env=environment, timeout=60)
    return project
