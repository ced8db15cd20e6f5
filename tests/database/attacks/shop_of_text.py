"""The shop whose tenant column has values of type `String`."""

from __future__ import annotations

from sqlalchemy import String

from tests.database.attacks.shop import define

shop = define(String())
Base = shop.Base
