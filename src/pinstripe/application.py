"""The application's own code, as far as it is called before any job or service of it is imported."""

from __future__ import annotations

import threading
from contextlib import suppress
from importlib import import_module
from inspect import iscoroutine
from typing import TYPE_CHECKING
from weakref import WeakSet

from pinstripe.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

_CALLED: WeakSet[Callable[[], object]] = WeakSet()
"""What was called in this process: a server and its application may each have a project open."""

_CALLING = threading.RLock()


def set_up(target: str) -> None:
    """Call the function that the setting `setup` names, as `"module:function"`, once in a process.

    One that has failed is called again the next time. Raises `ConfigurationError`.
    """
    module, _, name = target.partition(":")
    try:
        function = getattr(import_module(module), name)
    except (Exception, SystemExit) as error:
        reason = f"{type(error).__name__}: {error}"
        message = f'setting `setup`: expected "module:function" that can be imported, got {target!r} ({reason})'
        raise ConfigurationError(message) from error
    with _CALLING:
        with suppress(TypeError):  # what can't be in a set is called by each project
            if function in _CALLED:
                return
        _call(target, function)
        with suppress(TypeError):
            _CALLED.add(function)


def _call(target: str, function: Callable[[], object]) -> None:
    try:
        answer = function()
    except (Exception, SystemExit) as error:
        message = f"setting `setup`: {target} raised {type(error).__name__}: {error}"
        raise ConfigurationError(message) from error
    if iscoroutine(answer):
        answer.close()
        message = f"setting `setup`: expected a plain function, got the async {target}; run async set-up inside it"
        raise ConfigurationError(message)
