from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.config import Settings, describe_settings, find_project, load_settings
from pinstripe.errors import ConfigurationError
from pinstripe.setting_keys import KEYS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import ProjectFolder

EVERYTHING = """
    ledger = "sqlite:////var/lib/ledger.db"
    ledger_schema = "jobs"
    ledger_sync = "full"
    time_zone = "Europe/Paris"
    setup = "newsletter.boot:setup"
    app = "newsletter.web:app"
    background_jobs = "jobs"
    services = "app/services"
    multi_tenant = true
    code_version = "2026.11.22-3"
    log_format = "json"
    tracing = "required"

    [tool.pinstripe.database]
    url = "sqlite:///newsletter.db"
    models = "newsletter.models"
    isolation = "schemas"
    tenant_column = "customer_id"
    shared_tables = ["plans", "countries"]
    row_security = "required"
    tenant_schema = "customer_{id}"
    tenant_url = "sqlite:///customers/{id}.db"
    open_databases = 7
    pool_size = 3

    [tool.pinstripe.tenants]
    source = "newsletter.tenancy:tenants"
    context = "newsletter.tenancy:context"
    key = "slug"
    active = "enabled"
    time_zone = "zone"

    [tool.pinstripe.worker]
    concurrency = 5
    processes = 2
    shutdown_grace = "1m"
    lease = "90s"

    [tool.pinstripe.server]
    token = "open-sesame-open-sesame"
    read_token = "look-but-do-not-touch-it"
    tokens = ["ci:operate:*:continuous-integration", "a%2Cb:read:acme a%20b:supports-own-secret!"]
    hosts = ["Jobs.Example.org"]
    access = "newsletter.web:who"
    session = "30m"

    [tool.pinstripe.retention]
    succeeded = "1d"
    failed = "2d"
    logs = "3h"
"""


def load(folder: Path, environment: dict[str, str] | None = None, **flags: object) -> Settings:
    return load_settings(folder, environment=environment or {}, flags=flags)


