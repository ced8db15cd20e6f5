"""What a setting names as "module:attribute", imported."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from pinstripe.errors import ConfigurationError


def import_reference(name: str) -> Any:
    """Import what `name` says as "module:attribute"; the project's folder must be on `sys.path`.

    Raises `ConfigurationError` with the reason, where the attribute isn't there with the nearest names.
    """
    module_name, _, path = name.partition(":")
    if not module_name or not path:
        message = 'expected "module:attribute", as "newsletter.tenancy:tenants"'
        raise ConfigurationError(message)
    try:
        found: Any = import_module(module_name)
    except (Exception, SystemExit) as error:
        message = f"{module_name} can't be imported: {type(error).__name__}: {error}"
        raise ConfigurationError(message) from error
    for attribute in path.split("."):
        if not hasattr(found, attribute):
            from pinstripe.names import nearest

            near = nearest(attribute, (known for known in dir(found) if not known.startswith("_")))
            hint = f"; the nearest is {' or '.join(near)}" if near else ""
            message = f"{module_name} has no attribute {attribute!r}{hint}"
            raise ConfigurationError(message)
        found = getattr(found, attribute)
    return found
