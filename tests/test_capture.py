from __future__ import annotations

import asyncio
import threading
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe.capture import HEAD, MAX_WAITING, TAIL, Capture

REPLACED = "\N{REPLACEMENT CHARACTER}"


def write_all(capture: Capture, texts: list[str]) -> None:
    for text in texts:
        capture.write(text)


def test_a_capture_that_nothing_was_written_to_has_no_text() -> None:
    capture = Capture("acme")
    capture.write("")
    assert capture.text(100) is None
    assert capture.close(100) is None


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20), max_size=20))
def test_what_fits_is_kept_as_it_is_and_shown_in_whole_lines(writes: list[str]) -> None:
    shown: list[str] = []
    capture = Capture("acme", lambda _, text: shown.append(text))
    for text in writes:
        capture.write(text)
    assert all(text.endswith("\n") for text in shown)
    whole = "".join(writes)
    assert capture.close(1_000_000) == (whole or None)
    assert "".join(shown) == (whole + "\n" if whole and not whole.endswith("\n") else whole)


@given(st.integers(0, 5 * (HEAD + TAIL)), st.sampled_from([1_000, 16 * 1024, 256 * 1024]), st.integers(1, 100_000))
def test_what_does_not_fit_is_cut_in_the_middle_and_the_note_counts_it(size: int, limit: int, step: int) -> None:
    whole = "".join(f"{number:07d}\n" for number in range(size // 8))
    capture = Capture()
    for start in range(0, len(whole), step):
        capture.write(whole[start : start + step])
    text = capture.text(limit)
    if len(whole) <= limit:
        assert text == (whole or None)
        return
    assert text is not None
    head, note, tail = (
        text.partition("\n… ")[0],
        text.partition("… ")[2].partition(" bytes")[0],
        text.rpartition("…\n")[2],
    )
    assert whole.startswith(head)
    assert whole.endswith(tail)
    assert len(head) + len(tail) + int(note.replace(",", "")) == len(whole)
    assert len(text.encode()) <= limit


def test_a_cut_inside_a_character_leaves_no_half_of_it() -> None:
    capture = Capture()
    capture.write("é" * 10_000)
    text = capture.text(1_001)
    assert text is not None
    assert set(text.replace("é", "")) <= set("\n… 0123456789,bytesofoutputcut")


def test_what_a_database_can_not_take_is_replaced() -> None:
    capture = Capture()
    capture.write("a\0b\ud800c")
    assert capture.text(100) == f"a{REPLACED}b?c"


def test_bytes_are_read_as_utf_8_and_what_is_not_is_replaced() -> None:
    capture = Capture()
    capture.write_bytes("é".encode()[:1])
    capture.write_bytes("é".encode()[1:])
    capture.write_bytes(b"\xff\xc3")
    assert capture.close(100) == f"é{REPLACED}{REPLACED}"


def test_ten_megabytes_take_little_memory() -> None:
    capture = Capture()
    line = "x" * 79 + "\n"
    tracemalloc.start()
    try:
        for _ in range(10_000_000 // len(line)):
            capture.write(line)
        capture.write("y" * 10_000_000)
        size, _peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size < 2 * (HEAD + 3 * TAIL)
    text = capture.text(16 * 1024)
    assert text is not None
    assert text.startswith(line)
    assert text.endswith("y" * 1_000)


def test_many_threads_may_write() -> None:
    capture = Capture()
    lines = [f"{number}\n" for number in range(2_000)]
    threads = [threading.Thread(target=write_all, args=(capture, lines)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    text = capture.text(1_000_000)
    assert text is not None
    assert sorted(text.splitlines(keepends=True)) == sorted(lines * 4)


@pytest.mark.anyio
async def test_lines_of_a_thread_are_shown_on_the_loops_thread_in_order_before_the_close() -> None:
    shown: list[tuple[int, str]] = []
    capture = Capture("acme", lambda tenant, text: shown.append((threading.get_ident(), f"{tenant} {text}")))
    capture.loop = asyncio.get_running_loop()
    await asyncio.to_thread(write_all, capture, ["one\n", "two\n", "rest"])
    capture.close(1_000)
    assert {thread for thread, _ in shown} == {threading.get_ident()}
    assert "".join(text.removeprefix("acme ") for _, text in shown) == "one\ntwo\nrest\n"


@pytest.mark.anyio
async def test_a_thread_that_is_faster_than_the_screen_fills_no_memory() -> None:
    shown: list[str] = []
    capture = Capture("acme", lambda _, text: shown.append(text))
    capture.loop = asyncio.get_running_loop()
    line = "x" * 999 + "\n"
    thread = threading.Thread(target=write_all, args=(capture, [line] * 2_000))
    thread.start()
    thread.join()  # the event loop is blocked meanwhile
    await asyncio.sleep(0)
    (text,) = shown
    assert MAX_WAITING < len(text) < MAX_WAITING + 2_000
    assert text.endswith("characters of output not shown, for they came too fast …\n")
