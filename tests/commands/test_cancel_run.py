from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.commands.conftest import Command, Start


def test_what_waits_is_cancelled_at_once(pinstripe: Command) -> None:
    pinstripe("run-background-job", "greet", "--tenant", "acme", "--tenant", "globex", "--enqueue")
    run = pinstripe("show-run", "last", "--json").json
    answer = pinstripe("cancel-run", run["id"][-8:])
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == f"Run {run['id'][-8:]} of greet: 2 that waited are cancelled.\n"
    execution = pinstripe("show-run", "last", "--tenant", "acme", "--json").json
    assert (execution["status"], execution["error"]) == ("cancelled", "cancelled by cancel-run")
    assert "Run again:  pinstripe retry-run " in pinstripe("show-run", "last").out


def test_one_that_waits_for_its_time_is_cancelled_too(pinstripe: Command) -> None:
    pinstripe("run-background-job", "hello", "--enqueue", "--delay", "2h")
    assert ": 1 that waited is cancelled.\n" in pinstripe("cancel-run", "last").out


def test_a_run_whose_tenants_are_not_selected_yet_is_cancelled(pinstripe: Command, process: Command) -> None:
    pinstripe("run-background-job", "greet", "--enqueue")
    answer = pinstripe("cancel-run", "last")
    assert answer.code == 0
    assert answer.out.splitlines()[0].endswith(" of greet: its tenants will not be selected.")
    process("start-worker", "--drain")
    run = pinstripe("show-run", "last", "--json").json
    assert (run["status"], run["executions"]["total"]) == ("cancelled", 0)


def test_a_finished_run_stays_as_it_is(pinstripe: Command) -> None:
    pinstripe("run-background-job", "hello")
    before = pinstripe("show-run", "last", "--json").json
    answer = pinstripe("cancel-run", "last")
    assert answer.code == 0
    assert answer.out == f"Run {before['id'][-8:]} of hello is finished already: succeeded.\n"
    assert pinstripe("cancel-run", "last", "--json").json == before


def test_a_run_by_hand_in_another_process_is_told(started: Start, pinstripe: Command) -> None:
    by_hand = started("run-background-job", "wait")
    by_hand.wait_for("waiting")
    answer = pinstripe("cancel-run", "last")
    assert answer.code == 0
    assert ": 2 that run are told to stop.\nFollow it:  pinstripe show-run " in answer.out
    assert by_hand.end() == 1
    assert "2 cancelled of 2" in by_hand.seen


def test_a_second_time_says_that_it_was_asked_for(started: Start, pinstripe: Command) -> None:
    by_hand = started("run-background-job", "stubborn")
    by_hand.wait_for("waiting")
    first = pinstripe("cancel-run", "last")
    assert "asked for" not in first.out
    second = pinstripe("cancel-run", "last")
    assert second.code == 0
    assert second.out.startswith("The end of run ")
    assert second.out.splitlines()[0].endswith(" of stubborn has been asked for already.")


def test_the_json_is_the_run(pinstripe: Command) -> None:
    pinstripe("run-background-job", "hello", "--enqueue")
    run = pinstripe("cancel-run", "last", "--json").json
    assert (run["status"], run["executions"]["cancelled"]) == ("cancelled", 1)
    assert run == pinstripe("show-run", "last", "--json").json


def test_an_unknown_run_is_exit_code_2(pinstripe: Command) -> None:
    assert pinstripe("cancel-run", "last").code == 2
    pinstripe("run-background-job", "hello")
    answer = pinstripe("cancel-run", "ffffffff")
    assert (answer.code, answer.out) == (2, "")
