from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent.parent
TYPED = REPOSITORY / "tests" / "database" / "typed_shop.py"


def checked(file: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary", str(file)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def test_a_type_checker_knows_the_rows_of_a_class() -> None:
    assert checked(TYPED) == (0, "")


@pytest.mark.parametrize(
    ("true", "false"),
    [
        ("assert_type(await users.all(), list[User])", "assert_type(await users.all(), list[Any])"),
        ("user.nme  # type: ignore[attr-defined]", "user.name  # type: ignore[attr-defined]"),
    ],
)
def test_the_same_file_with_a_lie_in_it_is_refused(tmp_path: Path, true: str, false: str) -> None:
    text = TYPED.read_text()
    assert text.count(true) == 1
    (tmp_path / "lie.py").write_text(text.replace(true, false))
    code, said = checked(tmp_path / "lie.py")
    assert code == 1
    assert said.count("error:") == 1
