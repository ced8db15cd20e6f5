"""Peers are measured beside Pinstripe, each in its own environment; what is not there is left out with the reason."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from benchmarks import evidence
from benchmarks.figures import TINY, Figure, Missing, percentile, table
from benchmarks.peers import environments
from benchmarks.peers.comparison import ON_POSTGRES, OURS, PARTS, PEERS, Measured, compare, figures
from benchmarks.peers.environments import environment_of, version_of
from benchmarks.peers.servers import redis

if TYPE_CHECKING:
    from pathlib import Path

PEERS_OF_OTHERS = [peer.name for peer in PEERS if peer.title not in {OURS, ON_POSTGRES}]


@pytest.fixture
def nothing_to_install_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Environments in a folder of the test's, and a pip that finds no package."""
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "PIP_CONFIG_FILE": "/dev/null"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("BENCHMARK_PEERS", str(tmp_path / "peers"))
    return tmp_path / "peers"


@pytest.mark.usefixtures("nothing_to_install_from")
def test_what_can_not_be_installed_is_left_out_with_the_reason() -> None:
    lines = table([("peers", compare(TINY))])
    for peer in PEERS:
        if peer.name in PEERS_OF_OTHERS:
            line = rf"\| {re.escape(peer.title)} \| not measured \|  \|  \| pip can't install {peer.name}\.txt: ERROR.*"
            assert any(re.fullmatch(line, each) for each in lines), lines
    for title in (OURS, ON_POSTGRES):
        assert [part for part in PARTS if not any(each.startswith(f"| {part}: {title} |") for each in lines)] == []


def test_an_environment_that_was_not_finished_is_no_environment(nothing_to_install_from: Path) -> None:
    for _ in range(2):
        with pytest.raises(Missing, match=r"pip can't install huey\.txt"):
            environment_of("huey")
    assert not (nothing_to_install_from / "huey" / "made-from").exists()


def test_a_server_that_is_not_there_is_the_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Missing, match="expected `redis-server` on the PATH"), redis():
        pass


@pytest.mark.parametrize("name", PEERS_OF_OTHERS)
def test_a_peer_has_its_program_and_is_pinned(name: str) -> None:
    assert (environments.PINS / f"on_{name}.py").exists()
    assert re.fullmatch(r"\d[\d.]+", version_of(name))


def test_a_part_is_told_of_each_with_the_ratio() -> None:
    part, unit = next(iter(PARTS.items()))
    ours = Measured(OURS, {each: [10.0, 30.0, 20.0] for each in PARTS})
    told = list(
        figures({OURS: ours, "Other 1.0": Measured(OURS, {part: [8.0]}), "Absent 2.0": Measured(missing="no server")})
    )
    assert told[:3] == [
        Figure("Absent 2.0", None, "", note="no server"),
        Figure(f"{part}: {OURS}", 20, unit),
        Figure(f"{part}: Other 1.0", 8, unit, note=f"{OURS}: 2.50 x"),
    ]
    assert len(told) == 2 + len(PARTS)


@pytest.mark.parametrize(("percent", "value"), [(50, 50), (99, 99), (100, 100), (0, 1)])
def test_a_percentile_is_one_of_the_values(percent: float, value: float) -> None:
    assert percentile(range(100, 0, -1), percent) == value


def test_evidence_is_read_as_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "entries"
    path.touch()
    monkeypatch.setenv(evidence.VARIABLE, str(path))
    for number in (7, 8):
        evidence.note(number)
    assert evidence.count(path) == 2
    first, second = evidence.entries(path)
    assert (first.number, second.number) == (7, 8)
    assert 0 < first.at <= second.at
