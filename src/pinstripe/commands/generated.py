"""Writing new files from the templates, for the commands that generate something."""

from __future__ import annotations

from pathlib import Path
from string import Template

import click

from pinstripe.views.command_lines import shell_word
from pinstripe.views.text import visible

TEMPLATES = Path(__file__).parent / "templates"


def write_file(path: Path, template: str, **words: str) -> None:
    """Write a new file at `path` from the template of that name, with its `$words` filled in, and the folders it needs.

    Raises `click.ClickException` where that can't be done; an existing file is never overwritten.
    """
    text = Template((TEMPLATES / f"{template}.template").read_text(encoding="utf-8")).substitute(words)
    try:
        if path.exists():
            message = f"{visible(str(path))} exists already; it was left as it is."
            raise click.ClickException(message)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        message = f"{visible(str(path))} can't be written: {error.strerror}"
        raise click.ClickException(message) from None


def warn_if_ignored(path: Path) -> None:
    """Say on standard error which rule of git's ignores the new file at `path`, if one does."""
    from pinstripe.git import ignoring_rule

    rule = ignoring_rule(path)
    if rule is not None:
        click.echo(
            f"Warning: git ignores {visible(path.name)} ({visible(rule)}), so it would never be committed. "
            f"Take that rule out, or add the file all the same: git add --force {shell_word(str(path))}",
            err=True,
        )
