from datetime import timedelta

from newsletter import moments
from pinstripe import BackgroundJob


class PurgeOldSessions(BackgroundJob):
    """Sign out users who have done nothing for a while."""

    schedule = "*/5 * * * *"
    multi_tenant = True

    async def run(self, minutes_until_expiry: int = 30) -> int:
        expired = moments.now() - timedelta(minutes=minutes_until_expiry)
        return await self.database.sessions.where(last_accessed_at__lt=expired).delete()
