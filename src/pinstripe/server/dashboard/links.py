"""The addresses of the dashboard's pages, and of what they are made up with."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from pinstripe.version import VERSION

PREFIX = "/_pinstripe"
"""The path that all pages are below."""


def url(path: str = "/", **query: object) -> str:
    """Give the address of a page: `path` below the prefix, with what of the `query` isn't None.

    Any text may stand in both; it is written in ASCII.
    """
    parts = {name: str(value) for name, value in query.items() if value is not None}
    asked = f"?{urlencode(parts, errors='surrogatepass')}" if parts else ""
    return f"{PREFIX}{quote(path, safe='/', errors='surrogatepass')}{asked}"


def static(name: str) -> str:
    """Give the address of a static file, another one for each version: what has it may be kept for ever."""
    return f"{PREFIX}/static/{name}?v={VERSION}"
