"""From files to names: which jobs a folder has, without importing any of them."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from pinstripe.errors import InvalidJob
from pinstripe.names import normalise_job_name

if TYPE_CHECKING:
    from pathlib import Path


class JobFile(NamedTuple):
    """A file that should hold a job: its normalised `name`, its `path`, and the `module` name it is imported by."""

    name: str
    path: str
    module: str


def find_files(folder: Path, package: str) -> dict[str, list[JobFile]]:
    """Give the job files under `folder`, by normalised name; a name with two files is one that nobody can mean.

    `package` is the module name of `folder`. Files and folders that start with `_` or `.`, and files that are not
    Python's, are no jobs. A folder that doesn't exist has none.
    """
    files: dict[str, list[JobFile]] = {}
    pending = [(str(folder), "", package)]
    while pending:
        directory, prefix, parent = pending.pop()
        for entry in _entries(directory):
            if entry.name[0] in "_.":
                continue
            if entry.name.endswith(".py") and entry.is_file():
                stem = entry.name[:-3]
                name = prefix + _normalise(stem)
                files.setdefault(name, []).append(JobFile(name, entry.path, f"{parent}.{stem}"))
            elif entry.is_dir() and not _leads_back(entry):
                pending.append((entry.path, f"{prefix}{_normalise(entry.name)}/", f"{parent}.{entry.name}"))
    return files


def the_file(files: list[JobFile]) -> JobFile:
    """Give the one of `files`, or raise `InvalidJob` that names the several that share a name."""
    if len(files) == 1:
        return files[0]
    paths = sorted(file.path for file in files)
    reason = f"the files {' and '.join(paths)} are both the job {files[0].name!r}; rename one of them"
    raise InvalidJob(reason)


def _entries(directory: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []


_NORMAL = re.compile(r"[a-z0-9]+(?:_[a-z0-9]+)*")


def _normalise(text: str) -> str:
    if _NORMAL.fullmatch(text):
        return text  # nearly all are, and a project may have thousands
    try:
        return normalise_job_name(text)
    except ValueError:
        return text  # kept under the name that it has, so that `check` can tell how to rename it


def _leads_back(entry: os.DirEntry[str]) -> bool:
    """Tell whether a folder is a link to one that it is in, which would go round for ever."""
    if not entry.is_symlink():
        return False
    target = os.path.realpath(entry.path)
    return os.path.commonpath([target, os.path.realpath(os.path.dirname(entry.path))]) == target  # noqa: PTH120 - text
