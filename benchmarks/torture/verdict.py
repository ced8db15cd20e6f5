"""What the ledger and the jobs' own notes say at the end, held against each other."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.torture.jobs import EXPECTED, POISON
from benchmarks.torture.reading import SHOWN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from benchmarks.torture.load import Enqueued
    from benchmarks.torture.reading import Reading

FINAL = ("succeeded", "failed", "cancelled", "skipped")
SURVIVED = 2
"""How many crashes an execution survives by default: one more fails it."""


class Row(NamedTuple):
    """An execution, as the ledger has it."""

    key: str
    run: str
    job: str
    tenant: str
    state: str
    epoch: int
    attempts: int
    crashes: int
    error: str | None


class Notes(NamedTuple):
    """What bodies noted: for each key the fences and processes of the starts, and those of the ends."""

    starts: dict[str, list[tuple[int, int]]]
    ends: dict[str, list[tuple[int, int]]]


class Repeated(NamedTuple):
    """What was started more than once, and what had even come to its end before."""

    started: int
    ended: int


def read_notes(path: Path) -> Notes:
    """Read what bodies noted, in the order of the file."""
    starts: dict[str, list[tuple[int, int]]] = defaultdict(list)
    ends: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for line in path.read_text("utf-8").splitlines():
        what, key, fence, pid = line.split()
        (starts if what == "start" else ends)[key].append((int(fence), int(pid)))
    return Notes(starts, ends)


def read_rows(ledger: Reading) -> list[Row]:
    """Read all executions."""
    found = ledger.rows(
        "select r.id || '/' || e.tenant, r.id, e.job, e.tenant, e.state, e.epoch, e.attempts, e.crashes, e.error"
        " from executions e join runs r on r.n = e.run"
    )
    return [Row(*values) for values in found]


def unfinished(ledger: Reading) -> int:
    """Count the runs that have not ended."""
    return _count(ledger, "runs where finished_at is null")


def violations(ledger: Reading, notes: Notes, enqueued: Sequence[Enqueued], by_hand: Sequence[str]) -> list[str]:
    """Give everything that isn't as it was promised; at most `SHOWN` of a kind, with how many there are."""
    rows = read_rows(ledger)
    found: dict[str, list[str]] = defaultdict(list)
    for kind, what in [
        *lost(rows, enqueued),
        *counted(ledger),
        *_as_expected(rows, set(by_hand)),
        *fenced(rows, notes),
        *_in_the_foreground(rows, notes, by_hand),
    ]:
        found[kind].append(what)
    return [f"{kind} ({len(each)}): {'; '.join(each[:SHOWN])}" for kind, each in found.items()]


def repeated(notes: Notes) -> Repeated:
    """Count what at-least-once means: what was started again, and what had noted its end before a later start."""
    ended = 0
    for key, starts in notes.starts.items():
        last = max(fence for fence, _ in starts)
        ended += any(fence < last for fence, _ in notes.ends.get(key, ()))
    return Repeated(sum(len(starts) > 1 for starts in notes.starts.values()), ended)


def lost(rows: Sequence[Row], enqueued: Sequence[Enqueued]) -> Iterator[tuple[str, str]]:
    """Everything that was acknowledged is there."""
    there = Counter(row.run for row in rows)
    for run in enqueued:
        if there[run.id] != run.total:
            yield "lost", f"run {run.id} of {run.job} has {there[run.id]} of {run.total} executions"


def counted(ledger: Reading) -> Iterator[tuple[str, str]]:
    """Each run's counters are what counting gives, and each run has ended: nothing was settled twice or not at all."""
    states: dict[int, Counter[str]] = defaultdict(Counter)
    for run, state, count in ledger.rows("select run, state, count(*) from executions group by run, state"):
        states[int(run)][str(state)] = int(count)
    columns = "n, id, state, finished_at, total, open, succeeded, failed, cancelled, skipped"
    for n, id_, state, finished_at, total, left, *counters in ledger.rows(f"select {columns} from runs"):
        tallied = [states[int(n)][each] for each in FINAL]
        if [*counters] != tallied or total != sum(tallied) or total != states[int(n)].total() or left:
            yield "miscounted", f"run {id_}: total {total}, open {left}, {counters}, but {dict(states[int(n)])}"
        if state not in FINAL or finished_at is None:
            yield "unfinished", f"run {id_} is {state}"
    left_over = {name: _count(ledger, name) for name in ("chunks", "slots", "guards")}
    if any(left_over.values()):
        yield "left in the queue", str(left_over)
    if (unsound := ledger.unsound()) is not None:
        yield "integrity", unsound


def _count(ledger: Reading, table: str) -> int:
    return int(ledger.rows(f"select count(*) from {table}")[0][0])


def _as_expected(rows: Sequence[Row], ended_by_hand: set[str]) -> Iterator[tuple[str, str]]:
    """Each execution ended as its job must; the poison has crashed, and nothing else was blamed for a crash."""
    for row in rows:
        poison = row.job == "poisoned" and row.tenant == POISON
        expected = "failed" if poison else EXPECTED[row.job]
        killed = row.job == "by_hand" and row.run not in ended_by_hand and row.state == "cancelled"
        if row.state != expected and not killed:
            yield f"{row.job} is {row.state}", f"{row.key}, attempts {row.attempts}, crashes {row.crashes}: {row.error}"
        if poison and (row.crashes != SURVIVED or "died" not in (row.error or "")):
            yield "poison", f"expected to fail by the crash after {SURVIVED} others, got {row}"
        if not poison and row.crashes:
            yield "blamed", f"{row}"
        if row.job == "raises_once" and row.attempts != 2:
            yield "attempts", f"expected 2 of {row.key}, got {row.attempts}"


def fenced(rows: Sequence[Row], notes: Notes) -> Iterator[tuple[str, str]]:
    """Each start has a fence of its own, none is later than the result, and a success is one that noted its end."""
    for row in rows:
        starts, ends = notes.starts.get(row.key, []), notes.ends.get(row.key, [])
        fences = [fence for fence, _ in starts]
        if len(set(fences)) != len(fences):
            yield "one fence twice", f"{row.key}: {starts}"
        if fences and max(fences) > row.epoch:
            yield "started after its end", f"{row.key}: fences {fences}, settled with {row.epoch}"
        if row.state == "succeeded" and row.epoch not in {fence for fence, _ in ends}:
            yield "succeeded without an end", f"{row.key}: ends {ends}, settled with {row.epoch}"


def _in_the_foreground(rows: Sequence[Row], notes: Notes, by_hand: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each run by hand was executed once, by one process; of one that was killed, some of it never."""
    wanted = set(by_hand)
    processes: dict[str, set[int]] = defaultdict(set)
    for row in rows:
        if row.job != "by_hand":
            continue
        wanted.discard(row.run)
        starts = notes.starts.get(row.key, [])
        processes[row.run].update(pid for _, pid in starts)
        if len(starts) > 1 or (not starts and row.run in by_hand):
            yield "by hand", f"{row.key} was started {len(starts)} times: {starts}"
    for run, pids in processes.items():
        if len(pids) > 1:
            yield "by hand", f"run {run} was executed by processes {sorted(pids)}"
    for run in wanted:
        yield "lost", f"run {run} by hand"
