"""The application that the setting `app` names, as an ASGI application."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pinstripe.errors import ConfigurationError
from pinstripe.importing import import_file
from pinstripe.references import import_reference
from pinstripe.server.interfaces import interface_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
    ASGI = Callable[[Scope, Receive, Send], Awaitable[None]]

THREADS = 20
"""How many requests of a WSGI application go on at once; each has a thread."""


def load_application(target: str) -> ASGI:
    """Import the application that the setting `app` names as `"module:attribute"`; give it as an ASGI application.

    The project's folder must be on `sys.path`, and its `setup` called. Raises `ConfigurationError` where it can't be
    imported, with file and line, or is neither ASGI (version 3) nor WSGI.
    """
    found = import_named(target, "app")
    try:
        interface = interface_of(found)
    except ValueError as error:
        raise ConfigurationError(
            f"setting `app`: expected {target} to be an ASGI or a WSGI application, got {error}"
        ) from None
    application: ASGI = found
    if interface == "wsgi":
        from a2wsgi import WSGIMiddleware

        wrapped: Any = WSGIMiddleware(found, workers=THREADS)
        application = wrapped
    return application


def import_named(target: str, setting: str) -> Any:
    """Import what a `setting` names as `"module:attribute"`.

    Raises `ConfigurationError` with the setting, and with file and line where something is wrong in the module itself.
    """

    def wrong(reason: str, *, path: Path | None = None, line: int | None = None) -> ConfigurationError:
        return ConfigurationError(f"setting `{setting}`: {reason}", path=path, line=line)

    module, _, _ = target.partition(":")
    file = _file_of(module)
    if file is not None:
        import_file(file, module, wrong)
    try:
        return import_reference(target)
    except ConfigurationError as error:
        raise wrong(error.reason) from error


def _file_of(module: str) -> Path | None:
    """Find the file of a module, so that what is wrong in it is told by its line; None where it has none."""
    try:
        spec = find_spec(module)
    except Exception:  # noqa: BLE001 - a package above it can't be imported, which importing it will tell
        return None
    return Path(spec.origin) if spec is not None and spec.has_location and spec.origin else None
