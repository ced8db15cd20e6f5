"""Whatever is asked that the OpenAPI document allows, or doesn't, is answered as it says; and nothing changes unasked.

`python -m benchmarks.fuzz_api` does the same for minutes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from benchmarks import fuzz_api

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def server(tmp_path: Path) -> Iterator[fuzz_api.Server]:
    fuzz_api.write_project(tmp_path)
    with fuzz_api.serving(tmp_path, "--without-bot", "--without-workers") as server:
        fuzz_api.seed_ledger(tmp_path, server.url)
        yield server


def test_answers_are_as_the_document_says(tmp_path: Path, server: fuzz_api.Server) -> None:
    before = fuzz_api.dump(tmp_path)
    for who, examples in (("looker", 3), ("operate", 8)):
        assert fuzz_api.dump(tmp_path) == before
        verdict = fuzz_api.ask(tmp_path, server.url, who, seed=1, examples=examples)
        assert verdict.wrong is None, verdict.wrong
        assert int(re.findall(r"\d+", verdict.cases)[0]) > 50
    assert len(fuzz_api.dump(tmp_path)["runs"]) > len(before["runs"])
    assert fuzz_api.logged(server.log()) == []
