from typing import Any

from pinstripe import BackgroundJob, Schedule


class SendReminders(BackgroundJob):
    """Remind each tenant of what is open, on its own morning."""

    schedule = Schedule("0 9 * * *", time_zone="tenant", spread="30m")
    multi_tenant = True

    @staticmethod
    def tenants_filter(tenants: Any) -> Any:
        return tenants.where(active=True)

    async def run(self) -> int:
        reminders = self.database.reminders
        for reminder in await reminders.where(sent=False).order_by("id").all():
            print(f"to {self.tenant.email}: {reminder.text}")
            await reminders.where(id=reminder.id).update(sent=True)
        return await reminders.where(sent=True).count()
