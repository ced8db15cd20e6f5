from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.commands.conftest import Command
    from tests.conftest import ProjectFolder


def test_nothing_found_is_exit_code_0(shop: ProjectFolder, pinstripe: Command) -> None:
    answer = pinstripe("check")
    assert (answer.code, answer.out, answer.err) == (0, "Everything looks right.\n", "")
    assert pinstripe("check", "--json").json == []
    assert not (shop.path / ".pinstripe").exists()


def test_everything_found_is_told_with_its_place(shop: ProjectFolder, pinstripe: Command) -> None:
    shop.job("broken", "class Broken(:\n")
    shop.service("mailer", "x = 1\n")
    answer = pinstripe("check")
    assert answer.code == 1
    assert "lib/background_jobs/broken.py:1: SyntaxError: invalid syntax\n" in answer.out
    assert "lib/services/mailer.py: " in answer.out
    assert answer.out.endswith("2 problems found.\n")
    found = pinstripe("check", "--json").json
    assert [problem["where"].rpartition("/")[2] for problem in found] == ["mailer.py", "broken.py:1"]
    assert all(set(problem) == {"where", "reason"} for problem in found)


def test_without_a_project_there_is_nothing_to_check(pinstripe: Command, tmp_path_factory: object) -> None:
    answer = pinstripe("check", "--project", "/")
    assert (answer.code, answer.out) == (2, "")
