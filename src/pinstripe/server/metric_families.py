"""What the ledger tells as metrics of Prometheus: their names, what they mean, and at most how many lines of each."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any, NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from pinstripe.queue import Held
from pinstripe.version import VERSION
from pinstripe.views.status import bands
from pinstripe.views.waits import is_silent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from prometheus_client.core import Metric

    from pinstripe.history import Tally
    from pinstripe.views.status import Seen

MAX_JOBS = 1_000
"""How many jobs have lines of their own; all others are told together, as `OTHER`."""

OTHER = "(other)"
"""The label of all other jobs, which is no job's name."""

MAX_RUNS = 1_000
"""Up to how many runs that go on are counted."""


class Snapshot(NamedTuple):
    """What a scrape tells: what is `seen` to go on, the `totals` of what has ended, how many runs are `running`.

    `ledger` is of which kind it is.
    """

    seen: Seen
    totals: Sequence[Tally]
    running: int
    ledger: str


class Jobs:
    """Gives jobs their labels: each one that was among the first keeps its own for as long as the server lives.

    So a counter never goes back, whatever jobs come later.
    """

    def __init__(self) -> None:
        """Know none yet."""
        self._known: set[str] = set()

    def label(self, job: str) -> str:
        """Give a job's label."""
        if job not in self._known:
            if len(self._known) >= MAX_JOBS:
                return OTHER
            self._known.add(job)
        return job


class SnapshotCollector(Collector):
    """Tells one snapshot."""

    def __init__(self, snapshot: Snapshot, jobs: Jobs) -> None:
        """Take the `snapshot`, and what labels `jobs`."""
        self._snapshot = snapshot
        self._jobs = jobs

    def collect(self) -> Iterator[Metric]:
        """Give all metrics."""
        yield _gauge(
            "build_info", "Which Pinstripe this server is, as labels; always 1.", ["version", "python", "ledger"],
            {(VERSION, platform.python_version(), self._snapshot.ledger): 1},
        )  # fmt: skip
        yield from self._ended()
        yield from self._going_on()
        yield from self._waiting()
        yield from self._schedules()

    def _ended(self) -> Iterator[Metric]:
        executions: dict[tuple[str, str], int] = {}
        microseconds: dict[tuple[str, str], int] = {}
        for tally in self._snapshot.totals:
            key = self._jobs.label(tally.job), str(tally.status)
            executions[key] = executions.get(key, 0) + tally.executions
            microseconds[key] = microseconds.get(key, 0) + tally.duration
        ended = CounterMetricFamily(
            "pinstripe_executions",
            "Executions that have ended since the ledger was made, by job and final status.",
            labels=["job", "status"],
        )
        seconds = CounterMetricFamily(
            "pinstripe_execution_seconds",
            "How long those executions took in all, in seconds.",
            labels=["job", "status"],
        )
        for key, many in executions.items():
            ended.add_metric(list(key), many)
            seconds.add_metric(list(key), microseconds[key] / 1_000_000)
        yield ended
        yield seconds

    def _going_on(self) -> Iterator[Metric]:
        status, now, lease = self._snapshot.seen.status, self._snapshot.seen.now, self._snapshot.seen.lease
        alive = [process for process in status.processes if not is_silent(process, now, lease)]
        workers = [process for process in alive if process.concurrency is not None and not process.stopping]
        bots = [process for process in alive if process.bot and not process.stopping]
        kinds = {
            ("worker",): len(workers),
            ("bot",): len(bots),
            ("stopping",): sum(process.stopping for process in alive),
            ("by_hand",): sum(
                not (process.stopping or process.bot) and process.concurrency is None for process in alive
            ),
        }
        what = "Living processes by what they are; one that is a worker and a bot is counted as both."
        yield _gauge("processes", what, ["kind"], kinds)
        slots = sum(process.concurrency or 0 for process in workers)
        yield _gauge(
            "worker_slots", "How many executions all living workers can have going on at once.", [], {(): slots}
        )
        yield _gauge("executions_running", "Executions that go on.", [], {(): status.running})
        what = f"Runs of which something has begun and not all has ended; at most {MAX_RUNS:,} are counted."
        yield _gauge("runs_running", what, [], {(): self._snapshot.running})
        what = "Runs whose tenants a worker is to select, or selects."
        yield _gauge("runs_selecting", what, [], {(): status.selecting})

    def _waiting(self) -> Iterator[Metric]:
        status, now = self._snapshot.seen.status, self._snapshot.seen.now
        ready = {(str(line.priority),): line.ready for line in bands(status)}
        yield _gauge("queue_ready", "Executions that may start as soon as a worker has room.", ["priority"], ready)
        oldest = {
            (str(line.priority),): 0.0 if line.oldest is None else max(0, now - line.oldest) / 1_000_000
            for line in bands(status)
        }
        what = "For how many seconds the oldest of those has been ready; 0 where there is none."
        yield _gauge("queue_oldest_wait_seconds", what, ["priority"], oldest)
        held = {(str(reason),): status.held.get(reason, 0) for reason in Held}
        yield _gauge("queue_held", "Queued executions that may not start yet, by the reason.", ["reason"], held)
        what = "Executions, and runs to be selected, that wait for a worker whose code has their job."
        lacking = sum(status.lacking.values()) + sum(status.lacking_runs.values())
        yield _gauge("queue_lacking", what, [], {(): lacking})
        yield _gauge("pauses", "Pauses that hold, of jobs, of tenants and of everything.", [], {(): len(status.pauses)})

    def _schedules(self) -> Iterator[Metric]:
        schedules = self._snapshot.seen.schedules
        yield _gauge("schedules", "Schedules that the ledger knows.", [], {(): schedules.total})
        what = "What should have run by a schedule and hasn't for a minute, or was let go; at most 1,000 are counted."
        yield _gauge("schedules_overdue", what, [], {(): len(schedules.overdue)})


def _gauge(name: str, what: str, labels: Sequence[str], values: Mapping[Any, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"pinstripe_{name}", what, labels=labels)
    for key, value in values.items():
        family.add_metric(list(key), value)
    return family
