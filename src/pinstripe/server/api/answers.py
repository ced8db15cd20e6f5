"""What is answered: JSON, with the same keys as the command line has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Mapping


class Json(JSONResponse):
    """An answer that is kept nowhere on its way, since what it tells may be otherwise a moment later."""

    def __init__(self, content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """Take the `content`, as JSON values."""
        super().__init__(content, status, {"Cache-Control": "no-store", **(headers or {})})

    def render(self, content: Any) -> bytes:
        """Write JSON in UTF-8; half of a character, as names of files may have, is written by its number."""
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode("utf-8", "backslashreplace")
