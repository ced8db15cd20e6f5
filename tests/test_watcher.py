from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.clock import to_datetime
from pinstripe.queue import QueuedRun, Started
from pinstripe.run import Counts, Failure, Run, RunStatus, Trigger
from pinstripe.watcher import Guarded, Watcher

if TYPE_CHECKING:
    from collections.abc import Callable

RUN = Run(
    id="0199", job="j", status=RunStatus.RUNNING, trigger=Trigger.CODE, args=(), kwargs={}, created_at=to_datetime(0)
)
STARTED = Started(
    1,
    QueuedRun(1, "0199", "greet", Trigger.CODE, (), {}, {}, "0199", None, None, None, 2, 1, 0),
    "acme",
    1,
    1,
    False,
    0,
)
FACTS: dict[str, tuple[Any, ...]] = {
    "created": (RUN,),
    "selecting": (RUN, 5),
    "selected": (RUN, 5),
    "advanced": (RUN, Counts(total=5), [Failure("a", 1, "ValueError")]),
    "output": ("acme", "a line\n"),
    "job_output": ("greet", "acme", "a line\n"),
    "output_of": (STARTED, "acme", "a line\n"),
    "progress": ("acme", 1.0, None),
    "finished": (RUN,),
}


def heard(what: str, hear: Callable[..., None]) -> Watcher:
    """Make a watcher that hears only this."""
    made: Watcher = type("Heard", (Watcher,), {what: lambda _, *facts: hear(*facts)})()
    return made


def test_these_are_all_that_a_watcher_hears() -> None:
    assert {name for name in vars(Watcher) if not name.startswith("_")} - {"captures"} == set(FACTS)


@pytest.mark.parametrize("what", [what for what in FACTS if "output" not in what])
def test_a_watcher_may_leave_out_whatever_it_has_no_use_for(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    getattr(Watcher(), what)(*FACTS[what])
    assert capsys.readouterr() == ("", "")


def test_output_is_passed_on_where_nobody_shows_it(capsys: pytest.CaptureFixture[str]) -> None:
    Watcher().output("acme", "a line\n")
    assert capsys.readouterr().out == "a line\n"


def test_output_is_passed_on_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = io.BytesIO()
    with io.TextIOWrapper(pipe) as stream:
        monkeypatch.setattr("sys.stdout", stream)
        Watcher().output("acme", "a line\n")
        assert pipe.getvalue() == b"a line\n"


@pytest.mark.parametrize("what", FACTS)
def test_a_guarded_watcher_hears_all(what: str) -> None:
    heard_of: list[tuple[Any, ...]] = []
    getattr(Guarded(heard(what, lambda *facts: heard_of.append(facts))), what)(*FACTS[what])
    assert heard_of == [FACTS[what]]


@pytest.mark.parametrize("what", FACTS)
def test_its_first_error_is_logged_and_none_is_raised(what: str, caplog: pytest.LogCaptureFixture) -> None:
    def fail(*facts: Any) -> None:
        raise OSError("nobody reads")

    guarded = Guarded(heard(what, fail))
    for _ in range(3):
        getattr(guarded, what)(*FACTS[what])
    (record,) = caplog.records
    assert record.getMessage() == f"what watches the run failed ({what}); the run goes on"
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], OSError)


def test_what_ends_the_process_is_not_held_back() -> None:
    def interrupt(*facts: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Guarded(heard("selecting", interrupt)).selecting(RUN, 1)


def test_a_watcher_may_change_its_mind_about_output() -> None:
    watcher = Watcher()
    guarded = Guarded(watcher)
    assert guarded.captures is True
    watcher.captures = False
    assert guarded.captures is False
