"""From a job's class to its definition: the rules of what an author may write, each checked once, when it is loaded."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from pinstripe.annotations import declared_services, own_classes, resolve, unevaluated
from pinstripe.arguments import bind
from pinstripe.background_job import BackgroundJob
from pinstripe.definition import Definition
from pinstripe.errors import InvalidArguments, InvalidJob
from pinstripe.importing import line_of, source_of, summarise
from pinstripe.json_values import article
from pinstripe.names import nearest
from pinstripe.policies import BrokenRule, Policies, read_policies, read_redact
from pinstripe.redaction import redacted_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path
    from types import ModuleType

    from pinstripe.schedule import Schedule

RESERVED = frozenset(
    name
    for name, value in vars(BackgroundJob).items()
    if not name.startswith("_") and (isinstance(value, property) or callable(value))
) | {"_workspace", "_attempt"}
"""What `self` has inside `run`; a job that took one of these names would lose it."""

KNOWN = (
    "run",
    "schedule",
    "multi_tenant",
    "timeout",
    "runs_in",
    "retries",
    "overlap",
    "limits",
    "priority",
    "redact",
    "abstract",
    "tenants_filter",
)
"""What an author may write in a job's class and Pinstripe reads."""


def the_job(module: ModuleType, path: Path) -> type[BackgroundJob]:
    """Give the one concrete job that `module` defines, or raise `InvalidJob` that tells what it found instead."""
    classes = [
        value
        for value in dict.fromkeys(value for value in vars(module).values() if isinstance(value, type))
        if issubclass(value, BackgroundJob) and value.__module__ == module.__name__
    ]
    concrete = [value for value in classes if _why_not_concrete(value) is None]
    if len(concrete) == 1:
        return concrete[0]
    shown = concrete or classes
    lines = [line_of(path, value.__qualname__) for value in shown]
    places = [f"{value.__name__} (line {line})" for value, line in zip(shown, lines, strict=True)]
    if concrete:
        reason = (
            f"one file is one job, but this one defines {' and '.join(places)}; give each a file of its own, "
            f"or set abstract = True in a class that others inherit from"
        )
    elif classes:
        why = ", ".join(f"{place} {_why_not_concrete(value)}" for place, value in zip(places, classes, strict=True))
        reason = f"defines no background job that could run: {why}"
    else:
        reason = "defines no background job: expected one class that inherits from BackgroundJob"
    raise InvalidJob(reason, path=path, line=lines[0] if lines else None)


def define(
    name: str,
    job_class: type[BackgroundJob],
    *,
    path: Path | None = None,
    multi_tenant: bool = False,
    services: Collection[str] | None = None,
    services_folder: Path | None = None,
    undeclared: Collection[str] = (),
    time_zone: str | None = None,
) -> Definition:
    """Check `job_class` by every rule and give its definition under the normalised `name`.

    `path` is its file, where it was found by it; `multi_tenant` is the project's default; `services` are the names that
    it may declare (None: not checked), `services_folder` is where one that is missing should be made, and `undeclared`
    are those that it has without declaring them; `time_zone` is the project's. Raises `InvalidJob` with file, line and
    reason.
    """
    rules = _Rules(job_class, path)
    rules.check_class()
    signature = rules.signature()
    runs_in = rules.runs_in()
    for_tenants = rules.multi_tenant(default=multi_tenant)
    policies = rules.policies(multi_tenant=for_tenants)
    redact = rules.redact(signature)
    schedules = rules.schedules(time_zone, multi_tenant=for_tenants)
    definition = Definition(
        name=name,
        job_class=job_class,
        path=path,
        multi_tenant=for_tenants,
        runs_in=runs_in,
        services=rules.services(services, services_folder, undeclared),
        schedules=tuple(each.redacting(redacted_of(signature, redact, each.args, each.kwargs)) for each in schedules),
        signature=signature,
        tenants_filter=rules.tenants_filter(multi_tenant=for_tenants),
        timeout=rules.timeout(runs_in),
        retry=policies.retry,
        overlap=policies.overlap,
        limits=policies.limits,
        priority=policies.priority,
        redact=redact,
    )
    rules.check_scheduled_arguments(definition)
    return definition


def suspicious_attributes(job_class: type[BackgroundJob]) -> list[str]:
    """Tell which attributes of a job do nothing, being misspelled, and which defaults are shared."""
    from difflib import get_close_matches

    found = []
    for owner in own_classes(job_class):
        for name in vars(owner):
            if name.startswith("_") or name in KNOWN or name in RESERVED:
                continue
            near = get_close_matches(name.lower(), KNOWN, n=1, cutoff=_SUSPICIOUS)
            if near:
                found.append(f"{owner.__name__}.{name} is not read by Pinstripe; did you mean {near[0]}?")
    return found + _shared_defaults(job_class)


