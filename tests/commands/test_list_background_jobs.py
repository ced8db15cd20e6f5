from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from tests.commands.conftest import Command
    from tests.conftest import ProjectFolder


def test_every_job_is_listed_and_a_broken_one_breaks_only_itself(shop: ProjectFolder, pinstripe: Command) -> None:
    shop.job("billing/broken", "import asyncio\nclass Broken(:\n")
    pinstripe("run-background-job", "greet")
    answer = pinstripe("list-background-jobs")
    assert answer.code == 0
    blocks = {block.split()[0]: block.splitlines() for block in answer.out.split("\n\n")}
    assert set(blocks) == {"ask", "billing/broken", "boom", "greet", "hello", "leave_thread", "stubborn", "wait"}
    assert blocks["hello"][0] == "hello  Say hello."
    assert blocks["hello"][1].startswith("  schedule  every hour, at minute 0; next 20")
    assert blocks["greet"][1] == "  tenants   active=True"
    assert blocks["greet"][2].endswith("failed: 1 succeeded, 1 failed of 2")
    assert blocks["billing/broken"] == [
        "billing/broken  not loaded",
        "  file      lib/background_jobs/billing/broken.py:2",
        "  reason    SyntaxError: invalid syntax",
    ]


def test_a_package_that_can_not_be_imported_has_no_file(
    shop: ProjectFolder, pinstripe: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.file("site/parts-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: parts\nVersion: 1.0\n")
    shop.file("site/parts-1.0.dist-info/entry_points.txt", "[pinstripe.background_jobs]\nreindex = parts:Reindex\n")
    monkeypatch.syspath_prepend(shop.path / "site")
    block = next(block for block in pinstripe("list-background-jobs").out.split("\n\n") if "reindex" in block)
    first, second, *_ = block.splitlines()
    assert first == "reindex  not loaded"
    assert second.startswith("  reason    the entry point parts:Reindex ")


def test_json_has_the_same(shop: ProjectFolder, pinstripe: Command) -> None:
    shop.job("broken", "raise OSError('gone')")
    pinstripe("run-background-job", "hello")
    listed = {job["job"]: job for job in pinstripe("list-background-jobs", "--json").json}
    hello, greet, broken = listed["hello"], listed["greet"], listed["broken"]
    (schedule,) = hello["schedules"]
    assert (schedule["cron"], schedule["words"]) == ("0 * * * *", "every hour, at minute 0")
    assert schedule["next_fire"].endswith(":00:00.000000Z")
    assert hello["last_run"]["result"] == 5
    assert (greet["multi_tenant"], greet["filter"], greet["last_run"]) == (True, "active=True", None)
    assert broken["file"] == "lib/background_jobs/broken.py"
    assert broken["problem"]["line"] == 1
    assert "gone" in broken["problem"]["reason"]


def test_the_next_fire_in_each_tenants_zone_is_told_for_the_projects(shop: ProjectFolder, pinstripe: Command) -> None:
    shop.job(
        "evening",
        """
        from pinstripe import BackgroundJob, Schedule
        class Evening(BackgroundJob):
            multi_tenant = True
            schedule = [
                Schedule("0 * * * *", time_zone="tenant", name="hourly"),
                Schedule("0 20 * * *", time_zone="Asia/Tokyo"),
                "0 20 * * *",
            ]
            async def run(self):
                pass
        """,
    )
    blocks = {block.split()[0]: block.splitlines() for block in pinstripe("list-background-jobs").out.split("\n\n")}
    each, tokyo, own = blocks["evening"][1:4]
    assert each.startswith("  schedule  every hour, at minute 0, in each tenant's zone (hourly); next 20")
    assert each.endswith(":00:00Z for tenants in UTC")
    assert tokyo.startswith("  schedule  every day at 20:00, Asia/Tokyo time; next 20")
    assert tokyo.endswith(" 11:00:00Z")
    assert own.endswith(" 20:00:00Z")
    (listed,) = (job for job in pinstripe("list-background-jobs", "--json").json if job["job"] == "evening")
    assert [each["zone"] for each in listed["schedules"]] == ["UTC", "Asia/Tokyo", "UTC"]


def test_schedules_that_differ_only_in_arguments_are_told_apart(shop: ProjectFolder, pinstripe: Command) -> None:
    shop.job(
        "report",
        """
        from pinstripe import BackgroundJob, Schedule
        class Report(BackgroundJob):
            schedule = [
                Schedule("0 20 * * *", args=("weekly",)),
                Schedule("0 20 * * *", kwargs={"pages": 2}, name="long"),
            ]
            async def run(self, kind: str = "", pages: int = 1):
                pass
        """,
    )
    blocks = {block.split()[0]: block.splitlines() for block in pinstripe("list-background-jobs").out.split("\n\n")}
    weekly, pages = blocks["report"][1:3]
    assert weekly.startswith('  schedule  every day at 20:00, with ("weekly"); next 20')
    assert pages.startswith("  schedule  every day at 20:00, with (pages=2) (long); next 20")
    (listed,) = (job for job in pinstripe("list-background-jobs", "--json").json if job["job"] == "report")
    assert [(each["args"], each["kwargs"]) for each in listed["schedules"]] == [(["weekly"], {}), ([], {"pages": 2})]


def test_the_filter_is_the_authors_own_where_there_is_one(shop: ProjectFolder, pinstripe: Command) -> None:
    for name, chosen in (("all", "tenants"), ("pro", "tenants.where(plan='pro', seats__ge=2)"), ("wrong", "5")):
        shop.job(
            name,
            f"""
            from pinstripe import BackgroundJob
            class It(BackgroundJob):
                multi_tenant = True
                @staticmethod
                def tenants_filter(tenants):
                    return {chosen}
                async def run(self):
                    pass
            """,
        )
    filters = {job["job"]: job["filter"] for job in pinstripe("list-background-jobs", "--json").json}
    assert filters["all"] == "all"
    assert filters["pro"] == "plan='pro', seats__ge=2"
    assert filters["wrong"].startswith("can't be used: ")
    assert filters["hello"] is None


def test_a_project_without_jobs_is_told_how_to_make_one(project_folder: ProjectFolder, pinstripe: Command) -> None:
    for path in (project_folder.path / "lib" / "background_jobs").glob("*.py"):
        path.unlink()
    answer = pinstripe("list-background-jobs")
    assert (answer.code, answer.out) == (0, "No jobs. `pinstripe generate-background-job NAME` makes one.\n")
    assert pinstripe("list-background-jobs", "--json").json == []


def test_jobs_are_listed_also_where_the_database_of_the_tenants_is_not_there(
    project_folder: ProjectFolder, pinstripe: Command
) -> None:
    project_folder.configure('database.url = "sqlite:///nowhere.db"')
    project_folder.job(
        "each",
        """
        from pinstripe import BackgroundJob


        class Each(BackgroundJob):
            multi_tenant = True

            async def run(self):
                pass
        """,
    )
    jobs = {job["job"]: job for job in pinstripe("list-background-jobs", "--json").json}
    assert jobs["each"]["filter"].startswith("can't be used: expected a SQLite database at ")
    assert not (project_folder.path / "nowhere.db").exists()
