"""Pauses, as they are named to people: of a job, of a tenant, of one for the other, or of everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pinstripe.clock import to_datetime, to_iso
from pinstripe.views.command_lines import command_line
from pinstripe.views.text import moment, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pinstripe.queue import Pause


class Scope(NamedTuple):
    """What a pause is of; with neither a `job` nor a `tenant` it is of everything."""

    job: str | None = None
    tenant: str | None = None

    def in_words(self) -> str:
        """Name it: `everything`, `job greet`, `tenant acme`, or `job greet for tenant acme`."""
        job = None if self.job is None else f"job {visible(self.job)}"
        tenant = None if self.tenant is None else f"tenant {visible(self.tenant)}"
        return " for ".join(part for part in (job, tenant) if part) or "everything"

    def options(self) -> list[str]:
        """Give the options that name it on a command line."""
        job = [] if self.job is None else ["--job", self.job]
        tenant = [] if self.tenant is None else ["--tenant", self.tenant]
        return [*job, *tenant] or ["--all"]

    def resume_line(self, project: str | None) -> str:
        """Give the command that ends this pause."""
        return command_line("resume", *self.options(), project=project)

    def covers(self, other: Scope) -> bool:
        """Tell whether all that `other` is of is in this, too."""
        return self.job in {None, other.job} and self.tenant in {None, other.tenant}

    def meets(self, other: Scope) -> bool:
        """Tell whether anything can be in both."""
        jobs = None in {self.job, other.job} or self.job == other.job
        return jobs and (None in {self.tenant, other.tenant} or self.tenant == other.tenant)


def scope_of(pause: Pause) -> Scope:
    """Give what a pause is of."""
    return Scope(pause.job, pause.tenant)


def since(pause: Pause) -> str:
    """Write a pause with the time it began at."""
    return f"{scope_of(pause).in_words()}, since {moment(to_datetime(pause.since))}"


def pauses_json(pauses: Sequence[Pause]) -> list[dict[str, Any]]:
    """Give pauses as JSON values."""
    return [{"job": pause.job, "tenant": pause.tenant, "since": to_iso(to_datetime(pause.since))} for pause in pauses]
