"""What is typed into the form that starts a job: read as the command line reads it, with each error at its field."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from pinstripe.arguments import bind_text
from pinstripe.comparisons import parse_condition
from pinstripe.duration import parse_duration
from pinstripe.errors import ConfigurationError, InvalidArguments, TenantSourceFailed, UnknownTenant
from pinstripe.options import Terms
from pinstripe.priority import Priority
from pinstripe.run import Trigger
from pinstripe.runs import Request
from pinstripe.selection import Selection
from pinstripe.time_zones import find_zone
from pinstripe.views.parameters import parameters_of, read_form, redacted_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from pinstripe.definition import Definition
    from pinstripe.server.access.forms import Form

ARGUMENT = "arg-"
"""What stands before a parameter's name in the name of its field."""

FIELDS = ("tenants", "except", "where", "at", "delay", "priority")
"""The fields beside those of the arguments."""

MAX_CONDITIONS = 100
"""How many conditions a form may have: a source is narrowed by one after another."""

NOT_REPEATED = "it doesn't fit; what was typed isn't repeated, since this argument is not to be shown"
"""What is said of a redacted argument that is wrong."""

GENERAL = ""
"""Where errors stand that belong to no field."""

Errors = dict[str, list[str]]
"""What is wrong, by the field that it is wrong in."""


class Start(NamedTuple):
    """What a form asks for: a request, and how the run waits."""

    request: Request
    terms: Terms


class Unfit(Exception):
    """What was typed doesn't do; `.errors` say why, by field."""

    def __init__(self, errors: Errors) -> None:
        """Take the errors."""
        super().__init__(errors)
        self.errors = errors


def fields_of(form: Form) -> dict[str, str]:
    """Give what was typed: one text for each field."""
    return {name: values[0] for name, values in form.items() if values}


def read_start(definition: Definition, fields: Mapping[str, str], time_zone: str) -> Start:
    """Read a form; a time without a zone is in this `time_zone`. Raises `Unfit`."""
    errors: Errors = {}
    typed = {name.removeprefix(ARGUMENT): text for name, text in fields.items() if name.startswith(ARGUMENT)}
    args: tuple[str, ...] = ()
    kwargs: Mapping[str, str] = {}
    try:
        args, kwargs = read_form(definition, _as_typed(typed))
        bind_text(definition, args, kwargs)  # so that what is wrong with all fields is told at once
    except InvalidArguments as error:
        errors |= _of_arguments(definition, error)
    tenants, exclude = (_ids(fields.get(name, "")) for name in ("tenants", "except"))
    excluded = frozenset(exclude)
    both = [one for one in tenants if one in excluded]
    if both:
        errors["except"] = [f"{both[0]!r} is among the tenants, too; name it in one of them"]
    where, lines = [], _ids(fields.get("where", ""))
    if len(lines) > MAX_CONDITIONS:
        errors["where"] = [f"expected at most {MAX_CONDITIONS} conditions, got {len(lines):,}"]
    for line in lines[:MAX_CONDITIONS]:
        try:
            where.append(parse_condition(line))
        except ConfigurationError as error:
            errors.setdefault("where", []).append(str(error))
    terms = _terms(fields, time_zone, errors)
    if errors:
        raise Unfit(errors)
    selection = Selection(tenants=tuple(tenants) or None, exclude=tuple(exclude), where=tuple(where))
    request = Request(definition.name, args, kwargs, text=True, selection=selection, trigger=Trigger.API)
    return Start(request, terms)


def refused(definition: Definition, fields: Mapping[str, str], error: Exception) -> Errors:
    """Give what a request was refused for, at the field that it is about; raises the error where that is no field's."""
    match error:
        case InvalidArguments():
            return _of_arguments(definition, error)
        case UnknownTenant():
            return {"tenants" if fields.get("tenants", "").strip() else "except": [error.reason]}
        case TenantSourceFailed():
            return {GENERAL: [str(error)]}
        case ConfigurationError():
            return {"where" if fields.get("where", "").strip() else GENERAL: [str(error)]}
    raise error


def key_of(token: str, fields: Mapping[str, str]) -> str | None:
    """Give the key of the run that a form starts: sent twice, it starts one; with something else in it, another."""
    if not token.isascii() or not token.isalnum():
        return None
    typed = sorted((name, text) for name, text in fields.items() if name in FIELDS or name.startswith(ARGUMENT))
    return f"dashboard:{token[:40]}:{sha256(repr(typed).encode('utf-8', 'backslashreplace')).hexdigest()[:20]}"


def _as_typed(typed: Mapping[str, str]) -> dict[str, str]:
    """Give texts with the line breaks that were typed: a browser sends each as two characters."""
    return {name: text.replace("\r\n", "\n") for name, text in typed.items()}


def _ids(text: str) -> list[str]:
    """Give the lines that aren't empty, each once."""
    return list(dict.fromkeys(line.strip() for line in text.split("\n") if line.strip()))


def _terms(fields: Mapping[str, str], time_zone: str, errors: Errors) -> Terms:
    at, delay = _at(fields, time_zone, errors), _delay(fields, errors)
    priority = fields.get("priority") or None
    if priority is not None and priority not in [*Priority]:
        errors["priority"] = [f"expected {', '.join(Priority)}, got {priority!r}"]
        priority = None
    if at is not None and delay is not None:
        errors["delay"] = ["it says when, as the time does; expected one of them"]
        return Terms()
    terms = Terms(at=at, delay=delay, priority=None if priority is None else Priority(priority))
    try:
        terms.due_at(0)
    except InvalidArguments as error:
        errors["at" if at is not None else "delay"] = [str(error).rpartition("): ")[2]]
    return terms


def _at(fields: Mapping[str, str], time_zone: str, errors: Errors) -> datetime | None:
    text = fields.get("at", "").strip()
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        errors["at"] = [f"expected a time as 2026-12-01T09:00 or 2026-12-01T09:00+01:00, got {text!r}"]
        return None
    return at.replace(tzinfo=find_zone(time_zone)) if at.utcoffset() is None else at


def _delay(fields: Mapping[str, str], errors: Errors) -> timedelta | None:
    text = fields.get("delay", "").strip()
    if not text:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        errors["delay"] = [str(error)]
        return None


def _of_arguments(definition: Definition, error: InvalidArguments) -> Errors:
    """Share out what is wrong with arguments to their fields; what is redacted isn't repeated."""
    names = {parameter.name for parameter in parameters_of(definition)}
    redacted = redacted_of(definition)
    found: Errors = {}
    for problem in _problems(definition, str(error)):
        label, separator, words = problem.partition(": ")
        name = label.rpartition("(*")[2].removesuffix(")") if label.endswith(")") else label
        if not separator or name not in names:
            found.setdefault(GENERAL, []).append(problem)
        elif name in redacted:
            found[ARGUMENT + name] = ["missing" if words.startswith("missing") else NOT_REPEATED]
        else:
            found.setdefault(ARGUMENT + name, []).append(words)
    if redacted and GENERAL in found:
        found[GENERAL] = ["the arguments don't fit; what was typed isn't repeated, since one is not to be shown"]
    return found


def _problems(definition: Definition, message: str) -> list[str]:
    """Part a message about arguments into its problems: it has one line for each where there are several."""
    _, _, rest = message.partition(f"{definition.usage}:")
    if not rest:
        return [message]
    if not rest.startswith("\n"):
        return [rest.strip()]
    problems: list[str] = []
    for line in rest.strip("\n").split("\n"):
        if line.startswith("  ") and not line.startswith("   "):
            problems.append(line.strip())
        elif problems:
            problems[-1] += f"\n{line.strip()}"
    return problems
