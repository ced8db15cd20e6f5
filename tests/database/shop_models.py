"""The models of a shop with tenants, as an author would declare them; with what makes tables awkward."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - SQLAlchemy reads the annotations

from sqlalchemy import Column, DateTime, ForeignKey, Integer, String, Table, func
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    """What all models share."""


class User(Base):
    """A tenant's customer."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[str] = mapped_column(index=True)
    name: Mapped[str]
    plan: Mapped[str | None]
    age: Mapped[int | None]
    level: Mapped[int] = mapped_column(server_default="7")
    joined_at: Mapped[datetime] = mapped_column(DateTime, server_default=func.current_timestamp())
    posts: Mapped[list[Post]] = relationship(back_populates="user", order_by="Post.id")


class Post(Base):
    """What a customer wrote."""

    __tablename__ = "posts"

    id: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[str]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    title: Mapped[str]
    likes: Mapped[int] = mapped_column(default=3)
    user: Mapped[User] = relationship(back_populates="posts")


class Line(Base):
    """A line of an order: its key is of two columns."""

    __tablename__ = "lines"

    order: Mapped[int] = mapped_column("order_no", primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column("line_no", primary_key=True, autoincrement=False)
    tenant: Mapped[str] = mapped_column("tenant_id")
    text: Mapped[str | None]


class Item(Base):
    """What is sold."""

    __tablename__ = "items"

    id: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[str]
    kind: Mapped[str]
    title: Mapped[str]

    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "item"}  # noqa: RUF012 - SQLAlchemy's name


class Book(Item):
    """An item with pages of its own, in a second table."""

    __tablename__ = "books"

    id: Mapped[int] = mapped_column(ForeignKey("items.id"), primary_key=True)
    pages: Mapped[int]

    __mapper_args__ = {"polymorphic_identity": "book"}  # noqa: RUF012 - as above


class Plan(Base):
    """What all tenants share."""

    __tablename__ = "plans"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Log(Base):
    """A table that says neither whose its rows are nor that they are shared."""

    __tablename__ = "logs"

    id: Mapped[int] = mapped_column(primary_key=True)
    line: Mapped[str]


class Session(Base):
    """Tables may be called what a database has for itself."""

    __tablename__ = "session"

    id: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[str]


class Transaction(Base):
    """As `Session`."""

    __tablename__ = "transaction"

    id: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[str]


class Named(Base):
    """As `Session`."""

    __tablename__ = "tenant"

    id: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[str]


class Odd(Base):
    """A table whose name is no name in Python."""

    __tablename__ = 'odd "names" %s: ünd'

    id: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[str]
    value: Mapped[str | None] = mapped_column("a value: %(x)s")


visits = Table(
    "visits",
    Base.metadata,
    Column("tenant_id", String, nullable=False),
    Column("path", String),
    Column("seconds", Integer),
)
"""A table without a class, and without a primary key."""
