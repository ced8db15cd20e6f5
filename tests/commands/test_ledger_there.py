from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import click
import pytest

from pinstripe.commands import ledger_there
from pinstripe.commands.ledger_there import outlast
from pinstripe.commands.stop_signals import StopSignals
from pinstripe.config import load_settings
from pinstripe.errors import LedgerError

if TYPE_CHECKING:
    from pathlib import Path

    from pinstripe.config import Settings

pytestmark = pytest.mark.anyio

PATIENCE = 30.0
"""Seconds between two tries, in which a test that waits for them would fail."""


class Ledger:
    """Can't be opened for some times, as where its server refuses connections."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self.tries = 0

    async def open(self) -> str:
        self.tries += 1
        if self.tries <= self.refusals:
            raise LedgerError("the ledger is \x1b[31maway") from ConnectionRefusedError(111, "Connection refused")
        return "open"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(tmp_path, environment={}, flags={"ledger": "postgresql://app@db/app"})


async def test_it_is_told_at_first_now_and_then_and_at_the_end(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ledger_there, "TRY_EVERY", 0.001)
    monkeypatch.setattr(ledger_there, "TELL_EVERY", 0.0)
    async with StopSignals("25s", quiet=True) as signals:
        assert await outlast(Ledger(3).open, settings, signals) == "open"
    first, *still, last = capsys.readouterr().err.splitlines()
    assert first == "Waiting for the ledger's server, which is away: the ledger is \\x1b[31maway"
    assert still == ["Still waiting for the ledger's server, for 0s: the ledger is \\x1b[31maway"] * 2
    assert last == "The ledger's server is there."


async def test_what_is_there_is_given_without_a_word(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    async with StopSignals("25s", quiet=True) as signals:
        assert await outlast(Ledger(0).open, settings, signals) == "open"
    assert capsys.readouterr().err == ""


async def test_a_signal_that_came_before_ends_it_at_the_first_refusal(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_there, "TRY_EVERY", PATIENCE)
    ledger = Ledger(5)
    async with StopSignals("25s", quiet=True) as signals:
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(click.exceptions.Exit) as ended:
            await outlast(ledger.open, settings, signals)
    assert (ended.value.exit_code, ledger.tries) == (143, 1)


async def test_a_ledger_in_a_file_is_never_waited_for(tmp_path: Path) -> None:
    settings = load_settings(tmp_path, environment={})
    ledger = Ledger(1)
    async with StopSignals("25s", quiet=True) as signals:
        with pytest.raises(LedgerError):
            await outlast(ledger.open, settings, signals)


async def test_what_else_is_wrong_is_raised_as_it_is(settings: Settings) -> None:
    async def fail() -> None:
        raise LookupError("no such thing")

    async with StopSignals("25s", quiet=True) as signals:
        with pytest.raises(LookupError, match="no such thing"):
            await outlast(fail, settings, signals)
