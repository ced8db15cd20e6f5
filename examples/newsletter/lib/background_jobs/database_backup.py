from newsletter.backup import back_up
from newsletter.places import backups_folder
from newsletter.store import Store
from pinstripe import BackgroundJob, Schedule


class DatabaseBackup(BackgroundJob):
    """Back up what the tenant has, into a file of its own that is verified before it replaces the last one."""

    schedule = Schedule("30 2 * * *", name="nightly", time_zone="tenant", spread="1h")
    multi_tenant = True
    store: Store

    def run(self) -> dict[str, object]:  # a plain def runs in a thread: copying files waits for the disk
        backup = back_up(self.store.path, self.tenant.id, backups_folder())
        self.logger.info("%d rows in %s", backup.rows, backup.path)
        return {"file": str(backup.path), "rows": backup.rows}
