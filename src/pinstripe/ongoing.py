"""What goes on for a while and may have a span for it, as those see it who do it. It knows no OpenTelemetry."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from pinstripe.log import Log

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pinstripe.queue import NewWork
    from pinstripe.run import Run

_log = Log()


class Ongoing:
    """What is asked for or done while a block goes on, and may have a span for it; this one has none."""

    __slots__ = ()

    trace: str | None = None
    """What the ledger is to keep of the span, for those of the executions to be below it."""

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *raised: object) -> None:
        """End; what was raised goes on."""

    def mark(self, works: Sequence[NewWork]) -> Sequence[NewWork]:
        """Give what is to be enqueued, for each run to keep where the span is."""
        return works

    def became(self, run: Run) -> None:
        """Hear which run it has become; once more when that is finished."""

    def retries(self, trace: str | None) -> None:
        """Hear that it is a retry of a run, which has this `trace`."""

    def forget(self) -> None:
        """Hear that nothing has come of it."""


UNTRACED = Ongoing()


class _Telling:
    """Whether it was told that a span can't be made."""

    done = False


@contextmanager
def guarded() -> Iterator[None]:
    """Go on after whatever an application's sampler, processor or exporter raises; the first time that is told."""
    try:
        yield
    except Exception:  # noqa: BLE001 - see above
        if not _Telling.done:
            _Telling.done = True
            _log.exception("a span can't be made or ended, so that not all is traced")
