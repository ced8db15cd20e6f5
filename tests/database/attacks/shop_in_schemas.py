"""The shop whose tenants have a schema each."""

from __future__ import annotations

from sqlalchemy import String

from tests.database.attacks.shop import define

shop = define(String(), schema="tenant")
Base = shop.Base
