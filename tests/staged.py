"""A small application for tests of the testing support: two clinics, and jobs that send, fail, answer and enqueue."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.conftest import ProjectFolder


def write_clinics(folder: ProjectFolder) -> None:
    """Write the application into a project's folder."""
    folder.configure('tenants.source = "tenancy:tenants"')
    folder.file("tenancy.py", 'tenants = ["north", "south"]')
    folder.service("mailer", 'raise RuntimeError("no mail is sent from tests")')
    folder.job(
        "remind",
        """
        from datetime import date
        from typing import Any

        from pinstripe import BackgroundJob


        class Remind(BackgroundJob):
            multi_tenant = True
            retries = 2
            mailer: Any

            async def run(self, to: str, day: date | None = None, subject: str = "Hello") -> None:
                if "@" not in to:
                    raise ValueError(f"{to} is no address")
                self.mailer.append((self.tenant.id, to))
        """,
    )
    folder.job(
        "follow_up",
        """
        from contextlib import suppress

        from pinstripe import BackgroundJob


        class FollowUp(BackgroundJob):
            multi_tenant = True

            async def run(self) -> None:
                with suppress(ValueError):
                    await self.run_background_job("remind", "nobody")
                await self.enqueue_background_job("remind", "later@x")
        """,
    )
    folder.job(
        "answer",
        """
        from pinstripe import BackgroundJob, Cancel, RetryLater


        class Answer(BackgroundJob):
            multi_tenant = False

            async def run(self, how: str) -> None:
                raise RetryLater("5m") if how == "later" else Cancel("not needed")
        """,
    )
    folder.job(
        "crunch",
        """
        from pinstripe import BackgroundJob


        class Crunch(BackgroundJob):
            multi_tenant = False
            runs_in = "process"

            def run(self, number: int = 1) -> int:
                print("crunching")
                return number
        """,
    )
    folder.job(
        "again",
        """
        from pinstripe import BackgroundJob


        class Again(BackgroundJob):
            multi_tenant = False

            async def run(self) -> None:
                await self.enqueue_background_job("again")
        """,
    )
