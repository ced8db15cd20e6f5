from __future__ import annotations

from pathlib import Path

from tests.database.test_typing import checked

TYPED = Path(__file__).parent / "typed_web.py"


def test_a_type_checker_knows_the_workspace_of_a_handler() -> None:
    assert checked(TYPED) == (0, "")


def test_the_same_file_with_a_lie_in_it_is_refused(tmp_path: Path) -> None:
    text = TYPED.read_text()
    lie = text.replace("        assert_type(workspace, Workspace)", "        assert_type(workspace, Project)")
    assert lie != text
    (tmp_path / "lie.py").write_text(lie)
    code, said = checked(tmp_path / "lie.py")
    assert (code, said.count("error:")) == (1, 1)
