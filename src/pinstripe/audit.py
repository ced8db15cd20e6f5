"""The audit trail of what is asked for: who asks is kept before it is done, and what came of it after."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Self

from pinstripe.errors import InvalidArguments, LedgerError, PinstripeError
from pinstripe.history import Action, AuditEntry
from pinstripe.outcome import cut
from pinstripe.setting_keys import hide_passwords

if TYPE_CHECKING:
    from types import TracebackType

    from pinstripe.actor import Actor
    from pinstripe.clock import Clock
    from pinstripe.ledger import Ledger

DONE = "done"
"""What came of what was done as it was asked for."""

MAX_TEXT = 300
"""How many characters of a detail, a refusal, or a name that nobody has checked are kept."""

_log = logging.getLogger("pinstripe")


class Subject(NamedTuple):
    """What something is done to, as far as that is known: a `job`, a `tenant` or a `run`, and more in `detail`."""

    job: str | None = None
    tenant: str | None = None
    run: str | None = None
    detail: str | None = None


class Kept:
    """One entry of the audit trail, around what it is about. Without an actor it is none, and costs nothing.

    Inside, what was asked for is checked first; `begin` writes the entry, and only then is anything done. What is
    refused before, and what needs not be done, is kept too, where the ledger is there to take it.
    """

    __slots__ = ("_action", "_actor", "_clock", "_ledger", "_number", "_tried", "outcome", "run", "subject")

    def __init__(self, ledger: Ledger, clock: Clock, actor: Actor | None, action: Action, subject: Subject) -> None:
        """Take who does what to what; as more of the `subject` is known, it may be changed until `begin`."""
        self._ledger = ledger
        self._clock = clock
        self._actor = actor
        self._action = action
        self._number: int | None = None
        self._tried = False
        self.subject = subject
        self.outcome = DONE
        """What came of it, where nothing is raised."""
        self.run: str | None = None
        """The id of the run that came of it."""

    async def begin(self) -> None:
        """Write the entry; raises `LedgerError` where that can't be done, and so nothing else may be."""
        if self._actor is not None:
            self._tried = True
            self._number = await self._ledger.history.begin_audit(self._entry(self._actor))

    async def __aenter__(self) -> Self:
        """Keep what happens from here on."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what came of it. That this can't be done doesn't undo what was done, and is only logged."""
        if self._actor is None:
            return
        outcome = self.outcome if error is None else refusal(error)
        try:
            if self._number is None:
                if self._tried and isinstance(error, LedgerError):
                    raise error  # to wait once more for a ledger that is locked or away would only make the answer late
                if not self._ledger.is_made:
                    return  # a mistake doesn't make a ledger
                await self._ledger.open(write=True)
                await self.begin()
            if self._number is not None:
                await self._ledger.history.end_audit(self._number, outcome, run=self.run)
        except LedgerError as trouble:
            with suppress(Exception):  # a logging handler of the application's may raise
                _log.warning("the audit trail lacks what came of a %s (%s): %s", self._action, outcome, trouble)

    def _entry(self, actor: Actor) -> AuditEntry:
        subject = Subject(*(None if text is None else cut(text, MAX_TEXT) for text in self.subject))
        actor = actor._replace(name=cut(actor.name, MAX_TEXT))
        return AuditEntry(self._clock.now(), actor, self._action, *subject)


def refusal(error: BaseException) -> str:
    """Tell in one sentence why something was not done, without the arguments, of which nobody is to be told here."""
    if isinstance(error, asyncio.CancelledError):
        return "interrupted"
    if isinstance(error, InvalidArguments):
        return "refused: its arguments or options don't fit"
    if not isinstance(error, PinstripeError):
        return f"failed: {type(error).__name__}"
    first = hide_passwords(str(error)).strip().partition("\n")[0]
    return cut(f"{'failed' if isinstance(error, LedgerError) else 'refused'}: {first}", MAX_TEXT)


def named(what: str, ids: tuple[str, ...]) -> str:
    """Name a few of some tenants, for a detail: `for acme, globex and 3 more`."""
    more = f" and {len(ids) - _NAMED:,} more" if len(ids) > _NAMED else ""
    return f"{what} {', '.join(ids[:_NAMED])}{more}"


_NAMED = 5
