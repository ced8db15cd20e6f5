"""The log, for what goes on by itself: what a handler of the application's raises must be the end of nothing."""

from __future__ import annotations

import logging
from contextlib import suppress


class Log:
    """Tells the application's log, and raises nothing."""

    __slots__ = ("_logger",)

    def __init__(self, name: str = "pinstripe") -> None:
        """Take the `name` of the logger."""
        self._logger = logging.getLogger(name)

    def info(self, text: str, *values: object) -> None:
        """Tell what may be of interest."""
        with suppress(Exception):
            self._logger.info(text, *values, stacklevel=2)

    def warning(self, text: str, *values: object) -> None:
        """Tell what somebody should look at."""
        with suppress(Exception):
            self._logger.warning(text, *values, stacklevel=2)

    def exception(self, text: str, *values: object) -> None:
        """Tell what has failed, with the exception that is being handled."""
        with suppress(Exception):
            self._logger.error(text, *values, exc_info=True, stacklevel=2)  # noqa: LOG014 - its caller handles one
