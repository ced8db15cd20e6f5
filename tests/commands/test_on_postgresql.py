"""The commands say and do the same where the ledger is on PostgreSQL: there is no file, and nothing else to know."""

from __future__ import annotations

import signal
import socket
from typing import TYPE_CHECKING

import pytest

from tests.postgres import APP, OWNER

if TYPE_CHECKING:
    from tests.commands.conftest import Command, Start
    from tests.conftest import ProjectFolder
    from tests.postgres import Postgres

PASSWORD = "s3cret"


@pytest.fixture(autouse=True)
def url(shop: ProjectFolder, postgres: Postgres, postgres_database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give the shop an empty database as its ledger, also in its processes."""
    url = postgres.url(postgres_database)
    monkeypatch.setenv("PINSTRIPE_LEDGER", url)
    return url


def test_where_nothing_has_run_nothing_is_made(
    shop: ProjectFolder, pinstripe: Command, postgres: Postgres, postgres_database: str
) -> None:
    assert pinstripe("check").out == "Everything looks right.\n"
    nothing = pinstripe("status").out.splitlines()
    assert nothing[0].startswith("There is no ledger yet: postgresql://")
    assert nothing[1:] == ["Whatever runs or is enqueued first makes it."]
    assert pinstripe("list-runs").code == 0
    answer = pinstripe("show-run", "last")
    assert (answer.code, answer.out) == (2, "")
    assert postgres_database in answer.err
    made = "select nspname from pg_namespace where nspname like 'pinstripe%'"
    assert postgres.execute_now(made, database=postgres_database) == []
    assert not (shop.path / ".pinstripe").exists()


def test_who_may_not_make_it_is_told_so_by_the_status(
    pinstripe: Command, postgres: Postgres, postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PINSTRIPE_LEDGER", postgres.url(postgres_database, APP))
    first, second = pinstripe("status").out.splitlines()
    assert first.startswith(f"There is no ledger yet: postgresql://{APP}@")
    assert second.startswith(f"It can't be made as things are: the user {APP} of postgresql://{APP}@")
    assert second.endswith(f'`grant create on database "{postgres_database}" to "{APP}"`')
    assert not pinstripe("status", "--json").json["ledger"]["made"]
    postgres.execute_now(f'alter database "{postgres_database}" set default_transaction_read_only to on')
    trouble = pinstripe("status", "--json").json["ledger"]["trouble"]
    assert trouble.endswith(" can only be read: the setting `ledger` must name the primary server, not a replica of it")


def test_a_run_by_hand_is_recorded_shown_and_retried(shop: ProjectFolder, pinstripe: Command) -> None:
    answer = pinstripe("run-background-job", "greet")
    assert answer.code == 1
    assert "globex" in answer.out
    (run,) = pinstripe("list-runs", "--json").json
    assert (run["status"], run["executions"]["succeeded"], run["executions"]["failed"]) == ("failed", 1, 1)
    assert "ValueError" in pinstripe("show-run", "last", "--tenant", "globex").out
    assert "hello acme" in pinstripe("show-run", run["id"][-8:], "--tenant", "acme").out
    (shop.path / "mended").touch()
    assert pinstripe("retry-run", "last").code == 0
    retry, _ = pinstripe("list-runs", "--json").json
    assert (retry["retry_of"], retry["executions"]["total"]) == (run["id"], 1)


def test_a_run_by_hand_loads_nothing_that_carries_work_to_others(
    process: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    made = process("run-background-job", "hello")
    assert made.code == 0
    assert "pgqueuer.adapters" in made.err, "its tables are made"
    again = process("run-background-job", "hello")
    assert again.code == 0
    assert "asyncpg" in again.err
    assert "pgqueuer.adapters" not in again.err


def test_what_is_enqueued_waits_until_a_worker_has_done_it(pinstripe: Command, process: Command) -> None:
    pinstripe("run-background-job", "hello", "--enqueue", "--priority", "interactive")
    pinstripe("run-background-job", "greet", "--enqueue")
    assert "Selecting tenants: 1 run" in pinstripe("status").out
    answer = process("start-worker", "--drain")
    assert answer.code == 0
    assert answer.err.startswith("greet for tenant globex failed (run ")
    assert answer.err.count("\n") == 1
    assert answer.out.startswith("Working on 7 jobs, 20 executions at once, by the ledger postgresql://")
    assert answer.out.endswith("Nothing is left.\n")
    greet, hello = pinstripe("list-runs", "--json").json
    assert (hello["status"], hello["result"]) == ("succeeded", 5)
    assert (greet["status"], greet["executions"]["failed"]) == ("failed", 1)
    assert pinstripe("status", "--json").json["processes"] == []


def test_what_is_paused_waits_and_what_is_cancelled_ends(pinstripe: Command, process: Command) -> None:
    pinstripe("pause", "--job", "hello")
    pinstripe("run-background-job", "hello", "--enqueue")
    pinstripe("run-background-job", "boom", "--enqueue", "--delay", "2h")
    process("start-worker", "--drain")
    status = pinstripe("status")
    assert "Held: 1 waits for its time at " in status.out
    assert "1 is paused" in status.out
    assert "job hello, since " in status.out
    assert pinstripe("cancel-run", "last").code == 0
    assert pinstripe("resume", "--job", "hello").code == 0
    process("start-worker", "--drain")
    boom, hello = pinstripe("list-runs", "--json").json
    assert (boom["status"], hello["status"]) == ("cancelled", "succeeded")


def test_a_worker_is_shown_with_what_it_runs_and_gives_it_back(
    started: Start, pinstripe: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PINSTRIPE_CODE_VERSION", "2026.11.22-3")
    monkeypatch.setenv("PINSTRIPE_WORKER_SHUTDOWN_GRACE", "0s")
    worker = started("start-worker", "--without-bot")
    pinstripe("run-background-job", "wait", "--tenant", "acme", "--enqueue")
    worker.wait_for("acme | waiting")
    lines = pinstripe("status").out.splitlines()
    assert "  2026.11.22-3  " in lines[1]
    assert lines[1].endswith(" ago  works")
    assert lines[2].startswith("  wait for acme: ")
    worker.process.send_signal(signal.SIGTERM)
    assert worker.end() == 143
    (run,) = pinstripe("list-runs", "--json").json
    assert (run["executions"]["queued"], run["executions"]["running"]) == (1, 0)


def test_a_server_that_cant_be_reached_is_exit_code_4_and_tells_no_password(
    pinstripe: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as bound:  # and doesn't listen
        bound.bind(("127.0.0.1", 0))
        url = f"postgresql://app:{PASSWORD}@127.0.0.1:{bound.getsockname()[1]}/shop"
        monkeypatch.setenv("PINSTRIPE_LEDGER", url)
        for command in (("list-runs",), ("run-background-job", "hello"), ("status",)):
            answer = pinstripe(*command)
            assert (answer.code, answer.out) == (4, "")
            assert answer.err.startswith("Error: the ledger postgresql://app@127.0.0.1:")
            assert "can't be reached" in answer.err
            assert PASSWORD not in answer.err
        answer = pinstripe("check")
        assert answer.code == 1
        assert answer.out.startswith("ledger: the ledger postgresql://app@127.0.0.1:")
        assert PASSWORD not in answer.out + answer.err
    assert PASSWORD not in pinstripe("show-config").out


def test_a_url_that_cant_be_one_is_exit_code_2(pinstripe: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PINSTRIPE_LEDGER", f"postgresql://app:{PASSWORD}@db/shop?ssl=on")
    answer = pinstripe("status")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("Error: setting ledger: unknown parameter 'ssl' in the URL")
    assert PASSWORD not in answer.err


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("sslmode=require", "can't be reached over TLS: does the server speak it, and is it PostgreSQL?"),
        ("sslmode=verify-full&sslrootcert=/nowhere/root.crt", "is there what its URL names as files: "),
        ("sslmode=verify-full&sslrootcert=", "can't be reached as its URL says: mend its URL ("),
        ("target_session_attrs=standby", "has no server of that kind: look at target_session_attrs in its URL ("),
    ],
)
def test_a_url_that_asks_for_what_the_server_has_not_is_told_as_that(
    pinstripe: Command, url: str, monkeypatch: pytest.MonkeyPatch, query: str, said: str
) -> None:
    monkeypatch.setenv("PINSTRIPE_LEDGER", f"{url}?{query}")
    answer = pinstripe("list-runs")
    assert (answer.code, answer.out) == (4, "")
    assert said in answer.err


def test_a_server_that_takes_no_more_connections_is_told_as_that(
    pinstripe: Command, postgres: Postgres, postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres.execute_now(f'alter database "{postgres_database}" connection limit 0')  # superusers are let in
    monkeypatch.setenv("PINSTRIPE_LEDGER", postgres.url(postgres_database, OWNER))
    answer = pinstripe("list-runs")
    assert (answer.code, answer.out) == (4, "")
    assert "takes no more connections: raise max_connections there, or use a pooler (too many" in answer.err
