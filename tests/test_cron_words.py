from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe.cron import check_cron
from pinstripe.cron_words import in_words

SHAPES = {
    "* * * * * *": "every second",
    "*/10 * * * * *": "every 10 seconds",
    "15 * * * * *": "every minute, at second 15",
    "0,40 * * * * *": "every minute, at seconds 0 and 40",
    "* * * * *": "every minute",
    "*/5 * * * *": "every 5 minutes",
    "0 * * * *": "every hour, at minute 0",
    "0,20 * * * *": "every hour, at minutes 0 and 20",
    "30 */2 * * *": "every 2 hours, at minute 30",
    "* 9 * * *": "every minute from 09:00 to 09:59",
    "*/15 9-17 * * 1-5": "every 15 minutes from 09:00 to 17:59, from Monday to Friday",
    "30 9-17 * * *": "every hour from 09:30 to 17:30",
    "0 9 * * *": "every day at 09:00",
    "0 9,10 * * *": "every day at 09:00 and 10:00",
    "15 0 9 * * *": "every day at 09:00:15",
    "0 9 * * 1": "every Monday at 09:00",
    "0 9 * * 6,7": "every Saturday and Sunday at 09:00",
    "0 9 * * MON,WED,FRI": "every Monday, Wednesday and Friday at 09:00",
    "0 9 * * MON-FRI": "from Monday to Friday at 09:00",
    "0 9 * * 5#2": "on the second Friday of every month at 09:00",
    "0 9 * * 0L": "on the last Sunday of every month at 09:00",
    "0 9 * * 5#2,1L": "on the second Friday and last Monday of every month at 09:00",
    "0 9 * * 1#5 ": "on the fifth Monday of every month at 09:00",
    "0 0 1 * *": "on the first day of every month at 00:00",
    "0 0 1,15 * *": "on the first and 15th day of every month at 00:00",
    "0 0 22,23 * *": "on the 22nd and 23rd day of every month at 00:00",
    "0 0 12,31 * *": "on the 12th and 31st day of every month at 00:00",
    "0 0 L * *": "on the last day of every month at 00:00",
    "0 0 LW * *": "on the last weekday of every month at 00:00",
    "0 0 25 12 *": "every year on 25 December at 00:00",
    "0 0 L 2 *": "on the last day of February at 00:00",
    "0 0 1 */3 *": "on the first day of January, April, July and October at 00:00",
    "0 0 1 6-8 *": "on the first day of every month from June to August at 00:00",
    "0 9 * 1 *": "every day in January at 09:00",
    "0 9 * 6-8 *": "every day from June to August at 09:00",
    "0 9 * 6,7 MON": "every Monday in June and July at 09:00",
    "0 9 * 6-8 MON-FRI": "from Monday to Friday, from June to August at 09:00",
    "*/5 * * * 1": "every 5 minutes, on Mondays",
    "*/5 * 1 * *": "every 5 minutes, on the first day of every month",
    "*/5 * 1 1 *": "every 5 minutes, on 1 January",
    "*/5 * * 1 *": "every 5 minutes, in January",
}


@pytest.mark.parametrize(("line", "words"), SHAPES.items())
def test_what_people_write_has_words_of_its_own(line: str, words: str) -> None:
    assert in_words(check_cron(line)) == words


def test_different_shapes_have_different_words() -> None:
    assert len(set(SHAPES.values())) == len(SHAPES)


@pytest.mark.parametrize(
    ("line", "same"),
    [
        ("0/5 * * * *", "*/5 * * * *"),
        ("0,30 * * * *", "*/30 * * * *"),
        ("0 9 * * SUN", "0 9 * * 7"),
        ("0 9 * JAN-DEC MON", "0 9 * * 1"),
        ("0 * * * * *", "* * * * *"),
        ("0 9 1 * 0-6", "0 9 * * *"),  # any weekday is enough where neither field begins with a star
        ("0 9 */1 * MON", "0 9 * * 1"),
    ],
)
def test_what_means_the_same_reads_the_same(line: str, same: str) -> None:
    assert in_words(check_cron(line)) == in_words(check_cron(same))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("*/7 * * * *", "every seventh minute of every hour"),
        ("0 9 1 * MON", "at 09:00 on the first day of month and on Monday"),
        ("0 9 */2 * MON", "at 09:00 on every second day of month if it's on Monday"),
        ("0 0 1,LW * *", "at 00:00 on the first day of month and the last weekday of the month"),
        ("0 9 * * 1#1,3", "at 09:00 on the first Monday of the month and Wednesday"),
        ("*/5 9,11 * * *", "every fifth minute past hours 9 and 11"),
        ("15 1,5,7,8,9 * * *", "at minute 15 past hours 1, 5, 7, 8, and 9"),
        ("1,2,4,8,16 * * * *", "at minutes 1, 2, 4, 8, and 16 of every hour"),
    ],
)
def test_the_rest_is_in_cronsims_words(line: str, words: str) -> None:
    assert in_words(check_cron(line)) == words


FIELDS = st.text("0123456789*/,-#LWSUNMONJAN", min_size=1, max_size=8)
LINES = st.lists(st.one_of(st.just("*"), st.integers(0, 31).map(str), FIELDS), min_size=5, max_size=6).map(" ".join)


@given(LINES)
def test_every_line_has_words(line: str) -> None:
    try:
        kept = check_cron(line)
    except ValueError:
        return
    words = in_words(kept)
    assert words[0].islower()
    assert words == " ".join(words.split())


@given(st.integers(0, 23), st.integers(0, 59), st.integers(1, 7))
def test_a_time_of_a_weekday_reads_right(hour: int, minute: int, day: int) -> None:
    weekday = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")[day - 1]
    assert in_words(f"{minute} {hour} * * {day}") == f"every {weekday} at {hour:02}:{minute:02}"


@given(st.integers(2, 30))
def test_only_what_is_even_is_every_so_often(step: int) -> None:
    assert (in_words(f"*/{step} * * * *") == f"every {step} minutes") == (60 % step == 0)
