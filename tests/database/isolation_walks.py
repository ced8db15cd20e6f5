"""A random program on its way through the database service, with a model of what it must find and leave behind."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import selectinload

from pinstripe.errors import DatabaseUnavailable, IsolationError, PinstripeError
from tests.database.cases.models import Post, User
from tests.database.isolation_programs import TENANTS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from pinstripe.database.service import Database
    from pinstripe.database.session import DatabaseSession
    from tests.database.cases.applications import Application, Place
    from tests.database.isolation_programs import Program

Model = dict[str, int]
"""What a tenant has: the value of each name."""


class Swallowed(Exception):
    """Raised by a program to undo its transaction."""


_RAISED = {"raise": Swallowed, "cancel": asyncio.CancelledError}


@dataclass
class World:
    """The application, what each tenant has, and how much has been done."""

    application: Application
    models: dict[str, Model] = field(default_factory=lambda: {tenant: {} for tenant in TENANTS})
    locks: dict[str, asyncio.Lock] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=count)
    done: Counter[str] = field(default_factory=Counter)
    ids: set[int] = field(default_factory=set)

    @property
    def place(self) -> Place:
        return self.application.place

    def truth(self, tenant: str) -> Model:
        """Read what a tenant has, past the service, once nobody is writing."""
        wait = "begin immediate;" if self.place.kind == "sqlite" else "lock table users in share row exclusive mode;"
        rows = self.place.execute(f"{wait} select name, value from users where tenant_id = '{tenant}'")
        return dict(rows)

    async def run(self, programs: list[Program]) -> None:
        """Run these together; afterwards everything must be as the model says."""
        self.locks = {tenant: asyncio.Lock() for tenant in TENANTS}
        async with asyncio.TaskGroup() as group:
            for each in programs:
                group.create_task(self._run(each))
        assert await self.application.is_calm()
        for tenant, model in self.models.items():
            assert self.truth(tenant) == model, tenant

    async def _run(self, program: Program) -> None:
        async with self.locks[program.tenant]:
            walk = Walk(self, program.tenant, self.models[program.tenant])
            task = asyncio.ensure_future(walk.perform(program.steps))
            if program.cancelled_after is not None:
                for _ in range(program.cancelled_after):
                    await asyncio.sleep(0)
                task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                if not task.done():
                    raise
            # In doubt is only what was cancelled as it was written: it is there whole, or not at all.
            found = await asyncio.to_thread(self.truth, program.tenant)
            assert found in (walk.model, *walk.doubts), (program.tenant, found, walk.model, walk.doubts)
            self.models[program.tenant] = found


class Walk:
    """One program on its way. `model` is what is committed, `now` what the workspace itself sees."""

    def __init__(self, world: World, tenant: str, model: Model) -> None:
        self.world = world
        self.tenant = tenant
        self.model = model
        self.now = dict(model)
        self.depth = 0
        self.in_session = False
        self.doubts: list[Model] = []
        self.left: list[Any] = []
        self.database: Database

    async def perform(self, steps: list[Any]) -> None:
        async with self.world.application.workspace(self.tenant) as database:
            self.database = database
            await self.walk(database, steps)

    async def walk(self, database: Database, steps: list[Any]) -> None:
        for step in steps:
            if isinstance(step, str):
                self.world.done[step] += 1
                await self.step(database, step)
            else:
                self.world.done[f"transaction: {step[0]}"] += 1
                await self.transaction(database, *step)

    async def transaction(self, database: Database, ending: str, steps: list[Any]) -> None:
        before = dict(self.now)
        self.depth += 1
        try:
            async with database.transaction():
                await self.walk(database, steps)
                if ending in _RAISED:
                    raise _RAISED[ending]
                if ending == "swallow":
                    with suppress(IntegrityError):
                        await database.users.insert(name=await self.any_name(database))
                elif ending == "commit" and self.depth == 1 and not self.in_session:
                    self.doubts = [dict(self.now)]
        except Swallowed:
            self.now = before
        except (PinstripeError, OperationalError) as error:
            if ending != "swallow" or "has failed" not in str(error):
                self.busy(error)
            self.now = before
            self.doubts = []
        else:
            assert ending != "swallow", "a transaction in which a statement has failed was committed"
        finally:
            self.depth -= 1
        if self.depth == 0 and not self.in_session:
            self.kept()

    def kept(self) -> None:
        self.model = dict(self.now)
        self.doubts = []

    def busy(self, error: Exception) -> None:
        """Only SQLite may refuse: where a session that has read wants to write after another has written."""
        assert self.world.place.kind == "sqlite", error
        assert "locked" in str(error), error

    async def any_name(self, database: Database) -> str:
        if not self.now:
            await self.write(database, "insert")
        return min(self.now)

    def new_name(self) -> str:
        return f"{self.tenant}-{next(self.world.numbers)}"

    def check(self, rows: list[Any]) -> None:
        assert {row.tenant_id for row in rows} <= {self.tenant}
        assert {row.name: row.value for row in rows} == self.now, (self.tenant, self.depth, self.in_session)
        self.world.ids.update(row.id for row in rows)

    async def step(self, database: Database, step: str) -> None:
        if step == "pause":
            await asyncio.sleep(0)
        elif step == "collect":
            gc.collect()
        elif step in ("commit", "roll back"):
            await self.end_session(database, step)
        elif step.startswith(("read", "count", "stream", "page", "find", "get")):
            await self.read(database, step)
        elif step in ("update foreign", "delete foreign", "forge"):
            await self.trespass(database, step)
        else:
            await self.write(database, step)

    async def end_session(self, database: Database, step: str) -> None:
        if not self.in_session or self.depth:
            return
        if step == "commit":
            self.doubts = [dict(self.now)]
            try:
                await database.session.commit()
            except (DatabaseUnavailable, OperationalError) as error:
                self.busy(error)
                await database.session.rollback()
                self.now = dict(self.model)
        else:
            await database.session.rollback()
            self.now = dict(self.model)
        self.in_session = False
        self.kept()

    async def read(self, database: Database, step: str) -> None:
        users = database.users
        if step == "read":
            self.check(await users.all())
        elif step == "count":
            assert await users.count() == len(self.now)
            assert await users.exists() == bool(self.now)
        elif step == "find foreign":
            others = [name for tenant, model in self.world.models.items() if tenant != self.tenant for name in model]
            assert await users.where(name=others).all() == []
            assert await users.where(name=others).count() == 0
        elif step == "stream":
            self.check([user async for user in users])
        elif step == "stream and break":
            async for user in users:
                assert user.tenant_id == self.tenant
                break
        elif step == "page and leave":
            pages: AsyncGenerator[list[Any], None] = users.pages(1)
            async for page in pages:
                assert page[0].tenant_id == self.tenant
                break
            self.left.append(pages)
        else:
            await self.read_by_session(database, step)

    async def read_by_session(self, database: Database, step: str) -> None:
        try:
            await self.ask_session(database.session, step)
        finally:
            # Its first statement begins a transaction that lasts; a row that it knows already needs none.
            if not self.depth:
                self.in_session = database.session.in_transaction()

    async def ask_session(self, session: DatabaseSession, step: str) -> None:
        if step == "get foreign":
            for each in sorted(self.world.ids)[-8:] or [1]:
                found = await session.get(User, each)
                assert found is None or found.tenant_id == self.tenant
            return
        statement = select(User)
        if step == "read with posts":
            statement = statement.options(selectinload(User.posts))
            titles = (await session.scalars(select(Post.title))).all()
            assert all(title.startswith(f"{self.tenant}-") for title in titles)
            assert await session.scalar(select(func.count()).select_from(Post)) == len(titles)
        rows = (await session.scalars(statement.execution_options(populate_existing=True))).all()
        self.check([*rows])

    async def trespass(self, database: Database, step: str) -> None:
        """Try what must change nothing, or is refused."""
        if step == "forge":
            other = next(tenant for tenant in TENANTS if tenant != self.tenant)
            with pytest.raises(IsolationError):
                await database.users.insert(tenant_id=other, name=f"{other}-forged")
            with pytest.raises(IsolationError):
                await database.users.update(tenant_id=other)
            return
        others = [name for tenant, model in self.world.models.items() if tenant != self.tenant for name in model]
        rows = database.users.where(name=others)
        await self.writing(rows.update(value=-1) if step == "update foreign" else rows.delete(), self.now, expected=0)

    async def write(self, database: Database, step: str) -> None:
        now = dict(self.now)
        users = database.users
        if step in ("insert", "insert by session"):
            name = self.new_name()
            now[name] = 0
            if step == "insert" or self.depth == 0:
                await self.writing(self.insert(database, name), now)
            else:
                await self.writing(self.add(database, name), now)
        elif step == "insert many":
            names = [self.new_name() for _ in range(3)]
            now |= dict.fromkeys(names, 1)
            await self.writing(users.insert_many([{"name": name, "value": 1} for name in names]), now, expected=3)
        elif step in ("update", "change a row", "duplicate", "delete") and not now:
            return
        elif step == "duplicate":
            await self.duplicate(database, min(now))
        elif step == "update":
            now[min(now)] += 1
            await self.writing(users.where(name=min(now)).update(value=now[min(now)]), now, expected=1)
        elif step == "change a row":
            now[min(now)] += 1
            await self.writing(self.change(database, min(now), now[min(now)]), now)
        elif step in ("update all", "update by statement"):
            now = {name: value + 1 for name, value in now.items()}
            made = users.update(value=User.value + 1) if step == "update all" else self.update_all(database)
            await self.writing(made, now)
        elif step == "delete":
            del now[min(now)]
            name = next(iter(self.now.keys() - now.keys()))
            await self.writing(self.delete(database, name), now)

    async def insert(self, database: Database, name: str) -> None:
        row = await database.users.insert(name=name)
        assert (row.tenant_id, row.name) == (self.tenant, name)

    async def add(self, database: Database, name: str) -> None:
        database.session.add(User(name=name, value=0, posts=[Post(title=f"{name}-post")]))
        await database.session.flush()

    async def change(self, database: Database, name: str, value: int) -> None:
        """Change a row that was read; the next operation, or the end, writes it."""
        async with database.transaction():
            row = await database[User].where(name=name).first()
            assert row is not None
            row.value = value

    async def update_all(self, database: Database) -> None:
        async with database.transaction():
            await database.session.execute(update(User).values(value=User.value + 1))

    async def delete(self, database: Database, name: str) -> None:
        async with database.transaction():
            assert await database.posts.where(user__name=name).delete() <= 1
            assert await database.users.where(name=name).delete() == 1

    async def duplicate(self, database: Database, name: str) -> None:
        try:
            async with database.transaction():
                await database.users.insert(name=name)
        except IntegrityError:
            return
        except (DatabaseUnavailable, OperationalError) as error:
            self.busy(error)
            return
        raise AssertionError(name)

    async def writing(self, work: Any, now: Model, expected: int | None = None) -> None:
        """Await what makes `now` of what there is."""
        alone = self.depth == 0 and not self.in_session
        if alone:
            self.doubts = [dict(now)]
        try:
            result = await work
        except (DatabaseUnavailable, OperationalError) as error:
            self.busy(error)
            if self.depth:
                raise
            await self.give_up()
            return
        assert expected is None or result == expected, (result, expected)
        self.now = dict(now)
        if alone:
            self.kept()

    async def give_up(self) -> None:
        """Undo what the session has begun, after a statement in it has failed."""
        if self.in_session:
            await self.database.session.rollback()
            self.in_session = False
        self.now = dict(self.model)
        self.doubts = []
