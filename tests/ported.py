"""What tests of ported jobs share."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `pinstripe` in a project's folder."""
    return subprocess.run(
        [sys.executable, "-m", "pinstripe", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
