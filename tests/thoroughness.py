"""How many examples of each law are tried: an eighth of them every day, all where `PINSTRIPE_TEST_EXAMPLES` is "all".

The examples are others each time, so that many days try what one thorough run does.
"""

from __future__ import annotations

import os

_ALL = os.environ.get("PINSTRIPE_TEST_EXAMPLES", "") == "all"  # read here: no test finds it in its environment


def examples(many: int) -> int:
    """Tell how many to try of a law for which a thorough run tries so `many`."""
    return many if _ALL else max(many // 8, 5)
