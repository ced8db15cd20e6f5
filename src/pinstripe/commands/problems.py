"""Which of the project's files can't be used: told at the start of what then goes on without them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import click

from pinstripe.views.text import visible, visible_lines

if TYPE_CHECKING:
    from pinstripe.project import Project


class Loaded(NamedTuple):
    """How many `jobs` a project has that can be run, and how many `schedules` those have."""

    jobs: int
    schedules: int


def load_and_tell(project: Project) -> Loaded:
    """Load all jobs and services; say on standard error, by file and line, what is wrong with those that can't be."""
    from pinstripe.definition import BrokenJob

    found = project.registry.load_all()
    broken = [job for job in found if isinstance(job, BrokenJob)]
    problems = [(str(one.path), one.line, one.reason) for one in project.services.problems()]
    problems += [(str(job.path or f"job {job.name}"), job.line, job.reason) for job in broken]
    for place, line, reason in problems:
        where = place.removeprefix(f"{project.settings.folder}/") + (f":{line}" if line else "")
        click.echo(f"{click.style(visible(where), bold=True)}: {visible_lines(reason)}", err=True)
    schedules = sum(len(job.schedules) for job in found if not isinstance(job, BrokenJob))
    return Loaded(len(found) - len(broken), schedules)


def counted(number: int, what: str, ending: str = "s") -> str:
    """Write how many there are, `1 job` or `2 jobs`; `ending` is what makes a word mean several."""
    return f"{number:,} {what}{'' if number == 1 else ending}"
