from collections.abc import Generator
from contextlib import closing

from newsletter.backup import Page, back_up, read_pages
from newsletter.places import backups_folder
from pinstripe import BackgroundJob, Schedule


class DatabaseBackup(BackgroundJob):
    """Back up what the tenant has, into a file of its own that is verified before it replaces the last one."""

    schedule = Schedule("30 2 * * *", name="nightly", time_zone="tenant", spread="1h")
    multi_tenant = True

    def run(self) -> dict[str, object]:  # a plain def runs in a thread: writing files waits for the disk
        with closing(self.pages()) as pages:
            backup = back_up(self.tenant.id, pages, backups_folder())
        self.logger.info("%d rows in %s", backup.rows, backup.path)
        return {"file": str(backup.path), "rows": backup.rows}

    def pages(self) -> Generator[Page, None, None]:
        """Read what there is to back up, a page at a time, from the event loop that the database lives on."""
        reading = read_pages(self.database, self.tenant.id)
        try:
            while page := self.wait(anext(reading, None)):
                yield page
        finally:
            self.wait(reading.aclose())
