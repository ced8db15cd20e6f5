from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from pinstripe.errors import InvalidJob
from pinstripe.importing import import_file, imported, line_of, summarise

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import ProjectFolder


@pytest.fixture(autouse=True)
def _on_the_path(project_folder: ProjectFolder) -> None:
    sys.path.insert(0, str(project_folder.path))


def refusal(path: Path, name: str) -> InvalidJob:
    with pytest.raises(InvalidJob) as caught:
        import_file(path, name, InvalidJob)
    assert name not in sys.modules
    assert caught.value.path == path
    return caught.value


def test_a_module_has_its_real_name(project_folder: ProjectFolder) -> None:
    path = project_folder.job("billing/close_month", "class Some: ...")
    module = import_file(path, "lib.background_jobs.billing.close_month", InvalidJob)
    assert module.Some.__module__ == "lib.background_jobs.billing.close_month"
    assert sys.modules["lib.background_jobs.billing.close_month"] is module
    assert import_file(path, "lib.background_jobs.billing.close_month", InvalidJob) is module


def test_a_syntax_error(project_folder: ProjectFolder) -> None:
    error = refusal(project_folder.job("x", "a = 1\n\ndef run(:\n"), "lib.background_jobs.x")
    assert error.line == 3
    assert error.reason == "SyntaxError: invalid syntax"
    assert str(error).endswith("lib/background_jobs/x.py, line 3: SyntaxError: invalid syntax")


def test_a_syntax_error_in_what_it_imports(project_folder: ProjectFolder) -> None:
    other = project_folder.file("application_part.py", "def (")
    error = refusal(project_folder.job("x", "\nimport sys\nimport application_part"), "lib.background_jobs.x")
    assert error.line == 2
    assert error.reason == f"SyntaxError: invalid syntax in {other}, line 1"


def test_a_module_that_is_not_installed(project_folder: ProjectFolder) -> None:
    error = refusal(project_folder.job("x", "import os\nimport not_installed"), "lib.background_jobs.x")
    assert error.line == 2
    assert error.reason.startswith("ModuleNotFoundError: No module named 'not_installed'")


def test_an_error_elsewhere_is_told_with_both_places(project_folder: ProjectFolder) -> None:
    other = project_folder.file("application_part.py", "def fail():\n    raise RuntimeError('no\\nway')\n")
    error = refusal(
        project_folder.job("x", "import application_part\n\napplication_part.fail()"), "lib.background_jobs.x"
    )
    assert error.line == 3
    assert error.reason == f"RuntimeError: no (raised in {other}, line 2)"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise SystemExit(3)", "SystemExit: 3 (it ends the process"),
        ("raise BaseException", "BaseException"),
        ("from os import nothing_such", "ImportError: cannot import name 'nothing_such'"),
        ("undefined", "NameError: name 'undefined' is not defined"),
        ("raise GeneratorExit('x' * 1000)", "GeneratorExit: xxx"),
    ],
)
def test_whatever_a_file_does_breaks_only_itself(project_folder: ProjectFolder, source: str, reason: str) -> None:
    error = refusal(project_folder.job("x", f"\n# a comment\n{source}"), "lib.background_jobs.x")
    assert error.reason.startswith(reason)
    assert len(error.reason) < 600
    assert error.line == 2


def test_bytes_that_are_not_text(project_folder: ProjectFolder) -> None:
    path = project_folder.job("x", "")
    path.write_bytes(b"a = '\xff'\n")
    assert refusal(path, "lib.background_jobs.x").reason.startswith("SyntaxError: (unicode error)")


