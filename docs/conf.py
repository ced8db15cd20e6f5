"""How Sphinx builds the documentation; `scripts/docs` calls it."""

from __future__ import annotations

from importlib.metadata import version as installed_version

project = "Pinstripe"
author = "Pinstripe contributors"
copyright = author
version = release = installed_version("pinstripe")

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
nitpicky = True

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"Pinstripe {release}"
