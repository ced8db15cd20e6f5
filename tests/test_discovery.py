from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pinstripe.discovery import find_files, the_file
from pinstripe.errors import InvalidJob

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("", encoding="utf-8")


def test_a_path_is_a_name(tmp_path: Path) -> None:
    write(tmp_path, "send_newsletter.py", "billing/CloseMonth.py", "billing/very-deep/x.py")
    files = find_files(tmp_path, "lib.background_jobs")
    assert {name: file.module for name, (file,) in files.items()} == {
        "send_newsletter": "lib.background_jobs.send_newsletter",
        "billing/close_month": "lib.background_jobs.billing.CloseMonth",
        "billing/very_deep/x": "lib.background_jobs.billing.very-deep.x",
    }
    assert files["billing/close_month"][0].path == str(tmp_path / "billing" / "CloseMonth.py")


@pytest.mark.parametrize(
    "name",
    [
        "_shared.py",
        "_shared/x.py",
        "__init__.py",
        "__pycache__/x.py",
        ".#x.py",
        ".cache/x.py",
        "x.pyc",
        "x.txt",
        "x.py/y",
    ],
)
def test_what_is_no_job(tmp_path: Path, name: str) -> None:
    write(tmp_path, name)
    assert find_files(tmp_path, "jobs") == {}


def test_a_folder_that_does_not_exist_has_none(tmp_path: Path) -> None:
    assert find_files(tmp_path / "none", "jobs") == {}


def test_a_file_in_the_folders_place_has_none(tmp_path: Path) -> None:
    write(tmp_path, "jobs")
    assert find_files(tmp_path / "jobs", "jobs") == {}


def test_links_are_followed_but_not_round_in_circles(tmp_path: Path) -> None:
    write(tmp_path, "jobs/a/x.py", "elsewhere/y.py")
    (tmp_path / "jobs" / "a" / "again").symlink_to(tmp_path / "jobs")
    (tmp_path / "jobs" / "other").symlink_to(tmp_path / "elsewhere")
    assert sorted(find_files(tmp_path / "jobs", "jobs")) == ["a/x", "other/y"]


def test_a_name_that_cannot_be_normalised_is_kept_for_check(tmp_path: Path) -> None:
    write(tmp_path, "--.py")
    assert list(find_files(tmp_path, "jobs")) == ["--"]


def test_two_files_of_one_name_are_both_named(tmp_path: Path) -> None:
    write(tmp_path, "clean_up.py", "cleanUp.py", "other.py")
    files = find_files(tmp_path, "jobs")
    assert the_file(files["other"]).module == "jobs.other"
    with pytest.raises(InvalidJob, match="are both the job 'clean_up'; rename one of them") as caught:
        the_file(files["clean_up"])
    assert str(tmp_path / "clean_up.py") in str(caught.value)
    assert str(tmp_path / "cleanUp.py") in str(caught.value)
