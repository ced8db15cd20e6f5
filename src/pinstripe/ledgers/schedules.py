"""What both ledgers know of schedules: who has one, which are nobody's any more, what is new about one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pinstripe.fires import ScheduleState

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from pinstripe.fires import KnownSchedule


class KeptSchedule(NamedTuple):
    """A schedule as the ledger has it; `bot` is the process that last said that it has it, None where that is gone."""

    id: int
    job: str
    key: str
    edition: str
    gone: bool
    bot: int | None

    def is_new_as(self, schedule: KnownSchedule) -> bool:
        """Tell whether it is known anew, as code has it now: it comes back, or is another edition."""
        return self.gone or self.edition != schedule.edition

    def is_nobodys(self, ours: Collection[int], keep: Collection[str], bot: int) -> bool:
        """Tell whether it is to be called gone: neither this `bot`, which has `ours`, has it nor another one.

        Those of the jobs in `keep` stay.
        """
        return self.id not in ours and not self.gone and self.bot in {None, bot} and self.job not in keep


def left_behind(
    rows: Iterable[Sequence[Any]], ours: Collection[int], keep: Collection[str], bot: int
) -> list[KeptSchedule]:
    """Give those of whom the process is gone that had them: `ours`, and those that nobody has any more.

    `rows` are those of the statement `all_schedules`.
    """
    found = [KeptSchedule(*row) for row in rows]
    return [each for each in found if (each.bot is None if each.id in ours else each.is_nobodys(ours, keep, bot))]


def read_state(row: Sequence[Any]) -> ScheduleState:
    """Make what is kept of a schedule in a zone, of a row of the statement `schedule_states`."""
    schedule, job, key, cron, zone, by_tenant, since, fired, missed, gone = row
    return ScheduleState(schedule, job, key, cron, zone, bool(by_tenant), since, fired, missed, bool(gone))
