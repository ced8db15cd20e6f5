"""A Django model as a tenant source, without django-tenants: each test in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from tests.django.model_differential import COLUMNS
from tests.thoroughness import examples

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgres import Postgres


def program(name: str, *arguments: str) -> Any:
    """Run a program of this folder, and give what it tells."""
    command = [sys.executable, "-W", "error", "-m", f"tests.django.{name}", *arguments]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=200)
    assert ended.returncode == 0, ended.stderr
    assert "ResourceWarning" not in ended.stderr, ended.stderr
    return json.loads(ended.stdout)


def differential(database: dict[str, Any], examples: int) -> dict[str, int]:
    tally: dict[str, int] = program("model_differential", json.dumps(database), str(examples))
    return tally


def test_a_model_answers_as_python_does_on_sqlite(tmp_path: Path) -> None:
    tally = differential({"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "shop.db")}, examples(400))
    assert tally["found"] > examples(400) / 8
    assert tally["refused"] > 0
    assert len(COLUMNS) == 10


def postgres_settings(postgres: Postgres, database: str) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": database,
        "HOST": postgres.host,
        "PORT": postgres.port,
        "USER": "app_owner",
        "PASSWORD": "app_owner",
    }


def test_a_model_answers_as_python_does_on_postgresql(postgres: Postgres, postgres_database: str) -> None:
    assert differential(postgres_settings(postgres, postgres_database), examples(200))["found"] > examples(200) / 8


def test_a_model_is_a_source_that_reads_in_threads_of_its_own_and_closes_what_it_opened(tmp_path: Path) -> None:
    found = program("model_source", str(tmp_path / "shop.db"))
    refusals = found.pop("refusals")
    gone = found.pop("gone")
    numbers = [str(number) for number in range(1, 26)]
    assert found == {
        "is a model": [True, False, False],
        "is a source": True,
        "pages": [numbers[:10], numbers[10:20], numbers[20:]],
        "active": ["c1", "c3"],
        "no such column": True,
        "by ids": ["3", "2"],
        "by slugs": ["c3"],
        "by tokens": ["00000000-0000-0000-0000-000000000002"],
        "many ids": 25,
        "none": [],
        "foreign key": ["1", "2"],
        "pk": ["24", "25"],
        "descriptions": ["all", "ModelTenants(main.<locals>.Client: active=True, slug__ne=['a', None])"],
        "equal": "c3",
        "broken off": 10,
        "threads": ["pinstripe-tenants"],
        "open": 0,
    }
    expected = [
        "UnknownColumn: the Django model Client has no column 'slog'; the nearest is slug",
        "UnknownColumn: the Django model Client has no column 'plan'; the nearest is plan_id",
        "ConfigurationError: extra: a JSONField can't be compared",
        "ConfigurationError: 'slug__like': expected an attribute",
        "ConfigurationError: where(slug=5): expected slug to be a number (int), got text",
        "UnknownColumn: the Django model Client has no column 'slog'; the nearest is slug",
        "ConfigurationError: active of the Django model Client: expected a column of text, whole numbers or UUIDs",
        "ConfigurationError: the Django model Abstract is abstract",
    ]
    for refusal, start in zip(refusals, expected, strict=True):
        assert refusal.startswith(start)
    assert gone.startswith(
        "TenantSourceFailed: tenant source main.<locals>.Client failed: OperationalError: no such table"
    )


def told_zones(database: dict[str, Any]) -> None:
    found = program("model_zones", json.dumps(database))
    of_text = {"Asia/Tokyo": ["t2"], "Europe/Paris": ["t0"], "UTC": ["t1", "t3", "t4", "t6"]}
    everybody = ["t0", "t1", "t2", "t3", "t4", "t6"]
    assert found == {
        "time_zone": of_text,
        "loose": of_text,
        "zone": {"Asia/Tokyo": ["t1", "t3"], "UTC": ["t0", "t2", "t4", "t6"]},
        "own_zone": of_text,
        "seats": {"UTC": everybody},
        "missing": {"UTC": everybody},
        "values": {
            "time_zone": ["Asia/Tokyo", "Europe/Paris", "europe/paris"],
            "loose": ["Asia/Tokyo", "Europe/Paris", "europe/paris"],
            "zone": ["Asia/Tokyo", "None", "UTC"],
            "seats": None,
            "own_zone": None,
            "missing": [],
        },
        "too many": None,
        "gone": "TenantSourceFailed",
    }


def test_a_model_tells_the_zones_of_its_tenants_on_sqlite(tmp_path: Path) -> None:
    told_zones({"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "shop.db")})


def test_a_model_tells_the_zones_of_its_tenants_on_postgresql(postgres: Postgres, postgres_database: str) -> None:
    told_zones(postgres_settings(postgres, postgres_database))
