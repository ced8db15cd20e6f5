"""Measure Pinstripe and each peer by the same parts, in turn, and set one beside the other."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from benchmarks import evidence
from benchmarks.databases import LEDGER
from benchmarks.figures import Figure, Missing, Size, middle, percentile
from benchmarks.peers.environments import environment_of, version_of
from benchmarks.peers.servers import nothing, postgres, redis
from benchmarks.projects import memory_folder, pinstripe, project
from benchmarks.workers import environment, worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

OURS = "Pinstripe (SQLite)"
ON_POSTGRES = "Pinstripe (PostgreSQL)"
FAN_OUT = "the same job for each of many tenants, call to last start"
PARTS = {
    "enqueue one by one": "jobs/s",
    "enqueue many by one call for 1,000": "jobs/s",
    "drain of what waits": "jobs/s",
    FAN_OUT: "tenants/s",
    "idle, enqueue to start, p50": "ms",
    "idle, enqueue to start, p99": "ms",
    "an idle worker, of one core": "%",
}


@dataclass(frozen=True, slots=True)
class Peer:
    """One of those that are compared. `{bin}` and `{url}` in a command are where its programs and its server are.

    `beside` is the title of the one that it is set beside; `variables` are its own.
    """

    name: str
    title: str
    server: Callable[[], AbstractContextManager[str]]
    worker: Sequence[str]
    prepare: Sequence[str] = ()
    many: bool = True
    beside: str = OURS
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def program(self) -> str:
        """The module that enqueues."""
        return f"benchmarks.peers.on_{self.name}"


PEERS = (
    Peer("pinstripe", OURS, nothing, pinstripe("start-worker")),
    Peer(
        "pinstripe",
        ON_POSTGRES,
        postgres,
        pinstripe("start-worker", "--processes", "2"),
        beside=ON_POSTGRES,
        variables={LEDGER: "{url}"},
    ),
    Peer(
        "huey",
        f"Huey {version_of('huey')} (SQLite)",
        nothing,
        ("{bin}/huey_consumer", "benchmarks.peers.on_huey.huey", "-w", "2", "-k", "process", "-q"),
        many=False,
    ),
    Peer(
        "celery",
        f"Celery {version_of('celery')} (Redis)",
        redis,
        (
            *("{bin}/celery", "-A", "benchmarks.peers.on_celery", "worker", "--pool", "prefork", "-c", "2"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "WARNING"),
        ),
    ),
    Peer(
        "pgqueuer",
        f"PgQueuer {version_of('pgqueuer')} (PostgreSQL)",
        postgres,
        (
            *("{bin}/pgq", "--pg-dsn", "{url}", "run", "benchmarks.peers.on_pgqueuer:worker"),
            *("--batch-size", "100", "--log-level", "WARNING"),
        ),
        ("{bin}/pgq", "--pg-dsn", "{url}", "install"),
        beside=ON_POSTGRES,
    ),
    Peer(
        "procrastinate",
        f"Procrastinate {version_of('procrastinate')} (PostgreSQL)",
        postgres,
        (
            *("{bin}/procrastinate", "--app", "benchmarks.peers.on_procrastinate.app", "worker"),
            *("--concurrency", "10", "--delete-jobs", "always"),
        ),
        ("{bin}/procrastinate", "--app", "benchmarks.peers.on_procrastinate.app", "schema", "--apply"),
        beside=ON_POSTGRES,
    ),
)


@dataclass(slots=True)
class Measured:
    """What was measured of one, part by part, a value for each round; `missing` is why there is nothing.

    `beside` is the title of the one that it is set beside.
    """

    beside: str = OURS
    parts: dict[str, list[float]] = field(default_factory=dict)
    missing: str = ""


def compare(size: Size, peers: Sequence[Peer] = PEERS) -> list[Figure]:
    """Measure all of them in turn, `size.peer_rounds` times, and give a line for each part of each."""
    measured = {peer.title: Measured(peer.beside) for peer in peers}
    for _ in range(size.peer_rounds):
        for peer in peers:
            if not measured[peer.title].missing:
                try:
                    for part, value in _measure(peer, size):
                        measured[peer.title].parts.setdefault(part, []).append(value)
                except Missing as reason:
                    measured[peer.title].missing = str(reason)
                    print(f"{peer.title} is left out: {reason}", file=sys.stderr)
    return list(figures(measured))


def figures(measured: dict[str, Measured]) -> Iterator[Figure]:
    """Give a line for each part of each, with how many times as much Pinstripe does of it, or takes for it."""
    for title, each in measured.items():
        if each.missing:
            yield Figure(title, None, "", note=each.missing)
    for part, unit in PARTS.items():
        for title, each in measured.items():
            if part in each.parts:
                value = middle(each.parts[part])
                ours = middle(measured[each.beside].parts[part])
                note = "" if title == each.beside or not value else f"{each.beside}: {ours / value:,.2f} x"
                yield Figure(f"{part}: {title}", value, unit, note=note)


def _measure(peer: Peer, size: Size) -> Iterator[tuple[str, float]]:
    print(f"measuring {peer.title}…", file=sys.stderr)
    with ExitStack() as stack:
        programs = Path(sys.executable).parent if peer.name == "pinstripe" else environment_of(peer.name)
        url = stack.enter_context(peer.server())
        folder = stack.enter_context(project())
        notes = Path(stack.enter_context(TemporaryDirectory(dir=memory_folder()))) / "entries"
        notes.touch()
        calls, tenants = size.waiting, size.fan_outs[0]
        given = {"BENCHMARK_FOLDER": str(folder), "BENCHMARK_URL": url, evidence.VARIABLE: str(notes)}
        given |= {"TENANTS": str(tenants)} | {name: value.format(url=url) for name, value in peer.variables.items()}
        if peer.prepare:
            command = _filled(peer.prepare, programs, url)
            subprocess.run(command, check=True, capture_output=True, cwd=folder, env=environment(**given))

        def ask(what: str, number: int) -> bytes:
            command = [str(programs / "python"), "-m", peer.program, what, str(number)]
            variables = environment(**given)
            return subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=folder, env=variables).stdout

        yield "enqueue one by one", json.loads(ask("one", calls))
        with worker(_filled(peer.worker, programs, url), folder, **given) as started:
            started.wait_until(lambda: evidence.count(notes) >= calls, f"{calls} jobs")
            began = [entry.at for entry in evidence.entries(notes)]
            yield "drain of what waits", (calls - 1) / (max(began) - min(began)) * 1e9

            asked = json.loads(ask("paced", size.paced))
            started.wait_until(lambda: evidence.count(notes) >= calls + size.paced, f"{size.paced} paced jobs")
            waits = [(at - asked[number]) / 1e6 for number, at in evidence.entries(notes)[calls:]]
            yield "idle, enqueue to start, p50", percentile(waits, 50)
            yield "idle, enqueue to start, p99", percentile(waits, 99)

            before = started.seconds()
            time.sleep(size.idle)
            yield "an idle worker, of one core", (started.seconds() - before) / size.idle * 100

            (begun,) = json.loads(ask("fan_out", tenants))
            wanted = calls + size.paced + 1 + tenants
            started.wait_until(lambda: evidence.count(notes) >= wanted, f"{tenants} executions")
            yield FAN_OUT, tenants / (max(entry.at for entry in evidence.entries(notes)) - begun) * 1e9
        if peer.many:
            yield "enqueue many by one call for 1,000", json.loads(ask("many", calls))


def _filled(command: Sequence[str], programs: Path, url: str) -> list[str]:
    return [part.format(bin=programs, url=url) for part in command]
