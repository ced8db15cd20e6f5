"""How jobs are named, and which known names are near to a wrong one."""

from __future__ import annotations

import keyword
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# Between a small letter or digit and a capital ("old|Data"), and before the last capital of several ("HTTP|Server").
_CAMEL = re.compile(r"(?<=[^\W_A-Z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SEPARATORS = re.compile(r"[\W_]+")


def normalise_job_name(text: str) -> str:
    """Give a job's name as it is kept: `Cleanup-OldData`, `cleanupOldData` and `cleanup_old_data` are one.

    Each part between slashes becomes snake_case: words are parted at capitals and at whatever is neither letter nor
    digit. Raises `ValueError` where a part has no letter or digit at all.
    """
    return "/".join(_normalise_part(part, text) for part in text.strip().split("/"))


def _normalise_part(part: str, text: str) -> str:
    words = _SEPARATORS.sub("_", _CAMEL.sub("_", part).lower()).strip("_")
    if not words:
        message = f"expected a job name such as 'send_newsletter' or 'billing/close_month', got {text!r}"
        raise ValueError(message)
    return words


def class_name(job_name: str) -> str:
    """Give the name of the class of a job: `CleanupOldData` for `billing/cleanup_old_data`.

    Where that would not be a name for a class of an author's own (`None`, `2fa`, `BackgroundJob`), "Job" is added.
    Raises `ValueError` as `normalise_job_name` does.
    """
    last = normalise_job_name(job_name).rpartition("/")[2]
    name = "".join(word[:1].upper() + word[1:] for word in last.split("_"))
    if not name.isidentifier():
        return f"Job{name}"
    return f"{name}Job" if keyword.iskeyword(name) or name == "BackgroundJob" else name


def full_name(kind: type) -> str:
    """Name a class with its module, unless that is `builtins`."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def nearest(name: str, known: Iterable[str], limit: int = 3) -> list[str]:
    """Give up to `limit` of the `known` names that `name` may have been meant to be, the likeliest first."""
    from difflib import SequenceMatcher

    wanted = name.lower()
    scored = []
    for candidate in known:
        other = candidate.lower()
        # The last part alone counts too: whoever types "close_month" means "billing/close_month".
        forms = {other, other.rpartition("/")[2], other.rpartition(".")[2]}
        score = max(SequenceMatcher(a=wanted, b=form, autojunk=False).ratio() for form in forms)
        if score >= _NEAR:
            scored.append((-score, candidate))
    return [candidate for _, candidate in sorted(scored)[:limit]]


_NEAR = 0.6
"""The share of letters in common from which two names are near; difflib's own default for close matches."""
