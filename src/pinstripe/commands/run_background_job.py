"""`pinstripe run-background-job`: a job here and now, in the foreground, for every matching tenant."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from pinstripe.commands.by_hand import run_by_hand
from pinstripe.commands.completion import complete_job, complete_tenant
from pinstripe.commands.enqueueing import check_options, enqueue_by_hand, enqueue_options, read_terms, terms_options
from pinstripe.commands.options import example, json_option, project_option, read_duration, run_options
from pinstripe.comparisons import parse_condition
from pinstripe.run import Trigger
from pinstripe.runs import Request
from pinstripe.selection import Selection

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from pinstripe.project import Project
    from pinstripe.run import Run
    from pinstripe.watcher import Watcher

_NUMBER = re.compile(r"-\.?\d")


class JobCommand(click.Command):
    """A command whose arguments are a job's: `-5` is one of them, and options may stand anywhere before `--`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Part options from arguments, and let click read the options."""
        takes_value = {
            name
            for option in self.get_params(ctx)
            if isinstance(option, click.Option) and not option.is_flag
            for name in option.opts
        }
        options: list[str] = []
        arguments: list[str] = []
        rest = iter(args)
        for arg in rest:
            if arg == "--":
                arguments.extend(rest)
            elif not arg.startswith("-") or arg == "-" or _NUMBER.match(arg):
                arguments.append(arg)
            else:
                options.append(arg)
                if arg in takes_value:
                    options.extend(_value(arg, rest, ctx))
        try:
            return super().parse_args(ctx, [*options, "--", *arguments])
        except click.NoSuchOption as error:
            message = (
                f"{error.format_message()} An argument that begins with a dash goes behind `--`, "
                "and one by name is --param NAME=VALUE."
            )
            raise click.UsageError(message, ctx) from None


def _value(option: str, rest: Any, ctx: click.Context) -> list[str]:
    value = next(rest, None)
    if value is None and not ctx.resilient_parsing:
        message = f"Option {option!r} requires an argument."
        raise click.BadOptionUsage(option, message, ctx)
    return [value or ""]


@dataclass(frozen=True, slots=True)
class _Options:
    """What the command was given, by the names of its options."""

    words: tuple[str, ...]
    name: str | None
    param: tuple[str, ...]
    tenant: tuple[str, ...]
    exclude: tuple[str, ...]
    where: tuple[str, ...]
    dry_run: bool
    concurrency: int | None
    fail_fast: bool
    timeout: timedelta | None
    force: bool
    no_capture: bool
    enqueue: bool
    wait: bool
    at: datetime | None
    delay: timedelta | None
    key: str | None
    priority: str | None
    as_json: bool
    project: str | None

    def request(self) -> Request:
        """Make the request for a run, or raise what is wrong with the options."""
        name, arguments = (self.name, self.words) if self.name else (self.words[0], self.words[1:])
        both = [tenant for tenant in self.tenant if tenant in self.exclude]
        if both:
            message = f"--tenant and --except both name {both[0]!r}; name it with one of them"
            raise click.UsageError(message)
        return Request(
            job=name,
            args=arguments,
            kwargs=_parameters(self.param),
            text=True,
            selection=Selection(
                tenants=tuple(dict.fromkeys(self.tenant)) or None,
                exclude=tuple(dict.fromkeys(self.exclude)),
                where=tuple(parse_condition(condition) for condition in self.where),
                force=self.force,
            ),
            trigger=Trigger.CLI,
            concurrency=self.concurrency,
            fail_fast=self.fail_fast,
            timeout=self.timeout,
        )


def _parameters(texts: tuple[str, ...]) -> dict[str, str]:
    """Read `--param NAME=VALUE`s."""
    found: dict[str, str] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or not name.isidentifier():
            message = f"--param: expected NAME=VALUE with the name of a parameter of the job's run, got {text!r}"
            raise click.UsageError(message)
        if name in found:
            message = f"--param: {name} is given twice"
            raise click.UsageError(message)
        found[name] = value
    return found


def _ids(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse an empty id: `--tenant "$UNSET"` must never mean all tenants."""
    if "" in value:
        message = "expected a tenant's id, got an empty text"
        raise click.BadParameter(message, ctx, param)
    return value


@click.command(
    "run-background-job",
    cls=JobCommand,
    short_help="Run a job here and now, or enqueue it.",
    epilog=example(
        "pinstripe run-background-job send_newsletter weekly",
        "pinstripe run-background-job send_newsletter --tenant acme --param segment=weekly",
        "pinstripe run-background-job billing/close_month --where plan=pro --where seats__ge=5 --dry-run",
        "pinstripe run-background-job send_newsletter --enqueue --delay 2h",
    ),
)
@click.argument("words", nargs=-1, metavar="NAME [ARG]...", shell_complete=complete_job)
@click.option("--name", metavar="NAME", shell_complete=complete_job, help="The job's name; all ARGs are then its own.")
@click.option(
    "--param", multiple=True, metavar="NAME=VALUE", help="An argument of the job's run() by name; repeatable."
)
@click.option(
    "--tenant",
    multiple=True,
    metavar="ID",
    callback=_ids,
    shell_complete=complete_tenant,
    help="Only these tenants; repeatable.",
)
@click.option(
    "--except",
    "exclude",
    multiple=True,
    metavar="ID",
    callback=_ids,
    shell_complete=complete_tenant,
    help="All but these tenants; repeatable.",
)
@click.option(
    "--where",
    multiple=True,
    metavar="KEY=VALUE",
    help="Narrower than the job's own filter: plan=pro, seats__ge=5; repeatable, all must hold.",
)
@click.option("--dry-run", is_flag=True, help="List which tenants would run, with what, and run nothing.")
@click.option(
    "--timeout", metavar="DURATION", callback=read_duration, help="The limit of each execution, as 30s or 5m."
)
@click.option("--force", is_flag=True, help="Also what is paused, and a --tenant outside the filter.")
@run_options
@enqueue_options
@terms_options
@json_option
@project_option
def command(**given: Any) -> int:
    """Run a background job here and now, in the foreground, and record it; or with --enqueue leave it to the workers.

    A multi-tenant job runs once for every matching tenant; one that fails stops no other. Ctrl-C stops cleanly: what
    was running is cancelled, what had not started stays undone, and `pinstripe retry-run` carries on from there. After
    NAME, -5 is an argument; `--` ends the options.

    Exit codes: 0 done or enqueued, 1 failed, 2 wrong usage, 3 nothing ran, 4 the ledger or the database of the tenants
    can't be used, 130 and 143 interrupted.
    """
    options = _Options(**given)
    check_options(given, enqueue=options.enqueue)
    if not options.name and not options.words:
        message = "Missing argument 'NAME': which job? `pinstripe list-background-jobs` shows those there are."
        raise click.UsageError(message, click.get_current_context())
    request = options.request()
    if options.enqueue:
        return _enqueue(options, request)
    if options.dry_run:
        from pinstripe.commands.dry_run import show_dry_run

        return show_dry_run(request, project=options.project, as_json=options.as_json)

    async def start(project: Project, watcher: Watcher) -> Run:
        return await project.run(request, watcher)

    return run_by_hand(start, project=options.project, as_json=options.as_json, capture=not options.no_capture)


def _enqueue(options: _Options, request: Request) -> int:
    from pinstripe.commands.actors import whoever_types

    async def start(project: Project) -> Run:
        terms = read_terms(project, at=options.at, delay=options.delay, key=options.key, priority=options.priority)
        return await project.enqueue(request, terms, actor=whoever_types())

    return enqueue_by_hand(start, project=options.project, as_json=options.as_json, wait=options.wait)
