from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.commands.conftest import Start
    from tests.conftest import ProjectFolder


def test_a_long_run_has_a_bar_below_the_output_of_its_jobs(shop: ProjectFolder, terminal: Start) -> None:
    shop.file("shop.py", "tenants = [f't{n}' for n in range(4)]")
    shop.job(
        "steps",
        """
        import asyncio, pathlib
        from pinstripe import BackgroundJob
        class Steps(BackgroundJob):
            multi_tenant = True
            async def run(self):
                print(f"\\x1b[31mred\\x1b[0m \\x1b[2J{self.tenant.id}")
                self.progress(1, 3)
                while self.tenant.id == "t3" and not pathlib.Path("go").exists():
                    await asyncio.sleep(0.01)
        """,
    )
    run = terminal("run-background-job", "steps", "--concurrency", "2")
    run.wait_for("3 of 4")
    shop.file("go", "")
    assert run.end() == 0
    assert "t0 | \x1b[31mred\x1b[0m \\x1b[2Jt0" in run.seen
    assert re.search(r"━.* 3 of 4, \S+/s, .* left", run.seen)
    assert "4 succeeded" in run.seen
    assert run.seen.rstrip().endswith(")")
    assert "\x1b[?25h" in run.seen, "the cursor is shown again"


def test_a_short_run_draws_no_bar(terminal: Start) -> None:
    run = terminal("run-background-job", "greet")
    assert run.end() == 1
    assert "globex | hello globex" in run.seen
    assert "━" not in run.seen
