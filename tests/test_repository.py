"""What holds for the repository as a whole: its files, its pinned requirements, and the package built from it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest

import pinstripe

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "pinstripe"
MODULES = sorted(path for name in ("src", "tests", "examples", "benchmarks") for path in (ROOT / name).rglob("*.py"))
REQUIREMENTS = sorted(path for name in ("requirements", "benchmarks/peers") for path in (ROOT / name).glob("*.txt"))
MAX_LINES = 400


def project_table() -> dict[str, object]:
    table: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return table


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_can_be_read_in_one_go(module: Path) -> None:
    assert len(module.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: path.name)
def test_requirements_are_pinned_by_hash_and_name_no_place(path: Path) -> None:
    for line in path.read_text(encoding="utf-8").replace("\\\n", "").splitlines():
        if not line.startswith((" ", "#")):
            assert re.match(r"[a-z0-9-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", line), line
        assert "://" not in line
        assert not re.search(r"(?:^|[\s=@])(?:/|[A-Za-z]:\\|--index|--extra|--find)", line), line


def test_a_bigger_set_of_requirements_changes_nothing_in_a_smaller_one() -> None:
    sets = [ROOT / "requirements" / f"{name}.txt" for name in ("runtime", "demo", "dev")]
    runtime, demo, dev = (set(re.findall(r"^[a-z0-9-]+==\S+", path.read_text("utf-8"), re.MULTILINE)) for path in sets)
    assert runtime < demo < dev


def test_the_version_is_the_same_everywhere() -> None:
    assert project_table()["version"] == pinstripe.__version__


def test_the_wheel_has_every_file_of_the_package(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    packed = {name for name in ZipFile(wheel).namelist() if name.startswith("pinstripe/")}
    files = {path.relative_to(PACKAGE.parent).as_posix() for path in PACKAGE.rglob("*") if path.is_file()}
    assert packed == {name for name in files if "__pycache__" not in name}
    assert "pinstripe/py.typed" in packed
    (entry_points,) = (name for name in ZipFile(wheel).namelist() if name.endswith("/entry_points.txt"))
    assert b"[pytest11]\npinstripe = pinstripe.pytest_plugin\n" in ZipFile(wheel).read(entry_points)


def test_the_package_alone_leads_to_what_tests_need() -> None:
    program = "import pinstripe; print(pinstripe.testing.workspace.__name__, pinstripe.testing.__name__)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "workspace pinstripe.testing\n"


def test_public_names_are_there_and_no_others() -> None:
    assert [name for name in pinstripe.__all__ if not hasattr(pinstripe, name)] == []
    assert len(set(pinstripe.__all__)) == len(pinstripe.__all__)
    assert dir(pinstripe) == sorted(pinstripe.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Pinstripes'"):
        _ = pinstripe.Pinstripes
