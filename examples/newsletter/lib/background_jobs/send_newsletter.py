from newsletter.mail import Mailer
from pinstripe import BackgroundJob, TenantSource


class SendNewsletter(BackgroundJob):
    """Send the hourly newsletter to every subscriber."""

    schedule = "0 * * * *"
    multi_tenant = True
    mailer: Mailer  # lib/services/mailer.py

    @staticmethod
    def tenants_filter(tenants: TenantSource) -> TenantSource:
        return tenants.where(active=True)

    async def run(self, segment: str = "all") -> int:
        users = await self.database.users.where(subscribed=True).all()
        for user in users:
            await user.send_newsletter(self.mailer, segment)
        return len(users)
