"""What git has to say of a file: many a `.gitignore` ignores `lib/`, and jobs that are never committed never arrive."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def ignoring_rule(path: Path) -> str | None:
    """Give the rule by which git ignores `path`, which need not exist: `.gitignore:17:lib/`.

    None where git doesn't ignore it, already keeps it, isn't installed, or `path` is in no repository.
    """
    import subprocess

    folder = next((parent for parent in path.absolute().parents if parent.is_dir()), None)
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command, and a path after --
            ["git", "check-ignore", "--verbose", "--", str(path.absolute())],  # noqa: S607 - git is where PATH says
            cwd=folder,
            capture_output=True,
            check=False,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    # gitglossary: "source:line:pattern<TAB>path"; a pattern that begins with ! is one that takes it in again.
    rule = done.stdout.rpartition("\t")[0]
    return rule if done.returncode == 0 and rule and ":!" not in rule else None


_PATIENCE = 10
"""Seconds; a hint isn't worth more."""
