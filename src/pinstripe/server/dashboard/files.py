"""The static files of the dashboard: those that are here, by name, and nothing else."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from pinstripe.version import VERSION

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from pinstripe.server.context import WebContext

TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
"""What is served, by how its name ends."""

_FOLDER = Path(__file__).parent / "static"
_FOR_EVER = "public, max-age=31536000, immutable"


class _File(NamedTuple):
    content: bytes
    type: str
    tag: str


def routes(context: WebContext) -> list[BaseRoute]:  # noqa: ARG001 - as of the pages
    """Read the files, and give the route that serves them."""
    files = {path.name: _read(path) for path in sorted(_FOLDER.iterdir()) if path.suffix in TYPES}

    async def static(request: Request) -> Response:
        file = files.get(request.path_params["name"])
        if file is None:
            raise HTTPException(404)
        # What is asked for by its version never changes; what isn't may have changed each time.
        caching = _FOR_EVER if request.query_params.get("v") == VERSION else "no-cache"
        headers = {"ETag": file.tag, "Cache-Control": caching, "X-Content-Type-Options": "nosniff"}
        known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
        if file.tag in known:
            return Response(status_code=304, headers=headers)
        return Response(file.content, headers={**headers, "Content-Type": file.type})

    return [Route("/static/{name}", static, methods=["GET", "HEAD"])]


def _read(path: Path) -> _File:
    content = path.read_bytes()
    return _File(content, TYPES[path.suffix], f'"{sha256(content).hexdigest()[:20]}"')
