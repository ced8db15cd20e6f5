"""Django's own connection, in whose transaction a view enqueues; in a process of its own, as all that uses Django."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conftest import ProjectFolder
    from tests.postgres import Postgres

PROGRAM = """
    import json
    import os
    import threading

    import django
    from django.conf import settings

    settings.configure(DATABASES=json.loads(os.environ["SHOP_DATABASES"]))
    django.setup()

    from django.db import connection, connections, transaction

    import pinstripe
    from pinstripe.ledger import RunFilter

    def told(call):
        try:
            return call().status
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    def enqueue(key, lent=connection):
        return workspace.options(connection=lent, key=key).enqueue_background_job("greet")

    def atomic(key, lent=connection, undo=False):
        with transaction.atomic():
            run = enqueue(key, lent)
            transaction.set_rollback(undo)
        return run

    def nested():
        with transaction.atomic():
            kept = enqueue("outer")
            try:
                with transaction.atomic():
                    enqueue("inner")
                    raise ZeroDivisionError
            except ZeroDivisionError:
                pass
        return kept

    def broken():
        with transaction.atomic():
            try:
                with transaction.atomic(savepoint=False):
                    raise ZeroDivisionError
            except ZeroDivisionError:
                pass
            return enqueue("broken")

    def elsewhere():
        told_there = []
        def go():
            told_there.append(told(lambda: atomic("thread")))
            connections.close_all()
        thread = threading.Thread(target=go)
        thread.start()
        thread.join()
        return told_there[0]

    with pinstripe.open_project() as project, project.workspace(tenant=None) as workspace:
        answers = {
            "atomic": told(lambda: atomic("atomic")),
            "alias": told(lambda: atomic("alias", connections["default"])),
            "undone": told(lambda: atomic("undone", undo=True)),
            "nested": told(nested),
            "broken": told(broken),
            "alone": told(lambda: enqueue("alone")),
            "sqlite": told(lambda: enqueue("sqlite", connections["other"])),
            "elsewhere": elsewhere(),
        }
        connection.close()
    with connection.cursor() as cursor:
        cursor.execute("select key from pinstripe.runs order by key")
        answers["kept"] = [key for (key,) in cursor.fetchall()]
    print(json.dumps(answers))
"""


@pytest.fixture
def told(project_folder: ProjectFolder, postgres: Postgres, postgres_database: str) -> dict[str, Any]:
    """Run the program; give what it says of each way to enqueue."""
    project_folder.configure(f'ledger = "{postgres.url(postgres_database, "app_owner")}"\n')
    project_folder.job(
        "greet",
        """
        from pinstripe import BackgroundJob

        class Greet(BackgroundJob):
            def run(self) -> str:
                return "hello"
        """,
    )
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": postgres_database,
        "USER": "app_owner",
        "PASSWORD": "app_owner",
        "HOST": postgres.host,
        "PORT": postgres.port,
    }
    other = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    done = subprocess.run(
        [sys.executable, "-c", dedent(PROGRAM)],
        cwd=project_folder.path,
        env={**os.environ, "SHOP_DATABASES": json.dumps({"default": database, "other": other})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answers


def test_a_view_enqueues_in_its_atomic_block(told: dict[str, Any]) -> None:
    enqueued = ("atomic", "alias", "undone", "nested", "elsewhere")
    assert {way: told[way] for way in enqueued} == dict.fromkeys(enqueued, "queued")
    assert told["kept"] == ["alias", "atomic", "outer", "thread"]
    assert told["broken"].startswith("TransactionManagementError: An error occurred in the current transaction")
    assert told["alone"].startswith("InvalidArguments: options(connection=…): expected a connection in a transaction")
    assert told["sqlite"].endswith("'other', whose ENGINE is 'django.db.backends.sqlite3', over sqlite3")
