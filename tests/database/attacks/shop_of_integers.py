"""The shop whose tenant column has values of type `Integer`."""

from __future__ import annotations

from sqlalchemy import Integer

from tests.database.attacks.shop import define

shop = define(Integer())
Base = shop.Base
