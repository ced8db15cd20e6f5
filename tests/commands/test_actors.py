"""Who typed a command, as the audit trail has it."""

from __future__ import annotations

import asyncio
import os
import pwd
from typing import TYPE_CHECKING

from pinstripe.actor import Actor, Door
from pinstripe.commands.actors import whoever_types
from pinstripe.opening import open_project

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from pinstripe.history import AuditEntry
    from tests.commands.conftest import Command
    from tests.conftest import ProjectFolder


def kept(folder: Path) -> list[AuditEntry]:
    async def read() -> list[AuditEntry]:
        async with open_project(folder) as project:
            return [*reversed((await project.ledger.history.audit()).entries)]

    return asyncio.run(read())


def test_it_is_the_user_of_the_operating_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "somebody else")
    assert whoever_types() == Actor(Door.CLI, pwd.getpwuid(os.getuid()).pw_name)
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_000)
    assert whoever_types() == Actor(Door.CLI, "user 4000000000")


def test_what_is_left_to_workers_is_kept_and_what_runs_here_is_not(shop: ProjectFolder, pinstripe: Command) -> None:
    pinstripe("run-background-job", "boom")
    pinstripe("retry-run", "last")
    assert kept(shop.path) == []
    failed = pinstripe("show-run", "last", "--json").json["id"]
    pinstripe("retry-run", "last", "--enqueue")
    retry = pinstripe("cancel-run", "last", "--json").json["id"]
    pinstripe("run-background-job", "greet", "--tenant", "acme", "--enqueue")
    pinstripe("pause", "--job", "greet", "--tenant", "acme")
    pinstripe("resume", "--all")
    pinstripe("pause", "--job", "nothing")
    entries = kept(shop.path)
    assert {entry.actor for entry in entries} == {whoever_types()}
    assert [(str(entry.action), entry.job, entry.tenant, entry.outcome) for entry in entries] == [
        ("retry", "boom", None, "done"),
        ("cancel", "boom", None, "done"),
        ("start", "greet", "acme", "done"),
        ("pause", "greet", "acme", "done"),
        ("resume", None, None, "not paused"),
        (
            "pause",
            "nothing",
            None,
            "refused: there is no background job 'nothing'; `pinstripe list-background-jobs` shows those there are",
        ),
    ]
    assert (entries[0].run, entries[0].detail) == (failed, f"by run {retry}")
    assert entries[1].run == retry
