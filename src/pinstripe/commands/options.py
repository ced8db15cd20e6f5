"""The options that several commands share, each written once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

MOST_AT_ONCE = 100_000
"""The most that may be asked to go on at once: as many as a setting may say."""

F = TypeVar("F", bound="Callable[..., Any]")


def project_option(function: F) -> F:
    """Add `--project DIR`, given to the command as `project: str | None`."""
    return click.option(
        "--project",
        metavar="DIR",
        type=click.Path(file_okay=False),
        help="The project's folder; else PINSTRIPE_PROJECT, else found from here upwards.",
    )(function)


def json_option(function: F) -> F:
    """Add `--json`, given to the command as `as_json: bool`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, and nothing else, on stdout.")(function)


def run_options(function: F) -> F:
    """Add what every run by hand takes: `--concurrency N`, `--fail-fast` and `--no-capture`."""
    for option in (
        click.option("--no-capture", is_flag=True, help="Leave standard input and output to the job; keep no log."),
        click.option("--fail-fast", is_flag=True, help="Start no more after a failure; let running ones finish."),
        click.option(
            "--concurrency", metavar="N", type=click.IntRange(min=1, max=MOST_AT_ONCE), help="How many tenants at once."
        ),
    ):
        function = option(function)
    return function


def example(*lines: str) -> str:
    """Write an epilog that shows a command being used, its lines kept as they are."""
    return "\n".join(["\b", "Example:" if len(lines) == 1 else "Examples:", *(f"  {line}" for line in lines)])


def read_duration(ctx: click.Context, param: click.Parameter, value: str | None) -> timedelta | None:
    """Read an option's duration (`30s`, `5m`, `2h`, `7d`), or say which form was expected; a callback for click."""
    from pinstripe.duration import parse_duration

    if value is None:
        return None
    try:
        return parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None
