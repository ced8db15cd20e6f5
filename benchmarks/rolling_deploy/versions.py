"""Two versions of a project side by side, and a Pinstripe whose ledger has one migration more."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pinstripe
from benchmarks.torture.jobs import HEADING, NOTES, TENANCY, VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

TENANTS = 20
GRACE = 2
"""Seconds that a worker lets executions go on when it is told to end."""

SETTINGS = f"""\
[tool.pinstripe.tenants]
source = "tenancy:tenants"
[tool.pinstripe.worker]
lease = "3s"
shutdown_grace = "{GRACE}s"
"""

_BODY = """
    async def run(self{arguments}):
        note("start", self.attempt)
        await asyncio.sleep({pause})
        note("end", self.attempt)
"""

_PAUSE = "pause(self.attempt)"

_JOBS = {
    "steady": ("multi_tenant = True", _BODY.format(arguments="", pause=_PAUSE)),
    "single": ("multi_tenant = False", _BODY.format(arguments=", number: int", pause=_PAUSE)),
    # Longer than the grace: whoever is told to end while it runs gives it back.
    "slow": ("multi_tenant = False", _BODY.format(arguments="", pause=GRACE * 2)),
    "digest": ("multi_tenant = True", _BODY.format(arguments="", pause=_PAUSE)),
    "summary": ("multi_tenant = True", _BODY.format(arguments="", pause=_PAUSE)),
    "dropped": ("multi_tenant = False", _BODY.format(arguments="", pause=_PAUSE)),
    "added": ("multi_tenant = True", _BODY.format(arguments="", pause=_PAUSE)),
}

BEFORE = ("steady", "single", "slow", "digest", "dropped")
AFTER = ("steady", "single", "slow", "summary", "added")
GONE = frozenset(BEFORE) - frozenset(AFTER)
"""The jobs that only the version before has: one was removed, one has another name now."""

_MIGRATIONS = {
    "postgres": """\
alter table pinstripe.executions add column deployed_by text;
create index executions_by_deploy on pinstripe.executions(deployed_by) where deployed_by is not null;
""",
    "sqlite": """\
alter table executions add column deployed_by text;
create index executions_by_deploy on executions(deployed_by) where deployed_by is not null;
update schema_version set version = {number};
""",
}


class Version(NamedTuple):
    """A project's folder, its jobs, and where its Pinstripe is imported from."""

    folder: Path
    jobs: tuple[str, ...]
    package: Path

    def variables(self, given: Mapping[str, str]) -> dict[str, str]:
        """Give the variables of a process of this version."""
        return {**given, "PYTHONPATH": str(self.package)}


class Versions(NamedTuple):
    """The version before and the one after; `migration` is the number of the one that is added."""

    before: Version
    after: Version
    migration: int


def make(folder: Path, ledger: str) -> Versions:
    """Write both in a folder; `ledger` is `postgres` or `sqlite`, whose migrations grow by one."""
    package = Path(pinstripe.__file__).parent
    copy, migration = _copy(package, folder / "package", ledger)
    return Versions(
        Version(_project(folder / "before", BEFORE), BEFORE, package.parent),
        Version(_project(folder / "after", AFTER), AFTER, copy),
        migration,
    )


def _project(folder: Path, jobs: tuple[str, ...]) -> Path:
    files = {"pyproject.toml": SETTINGS, "tenancy.py": TENANCY.format(tenants=TENANTS), "notes.py": NOTES}
    for name in jobs:
        attributes, method = _JOBS[name]
        files[f"lib/background_jobs/{name}.py"] = (
            f"{HEADING}class {name.title()}(BackgroundJob):\n    {attributes}\n{method}"
        )
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder


def _copy(package: Path, place: Path, ledger: str) -> tuple[Path, int]:
    """Copy the package and add a migration; give the folder to import it from, and the migration's number."""
    copied = place / package.name
    shutil.copytree(package, copied, ignore=shutil.ignore_patterns("__pycache__"))
    schema = copied / "ledgers" / ledger
    number = max(int(file.name.partition("_")[0]) for file in (schema / "migrations").glob("*.sql")) + 1
    text = _MIGRATIONS[ledger].format(number=number)
    (schema / "migrations" / f"{number:04d}_rolling_deploy.sql").write_text(text, "utf-8")
    code = (schema / "schema.py").read_text("utf-8")
    raised, times = re.subn(r"(?m)^CODE = \d+$", f"CODE = {number}", code)
    if times != 1:
        raise RuntimeError(f"expected one line `CODE = …` in {schema / 'schema.py'}, found {times}")
    (schema / "schema.py").write_text(raised, "utf-8")
    return place, number


__all__ = ["AFTER", "BEFORE", "GONE", "GRACE", "TENANTS", "VARIABLE", "Version", "Versions", "make"]
