from __future__ import annotations

import keyword

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pinstripe.names import class_name, nearest, normalise_job_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("cleanup_old_data", "cleanup_old_data"),
        ("Cleanup-OldData", "cleanup_old_data"),
        ("cleanupOldData", "cleanup_old_data"),
        ("cleanup old.data", "cleanup_old_data"),
        ("HTTPServer2Job", "http_server2_job"),
        (" Billing/CloseMonth ", "billing/close_month"),
        ("_private", "private"),
        ("ÜberweisungPrüfen", "überweisung_prüfen"),
        ("2fa", "2fa"),
    ],
)
def test_every_spelling_of_a_name_is_one(text: str, name: str) -> None:
    assert normalise_job_name(text) == name


@pytest.mark.parametrize("text", ["", "  ", "__", "billing/", "/close_month", "a//b", "../x", "a/../b", "-"])
def test_a_part_without_letter_or_digit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a job name such as 'send_newsletter'"):
        normalise_job_name(text)


@given(st.text(max_size=30))
def test_normalising_twice_is_normalising_once(text: str) -> None:
    try:
        name = normalise_job_name(text)
    except ValueError:
        assume(False)
    assert normalise_job_name(name) == name


@given(st.lists(st.from_regex(r"[a-z][a-z0-9]*", fullmatch=True), min_size=1, max_size=4))
def test_snake_camel_and_kebab_case_agree(words: list[str]) -> None:
    snake = "_".join(words)
    assert normalise_job_name("-".join(words)) == snake
    assert normalise_job_name("".join(word.capitalize() + "_" for word in words)) == snake


@pytest.mark.parametrize(
    ("job", "name"),
    [
        ("cleanup_old_data", "CleanupOldData"),
        ("billing/close_month", "CloseMonth"),
        ("2fa", "Job2fa"),
        ("none", "NoneJob"),
        ("background_job", "BackgroundJobJob"),
    ],
)
def test_a_class_is_named_after_the_last_part(job: str, name: str) -> None:
    assert class_name(job) == name


@given(st.from_regex(r"[a-z0-9_]*[a-z0-9][a-z0-9_]*(/[a-z0-9]+)?", fullmatch=True))
def test_a_class_name_can_always_be_defined(job: str) -> None:
    name = class_name(job)
    assert name.isidentifier()
    assert not keyword.iskeyword(name)
    assert name != "BackgroundJob"


def test_the_nearest_name_comes_first() -> None:
    known = ["send_newsletter", "send_email", "purge_old_sessions"]
    assert nearest("send_newsleter", known)[0] == "send_newsletter"
    assert nearest("SEND_EMAIL", known)[0] == "send_email"


def test_the_last_part_of_a_name_is_enough_to_be_near() -> None:
    assert nearest("close_mont", ["billing/close_month", "send_email"]) == ["billing/close_month"]
    assert nearest("concurency", ["worker.concurrency", "ledger"]) == ["worker.concurrency"]


def test_nothing_is_near_to_something_else() -> None:
    assert nearest("zzz", ["send_newsletter", "send_email"]) == []


def test_no_more_names_than_the_limit() -> None:
    assert nearest("job", ["job1", "job2", "job3", "job4"]) == ["job1", "job2", "job3"]
    assert nearest("job", ["job1", "job2"], limit=1) == ["job1"]
