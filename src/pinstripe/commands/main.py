"""The `pinstripe` command: finds the asked command's file, and turns what it raises into a message and an exit code."""

from __future__ import annotations

import errno
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from pinstripe import errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

COMMANDS: dict[str, tuple[str, ...]] = {
    "Jobs": ("run-background-job", "list-background-jobs", "show-schedule", "list-tenants"),
    "Runs": ("list-runs", "show-run", "retry-run", "cancel-run"),
    "Server, workers and queue": ("start-server", "start-worker", "status", "pause", "resume"),
    "Project": ("generate-project", "generate-background-job", "show-config", "check", "enable-row-security"),
}
"""Every command, under the heading that `--help` shows it with. Its file has its name, and defines `command`."""

EXIT_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (click.ClickException, 2),
    (errors.ConfigurationError, 2),
    (errors.UnknownJob, 2),
    (errors.UnknownTenant, 2),
    (errors.UnknownRun, 2),
    (errors.InvalidArguments, 2),
    (errors.LedgerError, 4),
    (errors.DatabaseUnavailable, 4),
    (errors.PinstripeError, 1),
    (click.Abort, 130),
    (KeyboardInterrupt, 130),
)
"""What each error means to whoever called the command; the first line that fits holds."""


_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}
"""What a write of standard output fails with when it leads to a file that can't take it."""


class LazyGroup(click.Group):
    """A group that imports a command when it is asked for, so that a short one starts fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Give the names of all commands, in the order of the help."""
        return [name for names in COMMANDS.values() for name in names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's file; None where there is no such command."""
        if cmd_name not in self.list_commands(ctx):
            return None
        from importlib import import_module

        command = import_module(f"pinstripe.commands.{cmd_name.replace('-', '_')}").command
        assert isinstance(command, click.Command)  # noqa: S101 - for the type checker
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the asked command, or say which ones have a name near to it."""
        name = args[0]
        if ctx.resilient_parsing or name.startswith("-") or name in self.list_commands(ctx):
            return super().resolve_command(ctx, args)
        from pinstripe.names import nearest

        near = nearest(name, self.list_commands(ctx))
        meant = f"Did you mean {' or '.join(near)}?" if near else "`pinstripe --help` lists them all."
        message = f"there is no command {name!r}. {meant}"
        raise click.UsageError(message)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands under their headings."""
        width = formatter.width - 6 - max(map(len, self.list_commands(ctx)))
        for heading, names in COMMANDS.items():
            commands = [(name, self.get_command(ctx, name)) for name in names]
            with formatter.section(heading):
                formatter.write_dl(
                    [(name, command.get_short_help_str(width)) for name, command in commands if command is not None]
                )

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a reader that stops reading early (`| head`) is no error."""
        code = 0
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return code


def _show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:  # noqa: ARG001, FBT001 - click's
    if value:
        from pinstripe.version import VERSION

        click.echo(f"pinstripe {VERSION}")
        ctx.exit()


@click.group(cls=LazyGroup)
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_show_version, help="Show the version."
)
def pinstripe() -> None:
    """Background jobs for Python applications that serve many tenants.

    `pinstripe COMMAND --help` shows a command's options, with an example.
    """
    if os.environ.get("NO_COLOR"):  # https://no-color.org
        click.get_current_context().color = False


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and exit, with a code of product's table; the entry point of `pinstripe`."""
    _fill_streams()
    for stream in (sys.stdout, sys.stderr):
        # What a terminal's encoding can't write is shown by its code; it must not end a run.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = pinstripe.main(args, prog_name="pinstripe", standalone_mode=False)
    except Exception as error:  # noqa: BLE001 - the table says what each means
        code = _report(error)
    except KeyboardInterrupt as error:
        code = _report(error)
    sys.exit(code or 0)


def _fill_streams() -> None:
    """Let streams that were closed for the process (`>&-`) lead nowhere, so that nothing else gets their numbers."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, closefd=False))


def _report(error: BaseException) -> int:
    """Say on standard error what went wrong; give the exit code."""
    if _is_no_room(error):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        click.echo(f"Error: standard output can't be written ({error})", err=True)
        return 1
    # Tenants that are kept in a database that is gone are no fault of the source.
    gone = isinstance(error, errors.TenantSourceFailed) and isinstance(error.__cause__, errors.DatabaseUnavailable)
    meant = error.__cause__ if gone else error
    code = next((code for kind, code in EXIT_CODES if isinstance(meant, kind)), None)
    if code is None:
        import traceback

        traceback.print_exception(error)
        click.echo("This is a bug in Pinstripe; please report it with the lines above.", err=True)
        return 1
    if isinstance(error, (click.Abort, KeyboardInterrupt)):
        click.echo("Interrupted.", err=True)
    else:
        click.echo("\n".join(_lines(error)), err=True)
    return code


def _is_no_room(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.filename is None and error.errno in _NO_ROOM


def _lines(error: BaseException) -> Iterator[str]:
    from pinstripe.setting_keys import hide_passwords
    from pinstripe.views.text import visible

    message = hide_passwords(error.format_message() if isinstance(error, click.ClickException) else str(error))
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        yield message
        return
    context = getattr(error, "ctx", None)
    if context is not None:
        yield context.get_usage()
        yield f"`{context.command_path} --help` shows what it takes."
    first, *rest = message.splitlines() or [type(error).__name__]
    yield f"Error: {visible(first)}"
    yield from map(visible, rest)
