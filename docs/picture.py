"""Makes docs/run.svg, the picture in the README, from a real run of scripts/demo: `python docs/picture.py`."""
# ruff: noqa: INP001 - a program beside the documentation, no package

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import sys
import tempfile
import termios
from pathlib import Path

from rich.console import Console
from rich.text import Text

COLUMNS = 108
SHOWN = ("run-background-job", "newsletter.mend", "retry-run", "list-runs")
"""Words of the demo's commands that are in the picture: what is left out is long, and has paths of this machine."""

FRAME_AT = 0.6
"""Of the live progress, the picture has the one state that is nearest to this share of the whole."""

CHARACTER = 12.2
"""How wide a character is in the picture, in its own units: Rich's font size of 20, times 0.61."""

root = Path(__file__).parents[1]


def main() -> None:
    """Run the demo, and write the picture of it."""
    parts = re.split(r"(?m)^(?=\$ )", record().replace("\r\n", "\n"))
    shown = [part for part in parts if part.startswith("$ ") and any(word in part.partition("\n")[0] for word in SHOWN)]
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for number, part in enumerate(shown):
        command, _, printed = part.partition("\n")
        printed = re.sub(r"\(exit code \d+\)", "", printed).partition("\n\x1b[1m")[0]  # the demo's own remarks
        console.print(Text(("\n" if number else "") + command, style="bold"))
        console.print(Text.from_ansi(still(printed).strip("\n")))
    svg = console.export_svg(title="Newsletters for 234 tenants, one of which fails")
    # No font from elsewhere: whoever shows the picture has one.
    svg = re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    svg = re.sub(r"\s*<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = svg.replace("Fira Code", "ui-monospace, Menlo, Consolas")
    svg = re.sub(r"terminal-\d+", "run", svg)
    svg = re.sub(r' x="([\d.]+)" y="([\d.]+)" textLength="([\d.]+)"([^>]*)>((?:&#160;)+)', without_indent, svg)
    (root / "docs" / "run.svg").write_text("\n".join(map(str.rstrip, svg.splitlines())) + "\n", encoding="utf-8")


def without_indent(found: re.Match[str]) -> str:
    """Begin a text where its first visible character is: some programs leave spaces in front of it out."""
    indent = len(found[5].split(";")) - 1
    x, length = float(found[1]) + indent * CHARACTER, float(found[3]) - indent * CHARACTER
    return f' x="{x:g}" y="{found[2]}" textLength="{max(length, 0):g}"{found[4]}>'


def record() -> str:
    """Run the demo on a terminal of its own, and give what it printed there."""
    with tempfile.TemporaryDirectory() as folder:
        child, terminal = pty.fork()
        if child == 0:
            os.environ |= {
                "NEWSLETTER_VAR": folder,
                "PINSTRIPE_LEDGER": f"sqlite:///{folder}/ledger.db",
                "TERM": "xterm-256color",
            }
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
            os.execv(root / "scripts" / "demo", ["demo"])  # noqa: S606 - our own program
        printed = bytearray()
        try:
            while data := os.read(terminal, 65_536):
                printed += data
        except OSError:
            pass  # how a terminal says on Linux that it is closed
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
            sys.exit(f"the demo failed:\n{printed.decode()}")
        return printed.decode()


def still(printed: str) -> str:
    """Put one state of the live progress where they all were drawn, one over the other."""
    first, *states = re.split(r"\r(?:\x1b\[1A)?\x1b\[2K", re.sub(r"\x1b\[\?25[lh]", "", printed))
    if not states:
        return printed
    *states, after = [first, *states]
    found = [(state, re.search(r"([\d,]+) of ([\d,]+)", re.sub(r"\x1b\[[\d;]*m", "", state))) for state in states]
    shares = [(int(m[1].replace(",", "")) / int(m[2].replace(",", "")), state) for state, m in found if m]
    _, nearest = min(shares, key=lambda share: abs(share[0] - FRAME_AT))
    return f"{nearest.strip()}\n{after}"


main()
