"""The templates of the settings, which attributes of a tenant fill: `{id}`, `{schema_name}`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from uuid import UUID

from pinstripe.errors import ConfigurationError

if TYPE_CHECKING:
    from pinstripe.tenants import Tenant

PLACEHOLDER = re.compile(r"{([A-Za-z_]\w*)}")
"""An attribute of the tenant in braces."""


def attribute_of(tenant: Tenant, name: str, setting: str) -> str:
    """Give the attribute `name` of `tenant` as text, for a template of the `setting`.

    Raises `ConfigurationError` where there is none, or it is neither a text nor a whole number nor a UUID, or empty.
    """
    try:
        value: object = getattr(tenant, name)
    except AttributeError:
        raise ConfigurationError(
            f"setting {setting}: tenant {tenant.id!r} has no attribute {name!r}; expected one that its source gives"
        ) from None
    if isinstance(value, bool) or not isinstance(value, str | int | UUID):
        raise ConfigurationError(
            f"setting {setting}: expected the attribute {name!r} of tenant {tenant.id!r} to be a text, found "
            f"{'None' if value is None else type(value).__name__}"
        )
    text = str(value)
    if not text or "\0" in text or not _is_unicode(text):
        raise ConfigurationError(
            f"setting {setting}: expected the attribute {name!r} of tenant {tenant.id!r} to be a text, found "
            f"{'an empty one' if not text else 'one with characters that have no place in a name'}"
        )
    return text


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True
