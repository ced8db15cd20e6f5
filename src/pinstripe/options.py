"""What is said of one run before it is started: whom it is for, and when, how urgently and under which key it waits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from pinstripe.clock import to_microseconds
from pinstripe.duration import parse_duration
from pinstripe.errors import InvalidArguments
from pinstripe.json_values import show, why_not_json
from pinstripe.names import nearest
from pinstripe.priority import Priority

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pinstripe.background_job import BackgroundJob
    from pinstripe.run import Run
    from pinstripe.workspace import Workspace

Call = tuple[Any, ...] | Mapping[str, Any]
"""The arguments of one of many runs: those given by position, or named ones."""

MAX_CALLS = 10_000
"""How many runs are enqueued at once, in one transaction."""

MAX_KEY = 200
"""How many characters the `key` of an enqueued run may have."""

_LAST = to_microseconds(datetime.max.replace(tzinfo=UTC))


class Terms(NamedTuple):
    """How an enqueued run waits: not before `at`, or before the `delay` is over; with its `key`, and its `priority`.

    It is enqueued in the transaction that is open on `connection`; None is one of the ledger's own.
    """

    at: datetime | None = None
    delay: timedelta | None = None
    key: str | None = None
    priority: Priority | None = None
    connection: Any = None

    @classmethod
    def of(
        cls,
        *,
        at: datetime | None = None,
        delay: str | timedelta | None = None,
        key: str | None = None,
        priority: str | None = None,
        connection: Any = None,
    ) -> Terms:
        """Check what code gave; raises `InvalidArguments`, which names the option."""
        if at is not None and delay is not None:
            message = f"expected either options(at=…) or options(delay=…), got both: {show(at)} and {show(delay)}"
            raise InvalidArguments(message)
        return cls(_moment(at), _duration(delay), _key(key), _priority(priority), connection)

    def due_at(self, now: int) -> int | None:
        """Tell when it may start, in microseconds UTC; None where that is `now`, or was."""
        if self.at is not None:
            due = to_microseconds(self.at)
        elif self.delay is not None:
            due = now + self.delay // timedelta(microseconds=1)
        else:
            return None
        if due > _LAST:
            message = f"options(at=…, delay=…): expected a time before the year 10000, got {self.at or self.delay}"
            raise InvalidArguments(message)
        return due if due > now else None


NOTHING_SAID = Terms()
"""At once, by the job's own priority, and without a key."""


@dataclass(frozen=True, slots=True)
class Options:
    """What is chosen for one run: `await workspace.options(tenants=["acme"]).run_background_job(…)`.

    `tenants` runs only these ids, `exclude` all but these, `where` those for which the lookups hold. None of them goes
    beyond the job's own filter.

    The others are for what is enqueued. `at` is an aware datetime before which nothing of it starts, or `delay` how
    long that is from now, as `"5m"` or a `timedelta`. `key` is a text of at most 200 characters: a second run of the
    same job with it isn't made, for as long as the first one is kept. `priority` is `"interactive"`, `"default"` or
    `"bulk"`. `connection` is a connection or session to the ledger's PostgreSQL, on which a transaction of the
    caller's is open: the run is enqueued in that, and is there when, and only if, it is committed.
    """

    workspace: Workspace = field(repr=False)
    tenants: Sequence[str] | None = None
    exclude: Sequence[str] = ()
    where: Mapping[str, Any] = field(default_factory=dict)
    at: datetime | None = None
    delay: str | timedelta | None = None
    key: str | None = None
    priority: str | None = None
    connection: Any = field(default=None, repr=False)

    async def run_background_job(self, job: str | type[BackgroundJob], /, *args: Any, **kwargs: Any) -> Run:
        """Run a job for the chosen tenants, as `Workspace.run_background_job` does; give the finished run.

        With an option that is for what is enqueued it raises `TypeError`.
        """
        given = [name for name in _ENQUEUED if getattr(self, name) is not None]
        if given:
            what = f"options({', '.join(f'{name}=…' for name in given)})"
            message = f"{what} is for enqueue_background_job; run_background_job runs the job here and now"
            raise TypeError(message)
        return await self.workspace._launch(self, job, args, kwargs)  # noqa: SLF001 - its other half

    async def enqueue_background_job(self, job: str | type[BackgroundJob], /, *args: Any, **kwargs: Any) -> Run:
        """Enqueue a job with these options, as `Workspace.enqueue_background_job` does; give the queued run.

        With a `key` that a run of the job has already, that run is given, whatever its arguments and its state are.
        """
        return await self.workspace._enqueue(self, job, args, kwargs)  # noqa: SLF001 - as above

    async def enqueue_background_jobs(self, job: str | type[BackgroundJob], calls: Iterable[Call]) -> list[Run]:
        """Enqueue many runs of a job, as `Workspace.enqueue_background_jobs` does; the options hold for each of them.

        With `key` it raises `TypeError`: one key is one run's.
        """
        if self.key is not None:
            message = "options(key=…) is for enqueue_background_job: one key can't be for many runs"
            raise TypeError(message)
        return await self.workspace._enqueue_many(self, job, calls)  # noqa: SLF001 - as above

    def terms(self) -> Terms:
        """Give how it waits; raises `InvalidArguments` for an option that can't be."""
        chosen = {name: getattr(self, name) for name in _ENQUEUED}
        return NOTHING_SAID if all(value is None for value in chosen.values()) else Terms.of(**chosen)


_ENQUEUED = ("at", "delay", "key", "priority", "connection")


def take(calls: Iterable[Call]) -> list[Call]:
    """Give the calls, no more than may be enqueued at once; raises `InvalidArguments` for more, or what has none."""
    if not hasattr(calls, "__iter__"):
        message = f"expected the arguments of many calls, such as [(1,), (2,)], got {show(calls)}"
        raise InvalidArguments(message)
    taken = list(islice(calls, MAX_CALLS + 1))
    if len(taken) > MAX_CALLS:
        message = (
            f"expected at most {MAX_CALLS:,} calls, which are enqueued all or none, got more; enqueue them in parts"
        )
        raise InvalidArguments(message)
    return taken


def _moment(at: object) -> datetime | None:
    if at is None or (isinstance(at, datetime) and at.utcoffset() is not None):
        return at
    what = f"a naive one: {at}; give its time zone, such as datetime.now(UTC)" if isinstance(at, datetime) else show(at)
    message = f"options(at=…): expected an aware datetime, got {what}"
    raise InvalidArguments(message)


def _duration(delay: str | timedelta | None) -> timedelta | None:
    if delay is None:
        return None
    try:
        return parse_duration(delay)
    except ValueError as error:
        message = f"options(delay=…): {error}"
        raise InvalidArguments(message) from error


def _key(key: object) -> str | None:
    if key is None:
        return None
    if isinstance(key, str) and 0 < len(key) <= MAX_KEY:
        reason = why_not_json(str(key))
        if reason is None:
            return str(key)
    elif isinstance(key, str):
        reason = f"{len(key):,}"
    else:
        reason = show(key)
    message = f"options(key=…): expected a text of 1 to {MAX_KEY} characters, got {reason}"
    raise InvalidArguments(message)


def _priority(priority: object) -> Priority | None:
    if priority is None:
        return None
    known = [str(each) for each in Priority]
    if isinstance(priority, str) and priority in known:
        return Priority(priority)
    near = nearest(priority, known) if isinstance(priority, str) else []
    hint = f"; did you mean {near[0]!r}?" if near else ""
    message = f"options(priority=…): expected {', '.join(map(repr, known))}, got {show(priority)}{hint}"
    raise InvalidArguments(message)
