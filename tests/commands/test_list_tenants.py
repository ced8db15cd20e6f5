from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.commands.conftest import Command
    from tests.conftest import ProjectFolder


@pytest.mark.parametrize(
    ("args", "ids"),
    [([], ["acme", "globex", "initech"]), (["greet"], ["acme", "globex"]), (["Greet"], ["acme", "globex"])],
)
def test_ids_are_listed_as_the_source_gives_them(pinstripe: Command, args: list[str], ids: list[str]) -> None:
    assert pinstripe("list-tenants", *args).out.splitlines() == ids
    assert pinstripe("list-tenants", "--json", *args).json == ids


def test_a_source_without_tenants_is_an_empty_list(shop: ProjectFolder, pinstripe: Command) -> None:
    shop.file("shop.py", "tenants = []")
    assert pinstripe("list-tenants").out == ""
    assert pinstripe("list-tenants", "--json").json == []


def test_a_job_with_required_arguments_has_tenants_too(shop: ProjectFolder, pinstripe: Command) -> None:
    shop.job(
        "mail",
        """
        from pinstripe import BackgroundJob
        class Mail(BackgroundJob):
            multi_tenant = True
            @staticmethod
            def tenants_filter(tenants):
                return tenants.where(plan="pro")
            async def run(self, subject: str, body: str):
                pass
        """,
    )
    assert pinstripe("list-tenants", "mail").out == "acme\ninitech\n"


def test_ids_cannot_move_the_cursor(shop: ProjectFolder, pinstripe: Command) -> None:
    shop.file("shop.py", "tenants = ['a\\x1b[2J']")
    assert pinstripe("list-tenants").out == "a\\x1b[2J\n"


def test_what_has_no_tenants_says_so(shop: ProjectFolder, pinstripe: Command) -> None:
    answer = pinstripe("list-tenants", "hello")
    assert (answer.code, answer.out) == (2, "")
    assert "hello is not multi-tenant" in answer.err
    shop.configure("")
    answer = pinstripe("list-tenants")
    assert (answer.code, answer.out) == (2, "")
    assert "[tool.pinstripe.tenants]" in answer.err


def test_a_source_that_fails_is_exit_code_1(shop: ProjectFolder, pinstripe: Command) -> None:
    shop.file("shop.py", "def tenants():\n    yield 'acme'\n    raise OSError('gone')\n")
    answer = pinstripe("list-tenants")
    assert answer.code == 1
    assert "OSError: gone" in answer.err
