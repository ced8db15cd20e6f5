"""The tables of a shop with two tenants, in each of the ways in which models may say whose a row is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from sqlalchemy import Column, ForeignKey, ForeignKeyConstraint, Integer, MetaData, String, Table, func, select
from sqlalchemy.ext.associationproxy import association_proxy
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import DeclarativeBase, column_property, deferred, query_expression, relationship, synonym


def define(tenant_type: Any, schema: str | None = None, *, joined: bool = True) -> Any:
    """Give the classes and tables, with a tenant column of that type, in the schema of tenants if they have one.

    Without `joined` there is no class over several tables, since no policy of PostgreSQL can be put on the second one.
    """
    of = f"{schema}." if schema else ""

    class Base(DeclarativeBase):
        __allow_unmapped__ = True
        metadata = MetaData()

    class OfTenant(Base):
        __abstract__ = True
        __table_args__: Any = {"schema": schema}  # noqa: RUF012

    def tenant() -> Any:
        # It may be empty, against all advice, so that a row without a tenant would be seen.
        return Column("tenant_id", tenant_type)

    def key() -> Any:
        return Column("id", Integer, primary_key=True)

    class Post(OfTenant):
        __tablename__ = "posts"
        id = key()
        tenant_id = tenant()
        title = Column(String)
        user_id: Any = Column(ForeignKey(f"{of}users.id"))
        user = relationship("User", back_populates="posts")

    class Profile(OfTenant):
        __tablename__ = "profiles"
        id = key()
        tenant_id = tenant()
        bio = Column(String)
        user_id: Any = Column(ForeignKey(f"{of}users.id"))
        user = relationship("User", back_populates="profile")

    # Between users and tags, with the tenant in both keys: what the database can then keep apart too.
    user_tags = Table(
        "user_tags",
        Base.metadata,
        Column("tenant_id", tenant_type),
        Column("user_id", Integer),
        Column("tag_id", Integer),
        ForeignKeyConstraint(["tenant_id", "user_id"], [f"{of}users.tenant_id", f"{of}users.id"]),
        ForeignKeyConstraint(["tenant_id", "tag_id"], [f"{of}tags.tenant_id", f"{of}tags.id"]),
        schema=schema,
    )

    class Tag(OfTenant):
        __tablename__ = "tags"
        id = key()
        tenant_id = tenant()
        label = Column(String)

    class User(OfTenant):
        __tablename__ = "users"
        id = key()
        tenant_id = tenant()
        name = Column(String)
        note = deferred(Column(String))
        owner_id = synonym("tenant_id")
        posts = relationship(Post, back_populates="user", order_by=Post.id)
        eager_posts = relationship(Post, viewonly=True, lazy="joined", order_by=Post.id)
        some_posts = relationship(Post, viewonly=True, lazy="dynamic", order_by=Post.id)
        written_posts = relationship(Post, overlaps="posts,user", lazy="write_only", order_by=Post.id)
        profile = relationship(Profile, back_populates="user", uselist=False)
        tags = relationship(Tag, secondary=user_tags, order_by=Tag.id)
        labels = association_proxy("tags", "label")
        extra: Any = query_expression()

        @hybrid_property
        def loud(self) -> Any:
            return func.upper(self.name)

        @hybrid_property
        def whose(self) -> Any:
            return self.tenant_id

        @whose.update_expression
        def _whose(cls: Any, value: Any) -> Any:  # noqa: N805 - as SQLAlchemy calls it
            return [(cls.tenant_id, value)]

    User.post_count = column_property(
        select(func.count(Post.id)).where(Post.user_id == User.id).correlate_except(Post).scalar_subquery(),
        deferred=True,
    )

    class Comment(OfTenant):
        __tablename__ = "comments"
        id = key()
        tenant_id = tenant()
        body = Column(String)
        parent_id: Any = Column(ForeignKey(f"{of}comments.id"))
        replies = relationship("Comment", back_populates="parent")
        parent = relationship("Comment", back_populates="replies", remote_side=id)  # noqa: A003

    class Person(OfTenant):
        __tablename__ = "people"
        id = key()
        tenant_id = tenant()
        kind = Column(String)
        name = Column(String)
        __mapper_args__: Any = {"polymorphic_on": kind, "polymorphic_identity": "person"}  # noqa: RUF012

    if joined:

        class Manager(Person):
            __tablename__ = "managers"
            id = Column(ForeignKey(f"{of}people.id"), primary_key=True)
            bonus = Column(String)
            __mapper_args__: Any = {"polymorphic_identity": "manager"}  # noqa: RUF012

    class Animal(OfTenant):
        __tablename__ = "animals"
        id = key()
        tenant_id = tenant()
        kind = Column(String)
        name = Column(String)
        __mapper_args__: Any = {"polymorphic_on": kind, "polymorphic_identity": "animal"}  # noqa: RUF012

    class Dog(Animal):
        __mapper_args__: Any = {"polymorphic_identity": "dog"}  # noqa: RUF012

    class Account(OfTenant):
        __tablename__ = "accounts"
        id = key()
        owner = tenant()
        balance = Column(String)

    class UserView(OfTenant):
        """A view on the users."""

        __tablename__ = "user_view"
        __table_args__: Any = {"schema": schema, "info": {"view of": "users"}}  # noqa: RUF012
        id = key()
        tenant_id = tenant()
        name = Column(String)

    class Order(OfTenant):
        __tablename__ = "orders"
        tenant_id = Column(tenant_type, primary_key=True)
        id = Column(Integer, primary_key=True, autoincrement=False)
        item = Column(String)
        lines = relationship("Line", back_populates="order")

    class Line(OfTenant):
        __tablename__ = "order_lines"
        tenant_id = Column(tenant_type, primary_key=True)
        id = Column(Integer, primary_key=True, autoincrement=False)
        order_id = Column(Integer)
        text = Column(String)
        order = relationship(Order, back_populates="lines")
        __table_args__: Any = (
            ForeignKeyConstraint(["tenant_id", "order_id"], [f"{of}orders.tenant_id", f"{of}orders.id"]),
            {"schema": schema},
        )

    notes = Table("notes", Base.metadata, key(), tenant(), Column("body", String), schema=schema)

    class Plan(Base):
        """What all tenants share."""

        __tablename__ = "plans"
        id = key()
        name = Column(String)

    class Log(Base):
        """What says neither whose it is nor that it is shared."""

        __tablename__ = "logs"
        id = key()
        line = Column(String)

    names = {name: value for name, value in locals().items() if isinstance(value, type | Table)}
    return SimpleNamespace(**names)
