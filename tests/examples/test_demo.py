"""The demo and the example as a whole: through the command line, with the real mail server, all in processes."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ROOT / "examples" / "newsletter"
SMALL = ("--tenants", "24", "--users", "1000")

installed = pytest.mark.skipif(
    not any((ROOT / ".venv" / f"installed-{name}").exists() for name in ("dev", "demo")),
    reason="scripts/environment would install packages first: run scripts/test",
)


@contextmanager
def demo(folder: Path, *arguments: str, cwd: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    """Run the demo, in a group of processes of its own, with its files in `folder`."""
    variables = {"NEWSLETTER_VAR": str(folder), "PINSTRIPE_LEDGER": f"sqlite:///{folder / 'ledger.db'}"}
    with subprocess.Popen(
        [str(ROOT / "scripts" / "demo"), *arguments],
        cwd=cwd,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def somebody_is_left(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@installed
def test_the_demo_ends_with_one_message_for_each_subscriber_and_can_be_run_again(tmp_path: Path) -> None:
    for _ in range(2):
        with demo(tmp_path, *SMALL, cwd=tmp_path) as process:
            output, _ = process.communicate(timeout=120)

        assert process.returncode == 0, output
        assert not somebody_is_left(process.pid)
        assert "(exit code 1)" in output
        assert re.search(r"harbour-books\b.*InvalidAddress", output)
        [(received, doubled)] = re.findall(r"received by the mail server: ([\d,]+) \((\d+) of them twice\)", output)
        [(subscribers, missing)] = re.findall(
            r"subscribers of active tenants: +([\d,]+) \((\d+) of them without", output
        )
        assert (received, doubled, missing) == (subscribers, "0", "0")
        assert int(received.replace(",", "")) > 500
        assert "\x1b" not in output
        [folder] = re.findall(r"^cd (.+)$", output, re.MULTILINE)
        assert shlex.split(folder) == [str(PROJECT)]


@installed
def test_ctrl_c_stops_the_demo_with_its_mail_server_and_what_was_sent_is_not_sent_again(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        assert process.stdout
        for line in process.stdout:
            if re.match(r"send_newsletter: \d+ of 234", line):
                break
        os.killpg(process.pid, signal.SIGINT)
        output = process.stdout.read()
        assert process.wait(timeout=60) == 130, output
    assert "pinstripe retry-run" in output
    assert not somebody_is_left(process.pid)

    received = (tmp_path / "received.tsv").read_text(encoding="utf-8").splitlines()
    with closing(sqlite3.connect(tmp_path / "newsletter.db")) as connection:
        sent = connection.execute("select email from deliveries join users on users.id = user_id").fetchall()
    assert sorted(email for (email,) in sent) == sorted(line.partition("\t")[0] for line in received)
    assert len(received) == len(set(received)) > 0


def command(*arguments: str, exits: int = 0) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "pinstripe", *arguments, "--json"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == exits, done.stderr
    return json.loads(done.stdout) if done.stdout else None


def test_sessions_are_purged_for_the_active_tenants_alone(database_file: Path) -> None:
    with closing(sqlite3.connect(database_file)) as connection, connection:
        connection.execute("update sessions set last_accessed_at = '2020-01-01T00:00:00Z'")

    run = command("run-background-job", "purge_old_sessions", "60")

    assert run["executions"]["succeeded"] == run["executions"]["total"] == 5
    with closing(sqlite3.connect(database_file)) as connection:
        assert connection.execute(
            "select distinct active from sessions join tenants on tenants.id = tenant_id"
        ).fetchall() == [(0,)]


def test_every_active_tenant_has_a_backup(database_file: Path, tmp_path: Path) -> None:
    run = command("run-background-job", "database_backup")

    assert run["executions"]["succeeded"] == run["executions"]["total"] == 5
    assert len(list((tmp_path / "backups").glob("*.db"))) == 5
    assert len(list((tmp_path / "backups").iterdir())) == 5


def test_where_narrows_to_tenants_of_a_plan(database_file: Path) -> None:
    with closing(sqlite3.connect(database_file)) as connection:
        ids = connection.execute("select id from tenants where active and plan = 'free' order by id").fetchall()

    shown = command("run-background-job", "send_newsletter", "--where", "plan=free", "--dry-run", exits=0 if ids else 3)

    assert sorted(shown["tenants"]) == [tenant for (tenant,) in ids]


def test_a_missing_database_fails_the_run_and_is_not_no_tenants(tmp_path: Path) -> None:
    run = command("run-background-job", "purge_old_sessions", exits=1)

    assert run["status"] == "failed"
    assert f"expected a SQLite database at {tmp_path / 'newsletter.db'}, found nothing" in run["error"]
    assert not (tmp_path / "newsletter.db").exists()


def test_every_job_and_service_of_the_example_can_be_loaded(database_file: Path) -> None:
    jobs = command("list-background-jobs")

    assert [job["job"] for job in jobs] == [
        "database_backup",
        "purge_old_sessions",
        "send_daily_reports",
        "send_newsletter",
    ]
    assert [job["problem"] for job in jobs] == [None] * 4


@pytest.mark.usefixtures("database_file")
def test_check_finds_nothing_wrong_with_the_example() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pinstripe", "check", "--project", str(PROJECT)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "Everything looks right.\n", "")
