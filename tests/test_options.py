from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from pinstripe.clock import to_microseconds
from pinstripe.errors import InvalidArguments
from pinstripe.options import MAX_KEY, NOTHING_SAID, Options, Terms
from pinstripe.priority import Priority
from pinstripe.workspace import Workspace
from tests.attempts import ACME, Nobody

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
NOW = to_microseconds(NOON)
HOUR = 3_600_000_000


def chosen(**options: Any) -> Options:
    return Workspace(ACME, Nobody()).options(**options)


def test_where_nothing_is_said_there_are_no_terms() -> None:
    assert chosen(tenants=["acme"]).terms() is NOTHING_SAID
    assert NOTHING_SAID.due_at(NOW) is None


def test_terms_are_what_was_said() -> None:
    assert chosen(at=NOON, key="inv-17", priority="bulk").terms() == Terms(NOON, None, "inv-17", Priority.BULK)
    assert chosen(delay="5m").terms() == Terms(delay=timedelta(minutes=5))
    assert chosen(priority=Priority.INTERACTIVE).terms().priority is Priority.INTERACTIVE


@pytest.mark.parametrize(
    ("options", "due_at"),
    [
        ({"delay": "1h"}, NOW + HOUR),
        ({"delay": timedelta(microseconds=1)}, NOW + 1),
        ({"delay": "0s"}, None),
        ({"at": NOON + timedelta(hours=1)}, NOW + HOUR),
        ({"at": datetime(2026, 11, 21, 14, tzinfo=timezone(timedelta(hours=1)))}, NOW + HOUR),
        ({"at": NOON}, None),
        ({"at": NOON - timedelta(days=400)}, None),
    ],
)
def test_what_is_due_already_is_due_at_once(options: dict[str, Any], due_at: int | None) -> None:
    assert chosen(**options).terms().due_at(NOW) == due_at


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"at": datetime(2026, 11, 21, 12)}, r"^options\(at=…\): expected an aware datetime, got a naive one: 2026-"),  # noqa: DTZ001
        ({"at": "2026-11-21"}, r"^options\(at=…\): expected an aware datetime, got '2026-11-21'$"),
        ({"at": NOON, "delay": "5m"}, r"^expected either options\(at=…\) or options\(delay=…\), got both"),
        ({"delay": 5}, r"^options\(delay=…\): expected a duration such as '30s', .* got 5$"),
        ({"delay": timedelta(seconds=-1)}, r"^options\(delay=…\): expected a duration"),
        ({"key": ""}, r"^options\(key=…\): expected a text of 1 to 200 characters, got 0$"),
        ({"key": "k" * (MAX_KEY + 1)}, r"got 201$"),
        ({"key": 17}, r"expected a text of 1 to 200 characters, got 17$"),
        ({"key": "a\0b"}, r"got a text with a NUL character"),
        ({"key": "\ud800"}, r"got a text that is not valid Unicode"),
        ({"priority": "urgent"}, r"^options\(priority=…\): expected 'interactive', 'default', 'bulk', got 'urgent'$"),
        ({"priority": "Default"}, r"got 'Default'; did you mean 'default'\?$"),
        ({"priority": 0}, r"got 0$"),
    ],
)
def test_what_can_not_be_is_told(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArguments, match=message):
        chosen(**options).terms()


def test_the_longest_key_is_kept_as_it_is() -> None:
    assert chosen(key="ä" * MAX_KEY).terms().key == "ä" * MAX_KEY


@pytest.mark.parametrize(
    "options", [{"delay": timedelta.max}, {"at": datetime.max.replace(tzinfo=timezone(timedelta(hours=-5)))}]
)
def test_a_time_that_can_not_be_written_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArguments, match="expected a time before the year 10000"):
        chosen(**options).terms().due_at(NOW)
