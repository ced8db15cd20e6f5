from __future__ import annotations

import io
import logging
import sys
import threading
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

import pytest

from pinstripe import redirection
from pinstripe.capture import Capture
from pinstripe.executing import CURRENT
from pinstripe.redirection import redirected

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

    from pinstripe.redaction import Mask


@dataclass
class Somebody:
    """Stands for an execution: all that redirection asks of one."""

    capture: Capture | None
    job: str = "job"
    file: str | None = None
    tenant_id: str | None = None
    mask: Mask | None = None

    def facts(self) -> dict[str, object]:
        return {}

    def adopt(self, task: asyncio.Future[Any]) -> None:
        """Take no notice."""


def inside(capture: Capture | None, call: Callable[[], object]) -> None:
    """Call something as if an execution did."""
    context = copy_context()
    context.run(CURRENT.set, Somebody(capture))
    context.run(call)


def say(text: str, file: TextIO | None = None) -> None:
    print(text, file=file)


class Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


@contextmanager
def terminal() -> Iterator[io.TextIOWrapper]:
    """Put a stream of bytes in the place of both standard streams, and take the handlers from the root logger."""
    stream = Terminal(io.BytesIO(), encoding="utf-8", write_through=True)
    root = logging.getLogger()
    former = sys.stdout, sys.stderr, root.handlers[:], root.level
    sys.stdout = sys.stderr = stream
    root.handlers[:] = []
    root.setLevel(logging.WARNING)
    try:
        yield stream
    finally:
        sys.stdout, sys.stderr, root.handlers[:], level = former
        root.setLevel(level)


def shown(stream: io.TextIOWrapper) -> str:
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()


def test_each_execution_prints_to_its_own_capture_and_others_to_the_terminal() -> None:
    with terminal() as stream:
        acme, globex = Capture(), Capture()
        with redirected():
            inside(acme, lambda: say("acme"))
            inside(globex, lambda: say("globex", sys.stderr))
            inside(None, lambda: say("left alone"))
            say("outside")
        assert sys.stdout is stream
        assert (acme.text(100), globex.text(100)) == ("acme\n", "globex\n")
        assert shown(stream) == "left alone\noutside\n"


def test_bytes_written_to_the_buffer_are_captured_or_passed_on() -> None:
    with terminal() as stream:
        capture = Capture()
        with redirected():
            inside(capture, lambda: sys.stdout.buffer.write(b"\xff\n"))
            sys.stdout.write("text ")
            sys.stdout.buffer.write(b"bytes\n")
            sys.stdout.flush()
            sys.stdout.buffer.flush()
        assert capture.text(100) == "\N{REPLACEMENT CHARACTER}\n"
        assert shown(stream) == "text bytes\n"


def test_it_may_overlap_and_the_last_one_restores() -> None:
    with terminal() as stream:
        first, second = redirected(), redirected()
        first.__enter__()
        stand_in = sys.stdout
        second.__enter__()
        assert sys.stdout is stand_in
        first.__exit__(None, None, None)
        assert sys.stdout is stand_in
        second.__exit__(None, None, None)
        assert sys.stdout is stream
        assert not any(type(each).__module__ == "pinstripe.redirection" for each in logging.getLogger().handlers)


def test_a_captured_stream_is_no_terminal_and_can_be_used_as_any_other() -> None:
    with terminal() as stream:
        facts: list[object] = []
        capture = Capture()

        def use() -> None:
            captured = sys.stdout
            facts.extend([captured.isatty(), captured.writable(), captured.encoding, captured.errors, captured.closed])
            captured.writelines(["a", "b"])
            captured.flush()
            captured.close()
            with pytest.raises(TypeError):
                captured.write(b"bytes")  # type: ignore[arg-type]
            captured.write("c")

        with redirected():
            inside(capture, use)
            assert sys.stdout.encoding == stream.encoding
            with pytest.raises(io.UnsupportedOperation):
                sys.stdout.fileno()  # the real one's answer
        assert facts == [False, True, "utf-8", "replace", False]
        assert capture.text(100) == "abc"


