"""The version of Pinstripe; the same as in pyproject.toml, which a test sees to."""

from __future__ import annotations

VERSION = "0.1.0"
