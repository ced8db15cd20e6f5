"""Jobs that tests of runs share."""

from __future__ import annotations

import asyncio
from typing import Any

from pinstripe.background_job import BackgroundJob


class Sums(BackgroundJob):
    def run(self, *numbers: int) -> int:
        return sum(numbers)


class Fails(BackgroundJob):
    async def run(self) -> None:
        raise LookupError("nothing there")


class FailsForSome(BackgroundJob):
    multi_tenant = True

    async def run(self, *bad: str) -> str:
        if self.tenant.id in bad:
            raise ValueError(f"bad {self.tenant.id}")
        return self.tenant.id


class Waits(BackgroundJob):
    """Says that it has begun, and waits for ever."""

    multi_tenant = True

    async def run(self) -> None:
        self.progress(0)
        await asyncio.Event().wait()


class Picky(BackgroundJob):
    """Fails for whom it is told to, as long as it is told to."""

    multi_tenant = True
    bad: frozenset[str] = frozenset()

    async def run(self, *words: str, **named: int) -> list[Any]:
        if self.tenant.id in type(self).bad:
            raise ValueError(f"bad {self.tenant.id}")
        return [self.attempt.number, self.attempt.key, self.attempt.fence, *words, named]


class Stuck(Picky):
    """Waits for ever for whom it is told to."""

    async def run(self, *words: str, **named: int) -> list[Any]:
        if self.tenant.id in type(self).bad:
            self.progress(0)
            await asyncio.Event().wait()
        return await super().run(*words, **named)


class Alone(BackgroundJob):
    """Fails until it is told that all is well."""

    ok = False

    async def run(self) -> str:
        if not type(self).ok:
            raise ValueError("not yet")
        return self.attempt.key
