from datetime import UTC, datetime, timedelta

from pinstripe import BackgroundJob, Schedule

KEPT = timedelta(minutes=10)
"""For how long a heartbeat is kept."""


class Heartbeat(BackgroundJob):
    """Write down, each second, that the bot is alive."""

    schedule = Schedule("* * * * * *", catch_up="none")

    async def run(self) -> None:
        now = datetime.now(UTC)
        await self.database.heartbeats.insert(at=now.isoformat())
        await self.database.heartbeats.where(at__lt=(now - KEPT).isoformat()).delete()
