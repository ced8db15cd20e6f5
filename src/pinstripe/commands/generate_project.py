"""`pinstripe generate-project NAME`: a small project that runs at once."""

from __future__ import annotations

import keyword
import sys
from pathlib import Path

import click

from pinstripe.commands.options import example


@click.command("generate-project", epilog=example("pinstripe generate-project newsletter"))
@click.argument("name")
def command(name: str) -> None:
    """Make a small project that runs at once, in a new folder.

    NAME is the folder; its last part names the application's package too.
    """
    from pinstripe.commands.generated import warn_if_ignored, write_file
    from pinstripe.views.command_lines import shell_word
    from pinstripe.views.text import visible

    folder = Path(name)
    package = _package(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        message = f"{visible(str(folder))} exists already and is not an empty folder; choose another name."
        raise click.ClickException(message)
    click.echo(f"Made {visible(str(folder))} with")
    for template, place in _FILES.items():
        path = folder / place.format(package=package)
        write_file(path, f"project/{template}", name=folder.name, package=package)
        click.echo(f"  {visible(path.relative_to(folder).as_posix())}")
    click.echo(f"\nNext:\n  cd {shell_word(str(folder))}\n  pinstripe run-background-job greet_tenants")
    warn_if_ignored(folder / _FILES["greet_tenants.py"])


_FILES = {
    "pyproject.toml": "pyproject.toml",
    "gitignore": ".gitignore",
    "README.md": "README.md",
    "package.py": "{package}/__init__.py",
    "tenancy.py": "{package}/tenancy.py",
    "say_hello.py": "lib/background_jobs/say_hello.py",
    "greet_tenants.py": "lib/background_jobs/greet_tenants.py",
}


def _package(folder: Path) -> str:
    """Give the name of the application's package; raise `click.BadParameter` where the folder's can't be one."""
    from pinstripe.names import normalise_job_name

    reason = "it needs a letter to begin with, and only letters, digits, '-' and '_' after it"
    package = ""
    if folder.name.isascii() and folder.name.replace("-", "").replace("_", "").isalnum():
        package = normalise_job_name(folder.name)
        if keyword.iskeyword(package):
            reason = f"{package!r} is a word of Python's own"
        elif package in {"lib", "pinstripe"}:
            reason = f"{package!r} is where something else of the project is"
        elif package in sys.stdlib_module_names:
            reason = f"Python has a module {package!r} of its own, which the application's package would hide"
        elif _is_installed(package):
            reason = f"a package {package!r} is installed already, which the application's would hide"
        elif package.isidentifier():
            return package
    message = f"{str(folder)!r} can't name a project: {reason}."
    raise click.BadParameter(message, param_hint="NAME")


def _is_installed(package: str) -> bool:
    from importlib.util import find_spec

    spec = find_spec(package)
    return spec is not None and spec.origin is not None  # a folder without __init__.py has no origin
