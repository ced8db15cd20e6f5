from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.commands.conftest import Command
    from tests.conftest import ProjectFolder


def paused(pinstripe: Command) -> list[tuple[str | None, str | None]]:
    return [(pause["job"], pause["tenant"]) for pause in pinstripe("status", "--json").json["pauses"]]


@pytest.mark.parametrize(
    ("args", "words", "pair"),
    [
        (["--job", "greet"], "job greet", ("greet", None)),
        (["--job", "Greet", "--tenant", "acme"], "job greet for tenant acme", ("greet", "acme")),
        (["--tenant", "initech"], "tenant initech", (None, "initech")),
        (["--all"], "everything", (None, None)),
    ],
)
def test_what_is_paused_is_said(
    pinstripe: Command, args: list[str], words: str, pair: tuple[str | None, str | None]
) -> None:
    answer = pinstripe("pause", *args)
    assert answer.code == 0
    first, last = answer.out.splitlines()
    assert first == f"Paused: {words}. What runs goes on; nothing more of it starts."
    assert last.startswith("Go on:  pinstripe resume --")
    assert paused(pinstripe) == [pair]
    assert pinstripe(*last.removeprefix("Go on:  pinstripe ").split()).out == f"Resumed: {words}.\n"
    assert paused(pinstripe) == []


def test_twice_says_since_when(pinstripe: Command) -> None:
    pinstripe("pause", "--tenant", "acme")
    answer = pinstripe("pause", "--tenant", "acme")
    assert answer.code == 0
    assert answer.out.startswith("Paused already: tenant acme, since ")
    assert paused(pinstripe) == [(None, "acme")]


def test_what_else_is_paused_is_told(pinstripe: Command) -> None:
    pinstripe("pause", "--tenant", "acme")
    lines = pinstripe("pause", "--job", "hello").out.splitlines()
    assert lines[1] == "Paused, too:"
    assert lines[2].startswith("  tenant acme, since ")


def test_json(pinstripe: Command) -> None:
    first = pinstripe("pause", "--job", "greet", "--json").json
    assert (first["job"], first["tenant"], first["changed"]) == ("greet", None, True)
    assert [list(pause) for pause in first["pauses"]] == [["job", "tenant", "since"]]
    second = pinstripe("pause", "--job", "greet", "--json").json
    assert second == {**first, "changed": False}


@pytest.mark.parametrize("command", ["pause", "resume"])
@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "expected --job NAME, --tenant ID, both of them, or --all"),
        (["--all", "--job", "greet"], "--all is everything; expected it alone"),
        (["--all", "--tenant", "acme"], "--all is everything; expected it alone"),
        (["--job", "greeet"], "there is no background job 'greeet'; did you mean greet?"),
        (["--job", "/"], "expected a job name"),
        (["--tenant", "nobody"], "unknown tenant 'nobody'"),
        (["--tenant", ""], "expected a tenant's id, got an empty text"),
    ],
)
def test_wrong_usage_is_explained_and_changes_nothing(
    shop: ProjectFolder, pinstripe: Command, command: str, args: list[str], message: str
) -> None:
    answer = pinstripe(command, *args)
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err
    assert not (shop.path / ".pinstripe").exists()


def test_a_tenant_source_that_fails_stops_nobody_from_pausing(shop: ProjectFolder, pinstripe: Command) -> None:
    shop.file("shop.py", "def tenants():\n    raise OSError('gone')\n    yield\n")
    answer = pinstripe("pause", "--tenant", "acme")
    assert answer.code == 0
    assert answer.err.startswith("Warning: whether there is a tenant 'acme' can't be told: ")
    assert paused(pinstripe) == [(None, "acme")]


def test_a_job_that_can_not_be_loaded_is_paused(shop: ProjectFolder, pinstripe: Command) -> None:
    shop.job("broken", "import nothing_like_that\n")
    assert pinstripe("pause", "--job", "broken").code == 0


def test_in_a_project_without_tenants_there_is_none_to_pause(shop: ProjectFolder, pinstripe: Command) -> None:
    shop.configure("")
    answer = pinstripe("pause", "--tenant", "acme")
    assert (answer.code, answer.out) == (2, "")


def test_what_the_project_prints_is_no_part_of_the_json(shop: ProjectFolder, process: Command) -> None:
    shop.file("shop.py", "print('noise')\ntenants = [{'id': 'acme', 'active': True}]\n")
    assert process("pause", "--tenant", "acme", "--json").json["changed"]


def test_nothing_more_starts_until_it_is_resumed(pinstripe: Command, process: Command) -> None:
    pinstripe("pause", "--job", "hello")
    pinstripe("run-background-job", "hello", "--enqueue")
    process("start-worker", "--drain")
    shown = pinstripe("show-run", "last").out
    assert "  status      queued\n" in shown
    assert "  waiting     paused; no worker is there" in shown
    assert pinstripe("status", "--json").json["held"]["paused"] == 1
    pinstripe("resume", "--job", "hello")
    process("start-worker", "--drain")
    assert pinstripe("show-run", "last", "--json").json["status"] == "succeeded"


def test_a_run_by_hand_skips_what_is_paused_unless_it_is_forced(pinstripe: Command, process: Command) -> None:
    pinstripe("pause", "--job", "hello")
    answer = pinstripe("run-background-job", "hello")
    assert answer.code == 3
    assert answer.out.splitlines()[-1] == "Paused: job hello; --force runs it all the same."
    assert process("run-background-job", "hello", "--force").code == 0
