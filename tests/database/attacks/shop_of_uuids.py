"""The shop whose tenant column has values of type `Uuid`."""

from __future__ import annotations

from sqlalchemy import Uuid

from tests.database.attacks.shop import define

shop = define(Uuid())
Base = shop.Base