def test_every_key_has_the_default_of_the_contract(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert settings.folder == tmp_path
    assert settings.ledger == "sqlite:///.pinstripe/ledger.db"
    assert settings.ledger_path == tmp_path / ".pinstripe" / "ledger.db"
    assert settings.ledger_address == settings.ledger_path
    assert (settings.ledger_schema, settings.ledger_sync) == ("pinstripe", "normal")
    assert settings.time_zone == "UTC"
    assert (settings.setup, settings.app, settings.database) == (None, None, None)
    assert settings.background_jobs == tmp_path / "lib" / "background_jobs"
    assert settings.background_jobs_package == "lib.background_jobs"
    assert settings.services == tmp_path / "lib" / "services"
    assert settings.services_package == "lib.services"
    assert (settings.multi_tenant, settings.code_version) == (False, None)
    assert (settings.log_format, settings.tracing) == ("text", "auto")
    tenants = settings.tenants
    assert (tenants.source, tenants.key, tenants.active, tenants.time_zone) == (None, "id", "active", "time_zone")
    worker = settings.worker
    assert worker == (20, 1, timedelta(seconds=25), timedelta(seconds=60))
    server = settings.server
    assert (server.token, server.read_token, server.tokens, server.hosts, server.access) == (None, None, (), (), None)
    assert server.session == timedelta(hours=12)
    retention = settings.retention
    assert (retention.succeeded, retention.failed, retention.logs) == tuple(map(timedelta, (7, 30, 1)))


def test_every_key_is_read_from_pyproject(project_folder: ProjectFolder) -> None:
    project_folder.configure(EVERYTHING)
    settings = load(project_folder.path)
    assert settings.ledger_path.as_posix() == "/var/lib/ledger.db"
    assert (settings.ledger_schema, settings.ledger_sync) == ("jobs", "full")
    assert settings.time_zone == "Europe/Paris"
    assert (settings.setup, settings.app) == ("newsletter.boot:setup", "newsletter.web:app")
    assert settings.background_jobs == project_folder.path / "jobs"
    assert settings.services_package == "app.services"
    assert (settings.multi_tenant, settings.code_version) == (True, "2026.11.22-3")
    assert (settings.log_format, settings.tracing) == ("json", "required")
    assert settings.database is not None
    assert settings.database.url == "sqlite:///newsletter.db"
    assert settings.database.models == "newsletter.models"
    assert settings.database.isolation == "schemas"
    assert settings.database.tenant_column == "customer_id"
    assert settings.database.shared_tables == ("plans", "countries")
    assert settings.database.row_security == "required"
    assert settings.database.tenant_schema == "customer_{id}"
    assert settings.database.tenant_url == "sqlite:///customers/{id}.db"
    assert (settings.database.open_databases, settings.database.pool_size) == (7, 3)
    assert settings.tenants == ("newsletter.tenancy:tenants", "newsletter.tenancy:context", "slug", "enabled", "zone")
    assert settings.worker == (5, 2, timedelta(minutes=1), timedelta(seconds=90))
    server = settings.server
    assert (server.token, server.read_token) == ("open-sesame-open-sesame", "look-but-do-not-touch-it")
    assert server.tokens == (
        "ci:operate:*:continuous-integration",
        "a%2Cb:read:acme a%20b:supports-own-secret!",
    )
    assert (server.hosts, server.access) == (("jobs.example.org",), "newsletter.web:who")
    assert server.session == timedelta(minutes=30)
    assert settings.retention == (timedelta(days=1), timedelta(days=2), timedelta(hours=3))
    assert {origin for _, _, origin in describe_settings(settings)} == {"pyproject.toml"}


def test_a_flag_beats_a_variable_beats_the_file_beats_the_default(project_folder: ProjectFolder) -> None:
    path = project_folder.path
    variable = {"PINSTRIPE_WORKER_CONCURRENCY": "7"}
    flag = {"worker.concurrency": 9}

    def concurrency(environment: dict[str, str], flags: dict[str, object]) -> tuple[int, str]:
        settings = load_settings(path, environment=environment, flags=flags)
        return settings.worker.concurrency, settings.origins["worker.concurrency"]

    assert concurrency({}, {}) == (20, "default")
    project_folder.configure("worker.concurrency = 5")
    assert concurrency({}, {}) == (5, "pyproject.toml")
    assert concurrency(variable, {}) == (7, "PINSTRIPE_WORKER_CONCURRENCY")
    assert concurrency(variable, {**flag}) == (9, "flag")
    assert concurrency({}, {**flag}) == (9, "flag")
    assert concurrency(variable, {"worker.concurrency": None}) == (7, "PINSTRIPE_WORKER_CONCURRENCY")


@pytest.mark.parametrize(
    ("variable", "text", "key", "value"),
    [
        ("PINSTRIPE_LEDGER", "sqlite:///x.db", "ledger", "sqlite:///x.db"),
        ("PINSTRIPE_TIME_ZONE", "Europe/Paris", "time_zone", "Europe/Paris"),
        ("PINSTRIPE_MULTI_TENANT", "Yes", "multi_tenant", True),
        ("PINSTRIPE_MULTI_TENANT", "0", "multi_tenant", False),
        ("PINSTRIPE_TENANTS_SOURCE", "a.b:c", "tenants.source", "a.b:c"),
        ("PINSTRIPE_TENANTS_TIME_ZONE", "zone", "tenants.time_zone", "zone"),
        ("PINSTRIPE_WORKER_SHUTDOWN_GRACE", "5s", "worker.shutdown_grace", "5s"),
        ("PINSTRIPE_RETENTION_FAILED", "90d", "retention.failed", "90d"),
        ("PINSTRIPE_DATABASE_SHARED_TABLES", "plans, countries", "database.shared_tables", ["plans", "countries"]),
    ],
)
def test_variables_are_read_as_text(tmp_path: Path, variable: str, text: str, key: str, value: object) -> None:
    described = describe_settings(load(tmp_path, {variable: text}))
    assert (key, value, variable) in described


def test_an_empty_variable_counts_as_not_set(tmp_path: Path) -> None:
    assert load(tmp_path, {"PINSTRIPE_LEDGER": ""}).origins["ledger"] == "default"


def test_an_unknown_variable_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"PINSTRIPE_LEDGR sets nothing .* nearest: PINSTRIPE_LEDGER"):
        load(tmp_path, {"PINSTRIPE_LEDGR": "x"})


def test_variables_that_are_no_settings_are_let_through(tmp_path: Path) -> None:
    others = {"PINSTRIPE_PROJECT": "x", "PINSTRIPE_PYTHON": "python3", "PINSTRIPE_TEST_DSN": "y", "OTHER": "z"}
    assert load(tmp_path, others) == load(tmp_path)


