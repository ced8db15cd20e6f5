"""The application's own code, as far as it is called before any job or service of it is imported."""

from __future__ import annotations

from importlib import import_module
from inspect import iscoroutine

from pinstripe.errors import ConfigurationError


def set_up(target: str) -> None:
    """Call the function that the setting `setup` names, as `"module:function"`; raises `ConfigurationError`."""
    module, _, name = target.partition(":")
    try:
        function = getattr(import_module(module), name)
    except (Exception, SystemExit) as error:
        reason = f"{type(error).__name__}: {error}"
        message = f'setting `setup`: expected "module:function" that can be imported, got {target!r} ({reason})'
        raise ConfigurationError(message) from error
    try:
        answer = function()
    except (Exception, SystemExit) as error:
        message = f"setting `setup`: {target} raised {type(error).__name__}: {error}"
        raise ConfigurationError(message) from error
    if iscoroutine(answer):
        answer.close()
        message = f"setting `setup`: expected a plain function, got the async {target}; run async set-up inside it"
        raise ConfigurationError(message)
