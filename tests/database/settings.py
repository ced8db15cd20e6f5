"""Settings of the database service, as a project's file would give them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinstripe.config import load_settings

if TYPE_CHECKING:
    from pathlib import Path

    from pinstripe.config import DatabaseSettings


def database_settings(folder: Path, **values: object) -> DatabaseSettings:
    """Give the settings of a project in `folder` that has these `values` under `[tool.pinstripe.database]`."""
    flags = {f"database.{name}": value for name, value in values.items()}
    settings = load_settings(folder, environment={}, flags=flags).database
    assert settings is not None
    return settings