def _shared_defaults(job_class: type[BackgroundJob]) -> list[str]:
    """Tell which defaults of `run` all executions would share, and with them what one tenant's leaves there."""
    parameters = inspect.signature(job_class.run).parameters.values()  # type: ignore[attr-defined]
    return [
        f"{job_class.__name__}.run: the default of {each.name} is a {type(each.default).__name__} "
        "that all tenants share; expected None, or a tuple"
        for each in parameters
        if isinstance(each.default, (list, dict, set, bytearray))
    ]


_SUSPICIOUS = 0.88
"""How alike two names are that differ in a letter or an underscore, by difflib's ratio; `runs` and `run` are less."""


def _why_not_concrete(job_class: type[BackgroundJob]) -> str | None:
    if vars(job_class).get("abstract") is True:
        return "is abstract"
    missing: frozenset[str] = getattr(job_class, "__abstractmethods__", frozenset())
    if missing:
        return f"lacks the abstract {', '.join(sorted(missing))}"
    return None if hasattr(job_class, "run") else "has no run method"


class _Rules:
    """The rules, over one class."""

    def __init__(self, job_class: type[BackgroundJob], path: Path | None) -> None:
        self._class = job_class
        self._path = path or source_of(job_class)

    def check_class(self) -> None:
        """Refuse a class that can't be made an object of, has nothing to run, or takes a name that `self` needs."""
        reason = _why_not_concrete(self._class)
        if reason:
            self._refuse(f"{self._class.__name__} {reason}; expected def run(self, …) or async def run(self, …)")
        for owner in own_classes(self._class):
            for name in (*vars(owner), *unevaluated(owner)):
                if name in RESERVED:
                    self._refuse(f"{name!r} is what Pinstripe gives a job under that name; choose another name", name)
        if "__init__" in dir(self._class) and self._class.__init__ is not object.__init__:
            required = [
                parameter.name
                for parameter in list(inspect.signature(self._class.__init__).parameters.values())[1:]
                if parameter.default is parameter.empty and parameter.kind not in _VARIABLE
            ]
            if required:
                reason = f"__init__ requires {', '.join(required)}, but a job is made new, without arguments, for each "
                self._refuse(f"{reason}attempt; declare services by annotation and take arguments in run", "__init__")

    def signature(self) -> inspect.Signature:
        """Give the signature of `run` without `self`, its annotations resolved."""
        run = inspect.getattr_static(self._class, "run")
        if not inspect.isfunction(run):
            kind = article(type(run).__name__)
            self._refuse(f"run is {kind}; expected def run(self, …) or async def run(self, …)", "run")
        if any(inspect.isgeneratorfunction(each) or inspect.isasyncgenfunction(each) for each in _layers(run)):
            self._refuse("run is a generator (it has a yield), which nobody would iterate; return a value", "run")
        try:
            signature = resolve(run)
        except Exception as failure:  # noqa: BLE001 - an annotation may be any expression
            self._refuse(
                f"an annotation of run can't be resolved: {summarise(failure)}; arguments are read by them, so import "
                "what they name outside of `if TYPE_CHECKING:`",
                "run",
                failure,
            )
        parameters = list(signature.parameters.values())
        if not parameters or parameters[0].kind in {inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD}:
            self._refuse("run doesn't take self; expected def run(self, …)", "run")
        if parameters[0].kind is not inspect.Parameter.VAR_POSITIONAL:
            del parameters[0]
        return signature.replace(parameters=parameters, return_annotation=inspect.Signature.empty)

    def runs_in(self) -> Literal["loop", "thread", "process"]:
        """Tell where `run` runs; a decorated `async def` is one still."""
        chosen: object = self._class.runs_in
        on_loop = any(inspect.iscoroutinefunction(each) for each in _layers(inspect.getattr_static(self._class, "run")))
        if chosen is None:
            return "loop" if on_loop else "thread"
        if chosen != "process":
            self._refuse(f"runs_in: expected 'process' or None, got {chosen!r}", "runs_in")
        if on_loop:
            self._refuse(
                "runs_in = 'process' is for a plain def run: an async def runs on the event loop, where a timeout can "
                "cancel it; take runs_in away, or make run a plain def",
                "runs_in",
            )
        return "process"

    def multi_tenant(self, *, default: bool) -> bool:
        """Tell whether the job runs for tenants."""
        chosen: object = self._class.multi_tenant
        if chosen is None:
            return default
        if not isinstance(chosen, bool):
            self._refuse(f"multi_tenant: expected True, False or None, got {chosen!r}", "multi_tenant")
        return chosen

    def timeout(self, runs_in: str) -> float | None:
        """Give the timeout in seconds; a thread can't be stopped, so it can't have one."""
        if self._class.timeout is None:
            return None
        from pinstripe.duration import parse_duration

        try:
            seconds = parse_duration(self._class.timeout).total_seconds()
        except ValueError as failure:
            self._refuse(f"timeout: {failure}", "timeout", failure)
        if seconds <= 0:
            self._refuse(f"timeout: expected more than nothing, got {self._class.timeout!r}", "timeout")
        if runs_in == "thread":
            self._refuse(
                "timeout on a plain def run, which runs in a thread, and a thread can't be stopped; make it an async "
                "def run, or set runs_in = 'process'",
                "timeout",
            )
        return seconds

    def policies(self, *, multi_tenant: bool) -> Policies:
        """Give what becomes of the job in a queue."""
        try:
            return read_policies(self._class, multi_tenant=multi_tenant)
        except BrokenRule as broken:
            self._refuse(str(broken), broken.attribute, broken)

    def redact(self, signature: inspect.Signature) -> frozenset[str]:
        """Give the names of the parameters whose arguments nobody is shown."""
        try:
            return read_redact(self._class, signature)
        except BrokenRule as broken:
            self._refuse(str(broken), broken.attribute, broken)

    def schedules(self, zone: str | None, *, multi_tenant: bool) -> tuple[Schedule, ...]:
        """Give the job's schedules, each validated; `zone` is the project's."""
        if self._class.schedule is None:
            return ()
        from pinstripe.schedule import Schedule, check_apart

        try:
            schedules = Schedule.of(self._class.schedule)
            check_apart(schedules, zone)
        except (ValueError, TypeError) as failure:
            self._refuse(f"schedule: {str(failure).removeprefix('schedule: ')}", "schedule", failure)
        if not multi_tenant and any(schedule.time_zone == "tenant" for schedule in schedules):
            reason = 'schedule: time_zone="tenant" on a job without tenants; set multi_tenant = True, or name a zone'
            self._refuse(reason, "schedule")
        return schedules

    def check_scheduled_arguments(self, definition: Definition) -> None:
        """Check that `run` can be called with what each schedule gives it: nobody is there to see it when it fires."""
        for schedule in definition.schedules:
            try:
                bind(definition, schedule.args, schedule.kwargs)
            except InvalidArguments as failure:
                named = repr(schedule.name or schedule.cron)
                self._refuse(f"schedule: what {named} gives to run: {failure}", "schedule", failure)

    def tenants_filter(self, *, multi_tenant: bool) -> Callable[[Any], Any] | None:
        """Give the author's own filter, callable with the source alone."""
        chosen = getattr(self._class, "tenants_filter", None)
        if chosen is None:
            return None
        if not multi_tenant:
            self._refuse("tenants_filter on a job without tenants; set multi_tenant = True", "tenants_filter")
        remedy = "expected a @staticmethod: def tenants_filter(tenants), which gives tenants.where(…)"
        if not callable(chosen):
            self._refuse(f"tenants_filter is {chosen!r}; {remedy}", "tenants_filter")
        try:
            inspect.signature(chosen).bind("tenants")
        except (TypeError, ValueError) as failure:
            self._refuse(f"tenants_filter can't be called with the tenants alone; {remedy}", "tenants_filter", failure)
        if inspect.iscoroutinefunction(chosen) or inspect.isgeneratorfunction(chosen):
            self._refuse(f"tenants_filter only chooses, and reads nothing; {remedy}", "tenants_filter")
        return chosen  # type: ignore[no-any-return]

    def services(
        self, known: Collection[str] | None, folder: Path | None, undeclared: Collection[str]
    ) -> tuple[str, ...]:
        """Give the declared services in their order, after those that need no declaration."""
        declared = declared_services(self._class)
        for name in declared:
            if known is not None and name not in known:
                near = nearest(name, known)
                hint = f"did you mean {' or '.join(near)}? Or " if near else ""
                place = folder / f"{name}.py" if folder else f"lib/services/{name}.py"
                self._refuse(
                    f"declares the service {name!r}, which doesn't exist; {hint}make it in {place}, give the attribute "
                    "a value, or annotate it as ClassVar",
                    name,
                )
        first = (name for name in undeclared if name not in declared and not hasattr(self._class, name))
        return (*first, *declared)

    def _refuse(self, reason: str, member: str | None = None, cause: Exception | None = None) -> NoReturn:
        names = [self._class.__qualname__, *([member] if member else [])]
        line = line_of(self._path, *names)
        where = "" if self._path else f"{self._class.__module__}.{self._class.__qualname__}: "
        raise InvalidJob(where + reason, path=self._path, line=line) from cause


_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _layers(function: Any) -> list[Any]:
    """Give a function and what its decorators wrapped, so that `@wraps` hides nothing."""
    layers = [function]
    while (wrapped := getattr(layers[-1], "__wrapped__", None)) is not None and wrapped not in layers:
        layers.append(wrapped)
    return layers