def test_a_thread_that_carries_the_context_prints_to_the_capture() -> None:
    with terminal() as stream:
        capture = Capture()

        def start() -> None:
            context = copy_context()
            thread = threading.Thread(target=context.run, args=(say, "from a thread"))
            thread.start()
            thread.join()

        with redirected():
            inside(capture, start)
        assert capture.text(100) == "from a thread\n"
        assert shown(stream) == ""


def test_log_records_of_an_execution_are_captured_once() -> None:
    with terminal() as stream:
        capture = Capture()
        with redirected():
            inside(capture, lambda: logging.getLogger("pinstripe.jobs.one").info("for %s", "acme"))
            inside(capture, lambda: logging.getLogger("library").warning("careful"))
            inside(capture, lambda: logging.getLogger("library").info("not asked for"))
        assert capture.text(1_000) == "INFO pinstripe.jobs.one: for acme\nWARNING library: careful\n"
        assert shown(stream) == ""
        assert logging.getLogger("pinstripe.jobs").level == logging.NOTSET


def test_a_warning_outside_of_executions_is_shown_as_ever() -> None:
    with terminal() as stream:
        with redirected():
            logging.getLogger("library").warning("careful")
        assert shown(stream) == "careful\n"


def test_the_applications_own_handler_writes_to_the_capture_and_nothing_is_doubled() -> None:
    with terminal() as stream:
        handler = logging.StreamHandler(sys.stderr)  # as logging.basicConfig makes it, before anything is redirected
        handler.setFormatter(logging.Formatter("own: %(message)s"))
        logging.getLogger().addHandler(handler)
        capture = Capture()
        with redirected():
            inside(capture, lambda: logging.getLogger("library").warning("inside"))
            logging.getLogger("library").warning("outside")
        assert handler.stream is stream
        assert capture.text(1_000) == "own: inside\n"
        assert shown(stream) == "own: outside\n"


def test_a_bad_log_call_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal():
        monkeypatch.setattr(logging, "raiseExceptions", False)
        capture = Capture()
        with redirected():
            inside(capture, lambda: logging.getLogger("library").warning("%d", "no number"))  # noqa: PLE1206, RUF100
            inside(capture, lambda: say("still there"))
        assert capture.text(1_000) == "still there\n"


def test_what_is_not_captured_is_logged_to_standard_error_from_info_on(capsys: pytest.CaptureFixture[str]) -> None:
    jobs = logging.getLogger("pinstripe.jobs.shown")
    root = logging.getLogger()
    handlers, root.handlers = root.handlers, []
    try:
        with redirection.shown():
            jobs.info("to be seen")
            jobs.debug("too much")
        jobs.info("nobody listens any more")
    finally:
        root.handlers = handlers
    assert capsys.readouterr().err == "INFO pinstripe.jobs.shown: to be seen\n"


def test_an_application_that_logs_by_itself_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    jobs = logging.getLogger("pinstripe.jobs.shown")
    heard: list[str] = []
    own = logging.Handler()
    own.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    root = logging.getLogger()
    handlers, root.handlers = root.handlers, [own]
    try:
        with redirection.shown():
            jobs.warning("once")
    finally:
        root.handlers = handlers
    assert heard == ["once"]
    assert capsys.readouterr().err == ""


def test_who_enters_while_another_thread_leaves_is_redirected() -> None:
    real, leaving, go_on, entered, left = sys.stdout, *(threading.Event() for _ in range(4))

    class Slow(logging.StreamHandler[TextIO]):
        def setStream(self, stream: TextIO) -> None:  # noqa: N802 - logging's name
            if stream is real:
                leaving.set()
                assert go_on.wait(20)
            super().setStream(stream)

    def enter_and_leave() -> None:
        with redirected():
            pass
        left.set()

    def enter() -> None:
        with redirected():
            entered.set()
            assert left.wait(20)
            inside(capture, lambda: say("kept"))

    capture, handler = Capture(), Slow(real)
    logging.getLogger("of the application").addHandler(handler)
    threads = [threading.Thread(target=enter_and_leave), threading.Thread(target=enter)]
    try:
        threads[0].start()
        assert leaving.wait(20)
        threads[1].start()
        entered.wait(0.1)  # it may have to wait for the other one
        go_on.set()
        for thread in threads:
            thread.join()
    finally:
        logging.getLogger("of the application").removeHandler(handler)
    assert capture.text(100) == "kept\n"
    assert sys.stdout is real
