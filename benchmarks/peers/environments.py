"""Environments of the peers: each its own, made once from pinned versions."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from hashlib import sha256
from pathlib import Path

from benchmarks.figures import Missing

PINS = Path(__file__).parent
_PLACE = PINS.parents[1] / "build" / "peers"


def environment_of(name: str) -> Path:
    """Give the folder of the peer's programs, of an environment that has what `name.txt` pins, byte-compiled.

    `BENCHMARK_PEERS` names another place for environments. Raises `Missing` where it can't be installed.
    """
    pins = PINS / f"{name}.txt"
    stamp = sha256(sys.version.encode() + pins.read_bytes()).hexdigest()
    folder = Path(os.environ.get("BENCHMARK_PEERS", _PLACE)) / name
    made = folder / "made-from"
    if not made.exists() or made.read_text("utf-8") != stamp:
        print(f"installing {pins.name}…", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, symlinks=True, with_pip=False)
        _install(folder / "bin" / "python", pins)
        made.write_text(stamp, "utf-8")
    return folder / "bin"


def version_of(name: str) -> str:
    """Give the version that is pinned of the peer."""
    return (PINS / f"{name}.txt").read_text("utf-8").partition(f"{name}==")[2].split(maxsplit=1)[0]


def _install(python: Path, pins: Path) -> None:
    """Install by this Python's own pip, which byte-compiles."""
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    command = [*pip, "install", "--quiet", "--no-input", "--require-hashes", "-r", str(pins)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise Missing(f"pip can't install {pins.name}: {' '.join(lines) or done.stderr.strip()}")
