"""Charts: drawn on the server as SVG with classes, and each with the same in words."""

from __future__ import annotations
