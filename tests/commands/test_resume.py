from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.commands.conftest import Command
    from tests.conftest import ProjectFolder


def test_what_is_not_paused_is_said_to_be_so(shop: ProjectFolder, pinstripe: Command) -> None:
    for args, words in (
        (["--job", "greet"], "job greet has no pause of its own"),
        (["--tenant", "acme"], "tenant acme has no pause of its own"),
        (["--all"], "not everything is paused"),
    ):
        answer = pinstripe("resume", *args)
        assert (answer.code, answer.out) == (0, f"Nothing to resume: {words}.\n")
    assert not (shop.path / ".pinstripe").exists()


def test_another_pause_that_holds_it_is_named(pinstripe: Command) -> None:
    pinstripe("pause", "--tenant", "acme")
    pinstripe("pause", "--job", "greet", "--tenant", "acme")
    lines = pinstripe("resume", "--job", "greet", "--tenant", "acme").out.splitlines()
    assert lines[0] == "Resumed: job greet for tenant acme."
    assert lines[1].startswith("Held all the same by the pause of tenant acme, since ")
    assert lines[1].endswith("; end it with:  pinstripe resume --tenant acme")
    lines = pinstripe("resume", "--job", "greet", "--tenant", "acme").out.splitlines()
    assert lines[0] == "Nothing to resume: job greet for tenant acme has no pause of its own."
    assert "by the pause of tenant acme, since " in lines[1]


def test_a_part_that_stays_paused_is_named(pinstripe: Command) -> None:
    pinstripe("pause", "--all")
    pinstripe("pause", "--job", "greet")
    first, heading, part = pinstripe("resume", "--all").out.splitlines()
    assert (first, heading) == ("Resumed: everything.", "Still paused:")
    assert part.startswith("  job greet, since ")


def test_a_pause_of_something_else_is_not_named(pinstripe: Command) -> None:
    pinstripe("pause", "--job", "hello")
    pinstripe("pause", "--job", "greet")
    assert pinstripe("resume", "--job", "greet").out == "Resumed: job greet.\n"


def test_what_has_gone_meanwhile_is_resumed(shop: ProjectFolder, pinstripe: Command) -> None:
    pinstripe("pause", "--job", "hello", "--tenant", "acme")
    (shop.path / "lib" / "background_jobs" / "hello.py").unlink()
    shop.file("shop.py", "tenants = []\n")
    answer = pinstripe("resume", "--job", "hello", "--tenant", "acme")
    assert (answer.code, answer.out) == (0, "Resumed: job hello for tenant acme.\n")


def test_json(pinstripe: Command) -> None:
    pinstripe("pause", "--all")
    pinstripe("pause", "--tenant", "acme")
    answer = pinstripe("resume", "--all", "--json").json
    assert (answer["job"], answer["tenant"], answer["changed"]) == (None, None, True)
    assert [pause["tenant"] for pause in answer["pauses"]] == ["acme"]
    assert pinstripe("resume", "--all", "--json").json == {**answer, "changed": False}
