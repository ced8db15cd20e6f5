"""A Django model as a tenant source, without django-tenants: each test in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from tests.django.model_differential import COLUMNS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgres import Postgres


def differential(database: dict[str, Any], examples: int) -> dict[str, int]:
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.django.model_differential", json.dumps(database), str(examples)],
        check=False,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert ended.returncode == 0, ended.stderr
    tally: dict[str, int] = json.loads(ended.stdout)
    return tally


def test_a_model_answers_as_python_does_on_sqlite(tmp_path: Path) -> None:
    tally = differential({"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "shop.db")}, 400)
    assert tally["found"] > 100
    assert tally["refused"] > 0
    assert len(COLUMNS) == 10


def test_a_model_answers_as_python_does_on_postgresql(postgres: Postgres, postgres_database: str) -> None:
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": postgres_database,
        "HOST": postgres.host,
        "PORT": postgres.port,
        "USER": "app_owner",
        "PASSWORD": "app_owner",
    }
    assert differential(database, 200)["found"] > 50
