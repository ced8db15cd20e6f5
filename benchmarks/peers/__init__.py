"""Other queues for Python beside Pinstripe, in the same minute on the same machine, each in an environment of its own.

The modules `on_…` are programs of those environments: nothing but the peer and Python is there, so they import no more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.figures import Figure, Size

TITLE = "other queues, in the same run on this machine"


def measure(size: Size) -> Sequence[Figure]:
    """Measure each in turn, several times over."""
    from benchmarks.peers.comparison import compare

    return compare(size)