def test_an_interrupt_is_not_the_files_fault(project_folder: ProjectFolder) -> None:
    path = project_folder.job("x", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        import_file(path, "lib.background_jobs.x", InvalidJob)


def test_a_mended_file_is_read_anew(project_folder: ProjectFolder) -> None:
    refusal(project_folder.job("x", "import not_installed"), "lib.background_jobs.x")
    path = project_folder.job("x", "mended = True")
    assert import_file(path, "lib.background_jobs.x", InvalidJob).mended


def test_a_file_that_appeared_after_its_folder_was_listed(project_folder: ProjectFolder) -> None:
    for index in range(20):
        path = project_folder.job(f"x{index}", "")
        import_file(path, f"lib.background_jobs.x{index}", InvalidJob)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("send-newsletter", "send-newsletter.py can't be imported.* rename it to send_newsletter"),
        ("be-hind/x", "the folder be-hind can't be imported.* rename it to be_hind"),
        ("2fa", "2fa.py can't be imported.*; rename it$"),
    ],
)
def test_a_name_that_is_not_pythons(project_folder: ProjectFolder, name: str, what: str) -> None:
    path = project_folder.job(name, "")
    with pytest.raises(InvalidJob, match=what):
        import_file(path, "lib.background_jobs." + name.replace("/", "."), InvalidJob)


def test_another_package_in_the_way(project_folder: ProjectFolder) -> None:
    other = project_folder.file("elsewhere/lib/__init__.py", "")
    sys.path.insert(0, str(project_folder.path / "elsewhere"))
    error = refusal(project_folder.job("x", ""), "lib.background_jobs.x")
    assert error.reason.startswith(f"the package lib is {other}; another package of that name stands in the way")


def test_another_module_in_the_way(project_folder: ProjectFolder) -> None:
    other = project_folder.file("elsewhere/lib/background_jobs/x.py", "")
    sys.path.insert(0, str(project_folder.path / "elsewhere"))
    path = project_folder.job("x", "")
    with pytest.raises(InvalidJob) as caught:
        import_file(path, "lib.background_jobs.x", InvalidJob)
    assert caught.value.reason.startswith(f"the module lib.background_jobs.x is already {other}; another package")
    assert caught.value.path == path


def test_a_file_with_the_name_of_a_folder(project_folder: ProjectFolder) -> None:
    other = project_folder.job("billing", "")
    error = refusal(project_folder.job("billing/close_month", ""), "lib.background_jobs.billing.close_month")
    assert error.reason == f"its folder has the same name as the file {other}; rename one of them"


def test_a_project_that_is_not_on_the_path(project_folder: ProjectFolder) -> None:
    sys.path.remove(str(project_folder.path))
    error = refusal(project_folder.job("x", ""), "lib.background_jobs.x")
    assert "the project's folder is not on the Python path" in error.reason


def test_what_breaks_a_rule_is_forgotten(project_folder: ProjectFolder) -> None:
    path = project_folder.job("x", "a = 1")
    message = "a rule"
    with pytest.raises(ValueError, match=message), imported(path, "lib.background_jobs.x", InvalidJob):
        raise ValueError(message)
    assert "lib.background_jobs.x" not in sys.modules


def test_what_others_imported_stays(project_folder: ProjectFolder) -> None:
    path = project_folder.job("x", "a = 1")
    module = import_file(path, "lib.background_jobs.x", InvalidJob)
    message = "a rule"
    with pytest.raises(ValueError, match=message), imported(path, "lib.background_jobs.x", InvalidJob):
        raise ValueError(message)
    assert sys.modules["lib.background_jobs.x"] is module


def test_lines(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text("import os\n\nclass A:\n    b = 1\n    c: int\n    def run(self): ...\n", encoding="utf-8")
    assert [line_of(path, "A"), line_of(path, "A", "b"), line_of(path, "A", "c"), line_of(path, "A", "run")] == [
        3,
        4,
        5,
        6,
    ]
    assert line_of(path, "A", "inherited") == 3
    assert line_of(path, "B") is None
    assert line_of(None, "A") is None
    assert line_of(tmp_path / "none.py", "A") is None


def test_an_exception_that_cannot_be_shown() -> None:
    class Odd(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert summarise(Odd()) == "Odd: its message can't be shown"
