"""A log record is one line of valid JSON, whatever is in it, and tells where it comes from without a secret."""

from __future__ import annotations

import json
import logging
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe.executing import CURRENT
from pinstripe.json_lines import MAX_MESSAGE, MAX_STACK, MAX_VALUE, JSONFormatter, json_line, mask_line
from pinstripe.redaction import Mask


class Inside:
    """What stands for an execution that goes on."""

    job, file, tenant_id, capture = "greet", None, "acme", None
    mask = Mask(["open-sesame"])

    def adopt(self, task: Any) -> None: ...

    def facts(self) -> dict[str, object]:
        return {"job": "greet", "run": "0199", "tenant": "acme", "attempt": 2}


class Unwritable:
    def __str__(self) -> str:
        raise RuntimeError


def written(message: object, *args: object, error: BaseException | None = None, **extra: object) -> dict[str, Any]:
    info = None if error is None else (type(error), error, error.__traceback__)
    record = logging.LogRecord("shop.orders", logging.WARNING, __file__, 1, message, args, info)
    vars(record).update(extra)
    text = JSONFormatter().format(record)
    assert "\n" not in text
    assert text.isascii()
    read: dict[str, Any] = json.loads(text)
    return read


def test_a_record_is_told_with_its_time_and_process() -> None:
    line = json.loads(json_line("INFO", "pinstripe", "hello", at=1_790_000_000.000_001))
    assert list(line) == ["time", "level", "logger", "message", "host", "pid"]
    assert line["time"] == "2026-09-21T14:13:20.000001Z"
    assert (line["level"], line["logger"], line["message"]) == ("INFO", "pinstripe", "hello")


@given(st.text())
def test_any_text_is_one_valid_line(text: str) -> None:
    line = json_line("INFO", "pinstripe", text, facts={"tenant": text, "job": text})
    assert "\n" not in line
    assert line.isascii()
    assert json.loads(line)["tenant"] == text


def test_what_is_long_is_cut_and_what_no_json_has_is_replaced() -> None:
    line = written("%s", "a" * 10_000_000 + "\0\ud800")
    assert len(line["message"]) <= MAX_MESSAGE
    assert "characters cut" in line["message"]
    assert line["message"].endswith("\N{REPLACEMENT CHARACTER}?")


def test_passwords_of_urls_are_hidden() -> None:
    url = "postgresql://me:s3cret@db/shop"
    line = written("lost %s", url, error=ValueError(f"at {url}"), url=url)
    assert line["message"] == "lost postgresql://me:***@db/shop"
    assert "s3cret" not in json.dumps(line)


def test_an_exception_is_told_in_parts() -> None:
    with pytest.raises(KeyError) as raised:
        raise KeyError("größe")
    exception = written("failed", error=raised.value)["exception"]
    assert (exception["type"], exception["message"]) == ("KeyError", "'größe'")
    assert exception["stack"].startswith("Traceback (most recent call last):\n")
    assert exception["stack"].endswith("KeyError: 'größe'\n")
    deep = written("failed", error=ValueError("x" * 1_000_000))["exception"]
    assert (len(deep["message"]) <= MAX_VALUE, len(deep["stack"]) <= MAX_STACK) == (True, True)


def test_what_somebody_has_written_of_it_with_care_is_taken() -> None:
    line = written("failed", error=ValueError("secret"), exc_text="Traceback: …")
    assert line["exception"]["stack"] == "Traceback: …"
    assert written("failed", exc_text="Traceback: …")["exception"] == {"stack": "Traceback: …"}


def test_extra_values_are_told_as_they_are_or_as_text() -> None:
    given: dict[str, Any] = {
        "n": 5,
        "ratio": 0.5,
        "on": True,
        "none": None,
        "nan": float("nan"),
        "big": 1 << 80,
        "list": [1],
        "bad": Unwritable(),
    }
    assert written("hello", **given)["extra"] == {
        "n": 5,
        "ratio": 0.5,
        "on": True,
        "none": None,
        "nan": "nan",
        "big": str(1 << 80),
        "list": "[1]",
        "bad": "(Unwritable can't be written)",
    }


def test_a_bad_log_call_is_told_all_the_same() -> None:
    assert written("%d orders", "some")["message"] == "%d orders (its arguments don't fit: TypeError)"
    assert "don't fit" in written("%s", Unwritable())["message"]


def test_what_comes_from_an_execution_says_so_and_tells_no_redacted_argument() -> None:
    token = CURRENT.set(Inside())
    try:
        line = written(
            "for %s", "open-sesame", error=ValueError("open-sesame"), word="open-sesame", level="open-sesame"
        )
    finally:
        CURRENT.reset(token)
    assert [line[name] for name in ("job", "run", "tenant", "attempt")] == ["greet", "0199", "acme", 2]
    assert line["message"] == "for ***"
    assert "open-sesame" not in json.dumps(line)


def test_a_mask_hides_values_and_no_names() -> None:
    line = json_line("INFO", "pinstripe", 'a "time" of level', facts={"job": "level"})
    masked = json.loads(mask_line(line, Mask(["level", "time"])))
    assert (masked["message"], masked["job"], masked["level"]) == ('a "***" of ***', "***", "INFO")


def test_those_who_know_more_of_it_say_so() -> None:
    told = {"job": "greet", "trace_id": "1" * 32, "exception": {"type": "ValueError", "message": "no", "stack": None}}
    line = written("greet failed", pinstripe=told)
    assert (line["job"], line["trace_id"], line["exception"]["type"]) == ("greet", "1" * 32, "ValueError")
    assert "extra" not in line


def test_outside_of_a_span_no_ids_are_told() -> None:
    import_module("opentelemetry.trace")  # else there are no spans to be outside of
    assert "trace_id" not in written("hello")
