"""What tries the documentation can fail: each kind of block, right and wrong."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest

from pinstripe.errors import ConfigurationError
from tests.code_blocks import Trial, matches, read_blocks

if TYPE_CHECKING:
    from pathlib import Path


def try_page(folder: Path, text: str) -> None:
    page = folder / "page.md"
    page.write_text(text.replace("'''", "```"), encoding="utf-8")
    trial = Trial(folder)
    for block in read_blocks(page):
        trial.try_block(block)


@pytest.mark.parametrize(("number", "right"), [(7, True), (8, False)])
def test_python_is_executed_with_the_names_of_earlier_blocks(tmp_path: Path, number: int, right: bool) -> None:
    page = f"'''python\nseven = 7\n'''\n\n'''python\nassert seven == {number}\n'''\n"
    with nullcontext() if right else pytest.raises(AssertionError):
        try_page(tmp_path, page)


def test_python_may_await_at_its_top_level(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        try_page(tmp_path, "'''python\nimport asyncio\nawait asyncio.sleep(0)\n1 / 0\n'''\n")


@pytest.mark.parametrize("definition", ["def", "async def"])
def test_tests_in_a_block_are_called(tmp_path: Path, definition: str) -> None:
    with pytest.raises(ZeroDivisionError):
        try_page(tmp_path, f"'''python\n{definition} test_it():\n    1 / 0\n'''\n")


def test_a_block_that_is_not_run_must_be_python_all_the_same(tmp_path: Path) -> None:
    try_page(tmp_path, "<!-- not run: it divides by zero -->\n'''python\n1 / 0\n'''\n")
    with pytest.raises(SyntaxError):
        try_page(tmp_path, "<!-- not run: it is a fragment -->\n'''python\ndef\n'''\n")


def test_not_run_is_for_one_block_and_needs_a_reason(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        try_page(tmp_path, "<!-- not run: slow -->\n'''python\n'''\n'''python\n1 / 0\n'''\n")
    with pytest.raises(AssertionError, match="the reason"):
        try_page(tmp_path, "<!-- not run: -->\n'''python\n1 / 0\n'''\n")


def test_a_url_stands_for_a_database(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- postgres: shop@db/shop -->\n```python\nurl = 'postgresql+asyncpg://shop@db/shop'\n```\n")
    trial = Trial(tmp_path, lambda: "postgresql://somebody@somewhere:1/something")
    for block in read_blocks(page):
        trial.try_block(block)
    assert trial.names["url"] == "postgresql+asyncpg://somebody@somewhere:1/something"


def test_a_block_that_names_a_file_is_written_to_the_project(tmp_path: Path) -> None:
    try_page(
        tmp_path,
        "'''python\n# lib/background_jobs/tidy.py\nnot_run = undefined\n'''\n"
        "<!-- file: notes.txt -->\n'''text\nmilk\n'''\n"
        "'''console\n$ cat notes.txt\nmilk\n$ cat lib/background_jobs/tidy.py\n...\nnot_run = undefined\n'''\n",
    )


@pytest.mark.parametrize(
    "console",
    [
        "$ echo milk\nhoney\n",
        "$ false\n",
        "$ (exit 3)\n$ echo $?\n2\n",
        "$ false\n$ true\n",
        "milk\n",
    ],
)
def test_a_console_block_that_is_wrong_fails(tmp_path: Path, console: str) -> None:
    with pytest.raises(AssertionError, match=r"page\.md:1"):
        try_page(tmp_path, f"'''console\n{console}'''\n")


def test_a_console_block_stays_in_the_folder_it_went_to(tmp_path: Path) -> None:
    try_page(tmp_path, "'''console\n$ mkdir shop && cd shop\n'''\n'''console\n$ basename \"$(\n> pwd)\"\nshop\n'''\n")


def test_settings_are_loaded(tmp_path: Path) -> None:
    try_page(tmp_path, "'''toml\n[tool.pinstripe]\nmulti_tenant = true\n'''\n")
    with pytest.raises(ConfigurationError):
        try_page(tmp_path, "\n'''toml\n[tool.pinstripe]\nmany_tenants = true\n'''\n")


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("a\nb", "a\nb\n", True),
        ("a\nb", "a\nb\nc\n", False),
        ("a\n...", "a\n", True),
        ("a\n…\nd", "a\nb\nc\nd\n", True),
        ("run ... done", "run 7 done", True),
        ("run ... done", "run 7\n done", False),
        ("1.5 (a)", "1x5 (a)", False),
        ("...", "", True),
        ("a | 1\na | 2\nb | 1\nend", "b | 1\na | 1\na | 2\nend", True),
        ("a | 1\na | 2", "a | 2\na | 1", False),
        ("a | 1\nb | 2", "a | 1\nb | 1", False),
    ],
)
def test_dots_stand_for_any_text(expected: str, printed: str, same: bool) -> None:
    assert matches(expected, printed) is same