@pytest.mark.parametrize(
    ("settings", "unknown", "near"),
    [
        ("ledgr = 'x'", "ledgr", "ledger"),
        ("worker.concurency = 5", "worker.concurency", "worker.concurrency"),
        ("[tool.pinstripe.workers]\nconcurrency = 5", "workers", "worker"),
        ("database.worker.concurrency = 5", "database.worker", ""),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(
    project_folder: ProjectFolder, settings: str, unknown: str, near: str
) -> None:
    path = project_folder.configure(settings)
    with pytest.raises(ConfigurationError) as caught:
        load(project_folder.path)
    assert str(caught.value).startswith(f"unknown setting {unknown} in {path}")
    assert near in str(caught.value)


def test_an_unknown_flag_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="unknown setting ledgr as a flag; nearest: ledger"):
        load(tmp_path, ledgr="x")


@pytest.mark.parametrize(
    ("settings", "key", "expected"),
    [
        ("ledger = 5", "ledger", "'sqlite:///FILE'"),
        ("ledger = 'mysql://host/db'", "ledger", "'sqlite:///FILE'"),
        ("ledger = 'sqlite://ledger.db'", "ledger", "'sqlite:///FILE'"),
        ("ledger = 'sqlite:///'", "ledger", "'sqlite:///FILE'"),
        ("ledger = 'sqlite:///:memory:'", "ledger", "'sqlite:///FILE'"),
        ("ledger = 'sqlite:///a.db?mode=ro'", "ledger", "'sqlite:///FILE'"),
        ("ledger_sync = 'off'", "ledger_sync", "one of 'normal', 'full'"),
        ("time_zone = 'CET/Berlin'", "time_zone", "an IANA time zone"),
        ("time_zone = 1", "time_zone", "an IANA time zone"),
        ("setup = 'newsletter.boot'", "setup", "'module:attribute'"),
        ("app = 'newsletter web:app'", "app", "'module:attribute', such as 'newsletter.web:app'"),
        ("multi_tenant = 'yes'", "multi_tenant", "true or false"),
        ("background_jobs = '/jobs'", "background_jobs", "a folder in the project"),
        ("background_jobs = '../jobs'", "background_jobs", "a folder in the project"),
        ("background_jobs = 'lib/my-jobs'", "background_jobs", "a folder in the project"),
        ("services = 'lib/class'", "services", "a folder in the project"),
        ("worker = 5", "worker", "a table [tool.pinstripe.worker]"),
        ("worker.concurrency = 0", "worker.concurrency", "a whole number from 1 to 100,000"),
        ("worker.concurrency = 99999999999999999999", "worker.concurrency", "a whole number from 1 to 100,000"),
        ("worker.concurrency = true", "worker.concurrency", "a whole number from 1 to 100,000"),
        ("worker.concurrency = '5'", "worker.concurrency", "a whole number from 1 to 100,000"),
        ("worker.processes = 1.5", "worker.processes", "a whole number from 1 to 100,000"),
        ("worker.shutdown_grace = 25", "worker.shutdown_grace", "a duration such as '30s'"),
        ("worker.lease = '999ms'", "worker.lease", "a duration of at least 1s, such as '60s'"),
        ("worker.lease = 60", "worker.lease", "a duration of at least 1s, such as '60s'"),
        ("retention.logs = '1 day'", "retention.logs", "a duration such as '30s'"),
        ("tenants.source = 'newsletter.tenancy:1'", "tenants.source", "'module:attribute'"),
        ("tenants.key = 'the id'", "tenants.key", "the name of an attribute"),
        ("database.url = 'newsletter.db'", "database.url", "'sqlite:///FILE'"),
        ("database.url = 'mysql://db'", "database.url", "'sqlite:///FILE'"),
        ("database.url = 'sqlite:///:memory:'", "database.url", "'sqlite:///FILE'"),
        (
            "database.tenant_schema = 'customers'",
            "database.tenant_schema",
            "a text with an attribute of the tenant in braces, such as 'tenant_{id}'",
        ),
        ("database.tenant_url = 'sqlite:///{}.db'", "database.tenant_url", "a text with an attribute of the tenant"),
        ("database.row_security = 'on'", "database.row_security", "one of 'auto', 'required'"),
        ("database.pool_size = 0", "database.pool_size", "a whole number from 1 to 100,000"),
        ("tenants.context = 'newsletter'", "tenants.context", "'module:attribute'"),
        ("database.models = 'newsletter/models'", "database.models", "a module's name"),
        ("database.isolation = 'row'", "database.isolation", "one of 'rows', 'schemas', 'databases', 'none'"),
        ("database.tenant_column = ''", "database.tenant_column", "a text that is not empty"),
        ("database.shared_tables = 'plans'", "database.shared_tables", "a list of names"),
        ("database.shared_tables = [1]", "database.shared_tables", "a list of names"),
    ],
)
def test_a_bad_value_is_refused_with_what_was_expected_and_found(
    project_folder: ProjectFolder, settings: str, key: str, expected: str
) -> None:
    path = project_folder.configure(settings)
    with pytest.raises(ConfigurationError) as caught:
        load(project_folder.path)
    message = str(caught.value)
    assert message.startswith(f"{key} in {path}: expected {expected}")
    assert ", found " in message


def test_a_bad_variable_or_flag_is_named_as_such(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"^worker.concurrency from PINSTRIPE_WORKER_CONCURRENCY: .*found 'many'"
    ):
        load(tmp_path, {"PINSTRIPE_WORKER_CONCURRENCY": "many"})
    with pytest.raises(ConfigurationError, match=r"^ledger as a flag: .*found 5"):
        load(tmp_path, ledger=5)


def test_a_wrong_zone_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nearest: Europe/Paris"):
        load(tmp_path, time_zone="Europe/Pariss")


def test_a_password_is_in_no_message_and_no_repr(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, ledger="mysql://user:pa55@host/db")
    assert "pa55" not in str(caught.value)
    secret = "postgresql://user:pa55@host/db"
    settings = load(tmp_path, {"PINSTRIPE_LEDGER": secret, "PINSTRIPE_DATABASE_URL": secret})
    assert "pa55" not in repr(settings)
    described = {key: value for key, value, _ in describe_settings(settings)}
    assert described["ledger"] == described["database.url"] == "postgresql://user:***@host/db"


def test_a_ledger_on_postgresql_has_an_address_and_no_file(tmp_path: Path) -> None:
    settings = load(tmp_path, ledger="postgresql://user:pa55@host/db")
    assert str(settings.ledger_address) == "postgresql://user@host/db"
    with pytest.raises(ConfigurationError, match=r"a file, .*, found 'postgresql://user:\*\*\*@host/db'"):
        _ = settings.ledger_path


def test_what_is_wrong_with_the_url_of_a_ledger_is_told_without_its_password(tmp_path: Path) -> None:
    settings = load(tmp_path, ledger="postgresql://user:pa55@host/db?ssl=yes")
    with pytest.raises(ConfigurationError, match="setting ledger: unknown parameter 'ssl' in the URL") as caught:
        _ = settings.ledger_address
    assert "pa55" not in str(caught.value)


def test_every_setting_is_described(tmp_path: Path) -> None:
    described = describe_settings(load(tmp_path))
    assert [key for key, _, _ in described] == [key.name for key in KEYS]
    values: dict[str, Any] = {key: value for key, value, _ in described}
    assert values["worker.shutdown_grace"] == "25s"
    assert values["background_jobs"] == "lib/background_jobs"
    assert values["database.shared_tables"] == []
    assert values["setup"] is None


def test_settings_are_fixed(tmp_path: Path) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        load(tmp_path).time_zone = "UTC"  # type: ignore[misc]


def test_the_environment_of_the_process_is_read_by_default(
    project_folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PINSTRIPE_PROJECT", str(project_folder.path))
    monkeypatch.setenv("PINSTRIPE_TIME_ZONE", "Asia/Tokyo")
    assert load_settings(find_project()).time_zone == "Asia/Tokyo"


def test_loading_imports_nothing_slow(project_folder: ProjectFolder) -> None:
    code = (
        "import sys; from pinstripe.config import *; load_settings(find_project()); "
        "slow = {'pydantic', 'zoneinfo', 'difflib', 'subprocess', 'cronsim', 'asyncio'}; "
        "sys.exit(' '.join(slow & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project_folder.path,
        env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
