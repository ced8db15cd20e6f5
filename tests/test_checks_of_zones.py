"""What `pinstripe check` says of tenants' time zones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.test_checks import found

if TYPE_CHECKING:
    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio

GREETS = """
    from pinstripe import BackgroundJob, Schedule

    class Greets(BackgroundJob):
        multi_tenant = True
        schedule = Schedule("0 9 * * *", time_zone={zone!r})

        async def run(self): ...
    """


def set_up(folder: ProjectFolder, tenants: list[dict[str, Any]], zone: str = "tenant", settings: str = "") -> None:
    folder.configure(f"tenants.source = 'shop:tenants'\n{settings}")
    folder.file("shop.py", f"tenants = {tenants!r}\n")
    folder.job("greets", GREETS.format(zone=zone))


async def test_tenants_with_zones_and_without_are_no_problem(project_folder: ProjectFolder) -> None:
    items: list[dict[str, Any]] = [{"id": "a", "time_zone": "Asia/Tokyo"}, {"id": "b", "time_zone": None}]
    set_up(project_folder, [*items, {"id": "c", "time_zone": ""}, {"id": "d"}])
    assert await found(project_folder) == []
    set_up(project_folder, [])
    assert await found(project_folder) == []


async def test_what_is_no_zone_is_told_once_with_a_tenant(project_folder: ProjectFolder) -> None:
    items = [("a", "Asia/Tokyo"), ("b", "Mars"), ("c", "Mars"), ("d", 5), ("e", None), ("f", "Asia/Tokio")]
    set_up(project_folder, [{"id": id_, "place": zone} for id_, zone in items], settings="tenants.time_zone = 'place'")
    project_folder.job("greets_too", GREETS.format(zone="tenant").replace("Greets", "GreetsToo"))
    (of_b, of_d, of_f) = await found(project_folder)
    assert of_b[0] == of_d[0] == "setting tenants.time_zone"
    assert of_b[1] == (
        "tenant 'b' has 'Mars' in 'place', which is no time zone; expected an IANA name such as "
        "'Europe/Paris', or None: "
        'schedules with time_zone="tenant" fire for such tenants in the project\'s zone, UTC'
    )
    assert of_d[1].startswith("tenant 'd' has a value of the type int in 'place'")
    assert "expected an IANA name such as 'Asia/Tokyo', or None" in of_f[1]


async def test_tenants_that_the_job_is_not_for_are_not_looked_at(project_folder: ProjectFolder) -> None:
    set_up(project_folder, [{"id": "a", "active": False, "time_zone": "Mars"}, {"id": "b", "time_zone": "UTC"}])
    assert await found(project_folder) == []


async def test_zones_are_looked_at_for_schedules_in_tenants_zones_alone(project_folder: ProjectFolder) -> None:
    set_up(project_folder, [{"id": "a", "time_zone": "Mars"}], zone="Europe/Paris")
    assert await found(project_folder) == []


async def test_an_attribute_that_no_tenant_has_is_told(project_folder: ProjectFolder) -> None:
    set_up(project_folder, [{"id": "a", "tz": "Asia/Tokyo"}, {"id": "b"}], settings="time_zone = 'Europe/Paris'")
    project_folder.job("greets_too", GREETS.format(zone="tenant").replace("Greets", "GreetsToo"))
    ((where, reason),) = await found(project_folder)
    assert where == "setting tenants.time_zone"
    assert reason == (
        "the tenants have no attribute 'time_zone'; expected the one that holds a zone: "
        'schedules with time_zone="tenant" fire for such tenants in the project\'s zone, Europe/Paris'
    )


async def test_not_all_of_many_values_are_told(project_folder: ProjectFolder) -> None:
    set_up(project_folder, [{"id": str(number), "time_zone": f"shop-{number}"} for number in range(50)])
    problems = await found(project_folder)
    assert len(problems) == 11
    assert problems[-1][1].startswith("further tenants have other values that are no time zones")


async def test_a_zone_that_cannot_be_read_is_told_for_the_job(project_folder: ProjectFolder) -> None:
    set_up(project_folder, [])
    project_folder.file(
        "shop.py",
        """
        class Account:
            id = "acme"

            @property
            def time_zone(self):
                raise OSError("gone")

        tenants = [Account()]
        """,
    )
    ((where, reason),) = await found(project_folder)
    assert where == "lib/background_jobs/greets.py"
    assert "'time_zone' of tenant 'acme' can't be read: OSError: gone" in reason
