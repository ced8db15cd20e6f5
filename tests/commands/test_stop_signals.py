from __future__ import annotations

import asyncio
import signal

import pytest

from pinstripe.commands.stop_signals import StopSignals

pytestmark = pytest.mark.anyio


class Stopped:
    """Counts how often it was told to stop."""

    def __init__(self) -> None:
        self.times = 0
        self.told = asyncio.Event()

    def stop(self) -> None:
        self.times += 1
        self.told.set()

    async def again(self) -> int:
        """Wait until it is told again; give how often it was told in all."""
        async with asyncio.timeout(30):
            await self.told.wait()
        self.told.clear()
        return self.times


async def test_each_signal_is_passed_on(capfd: pytest.CaptureFixture[str]) -> None:
    stopped = Stopped()
    async with StopSignals("25s", quiet=False) as signals:
        assert signals.code is None
        signals.hand_to(stopped.stop)
        signal.raise_signal(signal.SIGINT)
        assert await stopped.again() == 1
        signal.raise_signal(signal.SIGINT)
        assert await stopped.again() == 2
        assert signals.code == 130
    assert capfd.readouterr().err == (
        "Stopping: what runs may end within 25s; another Ctrl-C stops it at once.\n"
        "Stopping at once; what is stopped runs again later.\n"
    )


@pytest.mark.parametrize(
    ("come", "times", "code"),
    [
        ([signal.SIGTERM, signal.SIGTERM], 1, 143),  # timeout(1) and systemd send it to the process and to its group
        ([signal.SIGTERM, signal.SIGINT], 2, 143),
        ([signal.SIGINT, signal.SIGTERM], 2, 130),
        ([signal.SIGTERM, signal.SIGINT, signal.SIGTERM], 2, 143),
    ],
)
async def test_a_second_sigterm_right_after_the_first_is_the_same(
    come: list[signal.Signals], times: int, code: int, capfd: pytest.CaptureFixture[str]
) -> None:
    stopped = Stopped()
    async with StopSignals("25s", quiet=True) as signals:
        signals.hand_to(stopped.stop)
        for number in come:
            signal.raise_signal(number)
        assert await stopped.again() == times
        assert signals.code == code
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("is_ignored", [False, True])
async def test_a_terminal_that_is_closed_is_a_sigterm_unless_that_is_ignored(*, is_ignored: bool) -> None:
    stopped = Stopped()
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN if is_ignored else signal.SIG_DFL)  # as nohup(1) has it
    try:
        async with StopSignals("25s", quiet=True) as signals:
            signals.hand_to(stopped.stop)
            signal.raise_signal(signal.SIGHUP)
            if not is_ignored:
                assert await stopped.again() == 1
            assert signals.code == (None if is_ignored else 143)
        assert signal.getsignal(signal.SIGHUP) == (signal.SIG_IGN if is_ignored else signal.SIG_DFL)
    finally:
        signal.signal(signal.SIGHUP, former)


async def test_what_came_before_there_was_anything_to_stop_is_not_forgotten() -> None:
    stopped = Stopped()
    async with StopSignals("25s", quiet=True) as signals:
        signal.raise_signal(signal.SIGTERM)
        await asyncio.sleep(0)  # the event loop has heard of it
        signals.hand_to(stopped.stop)
        assert stopped.times == 1


async def test_afterwards_the_signals_do_what_they_did_before() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    async with StopSignals("25s", quiet=True):
        assert signal.getsignal(signal.SIGTERM) != before[0]
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_that_came_before_ends_what_asyncio_runs(times: int) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    reached = []

    async def command() -> None:
        for _ in range(times):
            signal.raise_signal(signal.SIGINT)
        async with StopSignals("25s", quiet=False):
            reached.append("what it would do")
            await asyncio.sleep(0)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(command())
    assert reached == []
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
