"""The shop whose tables are all kept by row-level security."""

from __future__ import annotations

from sqlalchemy import String

from tests.database.attacks.shop import define

shop = define(String(), joined=False)
Base = shop.Base
