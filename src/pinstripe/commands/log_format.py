"""`--log-format`: what a command that works for long shows, as text for people or as JSON for what collects logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pinstripe.config import Settings
    from pinstripe.project import Project

log_format_option = click.option(
    "--log-format", type=click.Choice(["text", "json"]), help="How to log: for people, or as one JSON object a line."
)


def begin_log(settings: Settings) -> None:
    """Have all that this process shows from here on be JSON, where the settings say so."""
    if settings.log_format == "json":
        from pinstripe.json_output import install

        install()


def settle_log(project: Project) -> None:
    """Have log records be shown so too, unless the application's `setup`, which is called first, has a way of its own.

    Raises `ConfigurationError` where that fails.
    """
    if project.settings.log_format == "json":
        from pinstripe.json_output import install

        _ = project.registry  # whoever asks for it first calls the `setup`
        install().settle()


def log_words(settings: Settings) -> list[str]:
    """Give what a process that is started from this one is told of it."""
    return ["--log-format", "json"] if settings.log_format == "json" else []
