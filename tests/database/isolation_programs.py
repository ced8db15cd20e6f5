"""Random programs, each for the workspace of one tenant: what it does, and when it is cancelled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

TENANTS = ("acme", "globex", "initech", "acme ")  # the last is a look-alike

Simple = st.sampled_from(
    [
        "read",
        "read by session",
        "read with posts",
        "count",
        "find foreign",
        "get foreign",
        "insert",
        "insert many",
        "insert by session",
        "update",
        "update all",
        "update foreign",
        "update by statement",
        "change a row",
        "delete",
        "delete foreign",
        "stream",
        "stream and break",
        "page and leave",
        "duplicate",
        "forge",
        "commit",
        "roll back",
        "collect",
        "pause",
    ]
)
Ending = st.sampled_from(["commit", "commit", "raise", "swallow", "cancel"])


def blocks(depth: int) -> st.SearchStrategy[list[Any]]:
    """Give lists of steps, of which some are transactions with steps inside."""
    if depth == 0:
        return st.lists(Simple, max_size=4)
    inner = st.tuples(Ending, blocks(depth - 1))
    return st.lists(st.one_of(Simple, Simple, Simple, inner), max_size=6)


@dataclass(frozen=True)
class Program:
    """What one workspace of a tenant does, and after how many turns of the loop it is cancelled, if it is."""

    tenant: str
    steps: list[Any]
    cancelled_after: int | None


Programs = st.lists(
    st.builds(Program, st.sampled_from(TENANTS), blocks(2), st.none() | st.integers(0, 600)), min_size=2, max_size=6
)
