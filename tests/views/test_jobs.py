from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from pinstripe.definition import BrokenJob
from pinstripe.errors import UnknownJob
from pinstripe.views.jobs import job_json, look_at_job, look_at_jobs
from tests.views.conftest import opened

if TYPE_CHECKING:
    from tests.conftest import ProjectFolder
    from tests.views.conftest import ToldClock

pytestmark = pytest.mark.anyio

EVENING = '''
    from pinstripe import BackgroundJob, Schedule

    class Evening(BackgroundJob):
        """Close the day."""
        multi_tenant = True
        schedule = [Schedule("0 18 * * *", time_zone="tenant"), Schedule("0 6 * * *")]
        async def run(self): ...
    '''


async def test_jobs_are_looked_at_by_name_and_one_that_is_broken_tells_why(
    shop: ProjectFolder, told_clock: ToldClock
) -> None:
    shop.job("evening", EVENING)
    shop.job("broken", "raise OSError('gone')")
    told_clock.tell(datetime(2026, 11, 22, 12, tzinfo=UTC))
    async with opened(shop, told_clock) as project:
        broken, evening = await look_at_jobs(project)
    assert isinstance(broken.found, BrokenJob)
    assert job_json(broken)["problem"]["line"] == 1
    assert (evening.file, evening.filter) == ("lib/background_jobs/evening.py", "active=True")
    assert [(fires.is_example, fires.zone, fires.next) for fires in evening.fires] == [
        (True, "Europe/Paris", datetime(2026, 11, 22, 17, tzinfo=UTC)),
        (False, "Europe/Paris", datetime(2026, 11, 23, 5, tzinfo=UTC)),
    ]


async def test_of_some_jobs_only_those_are_looked_at(shop: ProjectFolder) -> None:
    shop.job("evening", EVENING)
    shop.job("broken", "raise OSError('gone')")
    async with opened(shop) as project:
        (only,) = await look_at_jobs(project, project.registry.load_all()[1:])
    assert only.found.name == "evening"


async def test_one_job_is_looked_at_alone_in_any_spelling(shop: ProjectFolder) -> None:
    shop.job("billing/evening", EVENING)
    shop.job("broken", "raise OSError('gone')")
    async with opened(shop) as project:
        assert job_json(await look_at_job(project, "Billing/Evening"))["job"] == "billing/evening"
        broken = job_json(await look_at_job(project, "broken"))
        assert (broken["file"], broken["problem"]["line"]) == ("lib/background_jobs/broken.py", 1)
        assert broken == job_json((await look_at_jobs(project))[1])
        with pytest.raises(UnknownJob, match="did you mean broken"):
            await look_at_job(project, "broke")
