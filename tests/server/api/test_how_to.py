"""The commands of docs/how-to/use-the-http-api.md do what the page says, against a server."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from benchmarks import fuzz_api

from tests.code_blocks import ROOT, Trial, matches, read_blocks

if TYPE_CHECKING:
    from pathlib import Path

PAGE = ROOT / "docs" / "how-to" / "use-the-http-api.md"
TOKEN = "a-token-for-the-commands-of-a-page"


@pytest.mark.skipif(shutil.which("curl") is None, reason="the page is about curl")
def test_the_commands_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = list(read_blocks(PAGE))
    trial = Trial(tmp_path)
    for block in blocks:
        trial.try_block(block)
    folder = tmp_path / "empty"
    monkeypatch.setenv("PINSTRIPE_SERVER_TOKEN", TOKEN)
    with fuzz_api.serving(folder, "--without-bot", "--without-workers") as server:
        environment = {**os.environ, "TOKEN": TOKEN, "API": f"{server.url}/_pinstripe/api/v1", "RUN": ""}
        tried = 0
        for block in blocks:
            if block.language != "console" or "start-server" in block.text:
                continue
            for piece in block.text.split("$ curl")[1:]:
                command, _, expected = piece.partition("\n")
                printed = subprocess.run(
                    ["bash", "-c", f"curl{command}"], env=environment, capture_output=True, text=True, check=True
                ).stdout
                assert matches(expected, printed), f"curl{command}\nprinted\n{printed}"
                tried += 1
                if not environment["RUN"]:
                    environment["RUN"] = printed.split('"')[3]
                    drain = [sys.executable, "-m", "pinstripe", "start-worker", "--without-bot", "--drain"]
                    subprocess.run(drain, cwd=folder, check=True, capture_output=True)
    assert tried == 12
