from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pinstripe.log import Log

if TYPE_CHECKING:
    import pytest


def test_it_tells_what_and_from_where(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    log = Log("pinstripe.here")
    log.info("%d of %s", 1, "one")
    log.warning("two")
    try:
        raise KeyError("why")  # noqa: TRY301 - it is what is told of
    except KeyError:
        log.exception("three")
    told = [(record.name, record.levelname, record.getMessage(), record.funcName) for record in caplog.records]
    assert told == [
        ("pinstripe.here", level, text, "test_it_tells_what_and_from_where")
        for level, text in [("INFO", "1 of one"), ("WARNING", "two"), ("ERROR", "three")]
    ]
    assert "KeyError: 'why'" in caplog.text


def test_it_raises_nothing() -> None:
    class Raises(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(record.levelname)
            raise OSError

    told: list[str] = []
    logger, handler = logging.getLogger("pinstripe.raising"), Raises()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        for tell in (Log(logger.name).info, Log(logger.name).warning, Log(logger.name).exception):
            tell("something")
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    assert told == ["INFO", "WARNING", "ERROR"]
