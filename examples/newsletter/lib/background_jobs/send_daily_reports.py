from newsletter import moments
from newsletter.mail import Mailer
from newsletter.report import Report
from pinstripe import BackgroundJob, Schedule


class SendDailyReports(BackgroundJob):
    """Tell each tenant's owner about the last 24 hours."""

    schedule = Schedule("0 7 * * *", name="morning", time_zone="tenant", spread="30m")
    multi_tenant = True
    mailer: Mailer

    async def run(self) -> None:
        report = await Report.read(self.database, moments.now())
        message = report.message(self.tenant.name, self.tenant.owner_email)
        await self.mailer.send("reports@newsletter.example", self.tenant.owner_email, message)
