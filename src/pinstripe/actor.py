"""Who asks for something to be done, as the audit trail names them."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Door(StrEnum):
    """By which way somebody came in."""

    CLI = "cli"
    CODE = "code"
    API = "api"
    DASHBOARD = "dashboard"


class Actor(NamedTuple):
    """Who acts: by which `door`, and under which `name` (a token's, a login's, or a user of the operating system)."""

    door: Door
    name: str
