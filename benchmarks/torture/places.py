"""Where the tortured ledger is, what reads it, and on which hosts its workers are."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol

from benchmarks.torture.reading import SQLite

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from benchmarks.torture.outages import Outages
    from benchmarks.torture.reading import Reading


class Host(Protocol):
    """What a worker runs on."""

    @property
    def name(self) -> str:
        """Its name, other than that of other hosts."""
        ...

    def command(self, words: Sequence[str]) -> list[str]:
        """Give the command line that executes this one there, in the process that is started."""
        ...

    def variables(self, given: Mapping[str, str]) -> Mapping[str, str]:
        """Give the variables of a process there."""
        ...


class Here:
    """The host that tortures, with its own clock."""

    name = "here"

    def command(self, words: Sequence[str]) -> list[str]:
        """Give the command line as it is."""
        return [*words]

    def variables(self, given: Mapping[str, str]) -> Mapping[str, str]:
        """Give the variables as they are."""
        return given


class Place(NamedTuple):
    """A ledger: the variables that lead a project to it, what reads it, and the hosts of its workers."""

    variables: Mapping[str, str]
    reading: Reading
    hosts: Sequence[Host]
    outages: Outages | None = None
    left_out: str = ""
    """What can't be done here, and why."""


@contextmanager
def in_file(folder: Path) -> Iterator[Place]:
    """Give the ledger that a project has by default."""
    yield Place({}, SQLite(folder / ".pinstripe" / "ledger.db"), [Here()])
