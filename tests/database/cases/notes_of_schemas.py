"""The models of an application in which each tenant has a schema of its own."""

from __future__ import annotations

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "notes"
    __table_args__ = {"schema": "tenant"}  # noqa: RUF012 - as SQLAlchemy's documentation writes it

    id: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[str]
