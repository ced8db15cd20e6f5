"""Importing one file of a project, a job's or a service's, so that what is wrong with it is told by file and line."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from importlib import import_module, invalidate_caches
from pathlib import Path
from typing import TYPE_CHECKING

from pinstripe.setting_keys import hide_passwords

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType, TracebackType

    from pinstripe.errors import ConfigurationError

    Error = Callable[..., ConfigurationError]

MAX_REASON = 500
"""How many characters of an exception's own message are shown."""


def import_file(path: Path, name: str, error: Error) -> ModuleType:
    """Import the file `path` by its real module `name`, so that its classes import, pickle and compare as usual.

    Whatever goes wrong, `SystemExit` included, is raised as `error(reason, path=…, line=…)`, where the line is the one
    of that file from which it came. A module that failed is not kept, so that it can be imported once it is mended.
    """
    _check_names(path, name, error)
    try:
        module = _import(name)
    except KeyboardInterrupt:
        raise
    except BaseException as failure:  # whatever a file does breaks only itself
        reason, line = _describe(failure, path, name)
        raise error(reason, path=path, line=line) from failure
    found = getattr(module, "__file__", None)
    if found is None or not same_file(found, path):
        reason = f"the module {name} is already {found or 'something else'}; {_SHADOWED}"
        raise error(reason, path=path)
    return module


@contextmanager
def imported(path: Path, name: str, error: Error) -> Iterator[ModuleType]:
    """Import a file as `import_file` does, and forget it again where what is in it turns out to break a rule.

    So it is read anew once it is mended. A module that others had imported before stays.
    """
    known = name in sys.modules
    module = import_file(path, name, error)
    try:
        yield module
    except BaseException:
        if not known:
            sys.modules.pop(name, None)
        raise


def line_of(path: Path | None, *names: str) -> int | None:
    """Find the line of a class, or of a member of it (`line_of(path, "SendNewsletter", "run")`), by reading the file.

    The innermost name that is found counts: a member that the class inherits is told by the class's own line. This is
    for messages only; None where the file can't be read.
    """
    import ast

    if path is None:
        return None
    try:
        body = ast.parse(path.read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return None
    line: int | None = None
    for name in names:
        node = next((node for node in body if name in _names_bound(node)), None)
        if node is None:
            break
        line = node.lineno
        body = getattr(node, "body", [])
    return line


def source_of(job_class: type) -> Path | None:
    """Give the file that a class is written in; None where it is in none."""
    file = getattr(sys.modules.get(job_class.__module__), "__file__", None)
    return Path(file) if file else None


def same_file(filename: str, path: Path) -> bool:
    """Tell whether a code object's or a module's `filename` is the file `path`."""
    if filename == str(path):
        return True
    try:
        return path.samefile(filename)
    except OSError:
        return False


def summarise(failure: BaseException) -> str:
    """Write an exception as its class and the first line of its message, at most 500 characters of it."""
    try:
        text = hide_passwords(str(failure))
    except Exception:  # noqa: BLE001 - the author's own `__str__` may do anything
        text = "its message can't be shown"
    first = text.strip().partition("\n")[0]
    shown = first if len(first) <= MAX_REASON else first[:MAX_REASON] + "…"
    return f"{type(failure).__name__}: {shown}" if shown else type(failure).__name__


_SHADOWED = (
    "another package of that name stands in the way: take it off the Python path, or choose another folder "
    "in [tool.pinstripe] (background_jobs, services)"
)


def _check_names(path: Path, name: str, error: Error) -> None:
    """Refuse what no import statement could name."""
    for part in name.split("."):
        if not part.isidentifier():
            what = path.name if part == path.stem else f"the folder {part}"
            suggestion = "".join(letter if f"_{letter}".isidentifier() else "_" for letter in part).strip("_")
            remedy = f"rename it to {suggestion}" if suggestion.isidentifier() else "rename it"
            reason = (
                f"{what} can't be imported, since {part!r} is not a Python name "
                f"(letters, digits and _, no digit first); {remedy}"
            )
            raise error(reason, path=path)


def _import(name: str) -> ModuleType:
    known = name in sys.modules
    try:
        return import_module(name)
    except ModuleNotFoundError as failure:
        if known or failure.name is None or not _is_part(failure.name, name):
            raise
        # The file is there, but a folder's listing was kept from before it was.
        invalidate_caches()
        return import_module(name)


def _describe(failure: BaseException, path: Path, name: str) -> tuple[str, int | None]:
    if isinstance(failure, SyntaxError) and failure.filename is not None and same_file(failure.filename, path):
        return f"{type(failure).__name__}: {failure.msg}", failure.lineno
    line = _line_in(path, failure.__traceback__)
    if isinstance(failure, ModuleNotFoundError) and failure.name is not None and _is_part(failure.name, name):
        return _unreachable(failure.name, name), line
    reason = summarise(failure)
    if isinstance(failure, SyntaxError):
        reason = f"{type(failure).__name__}: {failure.msg} in {failure.filename}, line {failure.lineno}"
    elif isinstance(failure, ModuleNotFoundError):
        reason += " (is it installed, and spelled right?)"
    elif isinstance(failure, SystemExit):
        reason += " (it ends the process when it is imported; put that into a function)"
    else:
        reason += _elsewhere(path, failure.__traceback__)
    return reason, line


def _unreachable(missing: str, name: str) -> str:
    """Say why a file that exists is no module: something else has the name of a folder above it."""
    parent = missing.rpartition(".")[0] or name.partition(".")[0]
    module = sys.modules.get(parent)
    taken = getattr(module, "__file__", None)
    if module is not None and not hasattr(module, "__path__"):
        return f"its folder has the same name as the file {taken}; rename one of them"
    if taken is not None:
        return f"the package {parent} is {taken}; {_SHADOWED}"
    return f"there is no module {missing}: the project's folder is not on the Python path"


def _line_in(path: Path, traceback: TracebackType | None) -> int | None:
    line = None
    while traceback is not None:
        if same_file(traceback.tb_frame.f_code.co_filename, path):
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def _elsewhere(path: Path, traceback: TracebackType | None) -> str:
    """Add the place where it was raised, if that is another file than the one that is imported."""
    last = None
    while traceback is not None:
        filename = traceback.tb_frame.f_code.co_filename
        if not filename.startswith("<frozen "):
            last = (filename, traceback.tb_lineno)
        traceback = traceback.tb_next
    if last is None or same_file(last[0], path) or last[0].startswith(os.path.dirname(__file__)):  # noqa: PTH120 - text
        return ""
    return f" (raised in {last[0]}, line {last[1]})"


def _is_part(missing: str, name: str) -> bool:
    return name == missing or name.startswith(f"{missing}.")


def _names_bound(node: object) -> list[str]:
    """Give the names that a statement binds in its scope."""
    name = getattr(node, "name", None)
    if isinstance(name, str):
        return [name]
    targets = getattr(node, "targets", None) or [getattr(node, "target", None)]
    return [target.id for target in targets if hasattr(target, "id")]
