"""From files to names: which jobs a folder has, without importing any of them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pinstripe.errors import InvalidJob
from pinstripe.names import normalise_job_name


@dataclass(frozen=True, slots=True)
class JobFile:
    """A file that should hold a job: its normalised `name`, its `path`, and the `module` name it is imported by."""

    name: str
    path: Path
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
                name = _normalise(prefix + stem)
                files.setdefault(name, []).append(JobFile(name, Path(entry.path), f"{parent}.{stem}"))
            elif entry.is_dir() and not _leads_back(entry):
                pending.append((entry.path, f"{prefix}{entry.name}/", f"{parent}.{entry.name}"))
    return files


def the_file(files: list[JobFile]) -> JobFile:
    """Give the one of `files`, or raise `InvalidJob` that names the several that share a name."""
    if len(files) == 1:
        return files[0]
    paths = sorted(str(file.path) for file in files)
    reason = f"the files {' and '.join(paths)} are both the job {files[0].name!r}; rename one of them"
    raise InvalidJob(reason)


def _entries(directory: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _normalise(text: str) -> str:
    try:
        return normalise_job_name(text)
    except ValueError:
        # Kept under the name that it has, so that `check` can tell how to rename it.
        return text


def _leads_back(entry: os.DirEntry[str]) -> bool:
    """Tell whether a folder is a link to one that it is in, which would go round for ever."""
    if not entry.is_symlink():
        return False
    target = os.path.realpath(entry.path)
    return os.path.commonpath([target, os.path.realpath(os.path.dirname(entry.path))]) == target  # noqa: PTH120 - text
