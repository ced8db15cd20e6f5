"""Jobs that tests of runs share."""

from __future__ import annotations

import asyncio

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
