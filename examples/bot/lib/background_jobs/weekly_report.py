from typing import Literal

from pinstripe import BackgroundJob, Schedule


class WeeklyReport(BackgroundJob):
    """Report how the bot does: in short to the team, in full to the board."""

    schedule = (
        Schedule("0 8 * * MON", name="team", args=("team",)),
        Schedule("30 8 * * MON", name="board", args=("board",), kwargs={"full": True}),
    )

    async def run(self, reader: Literal["team", "board"], *, full: bool = False) -> str:
        tenants = self.database.tenants
        report = f"To the {reader}: {await tenants.where(active=True).count()} tenants are active"
        if full:
            report += f" of {await tenants.count()}; {await self.database.heartbeats.count()} heartbeats are kept"
        print(report)
        return report
