"""Jobs that do what no job should: each fails alone, is told, and leaves the process and the ledger as they must be."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.faults.conftest import Answer, Faulty

THREE = """
    def tenants():
        yield from ("acme", "globex", "initech")
"""

HARMS = {
    "base_exception": "class Odd(BaseException): pass\nraise Odd('out of line')",
    "sys_exit": "sys.exit(7)",
    "keyboard_interrupt": "raise KeyboardInterrupt",
    "generator_exit": "raise GeneratorExit",
    "cancelled_error": "raise asyncio.CancelledError",
    "cancels_itself": "asyncio.current_task().cancel(); await asyncio.sleep(0)",
    "huge_message": "raise ValueError('x' * 10_000_000)",
    "circular_cause": (
        "one, other = ValueError('one'), ValueError('other')\n"
        "one.__cause__, other.__cause__ = other, one\n"
        "one.__context__, other.__context__ = other, one\n"
        "raise one"
    ),
    "mute": "class Mute(Exception):\n    def __str__(self): raise OSError('no')\nraise Mute()",
    "swallows_cancellation": (
        "while True:\n"
        "    try:\n"
        "        await asyncio.Event().wait()\n"
        "    except asyncio.CancelledError:\n"
        "        print('no, not me')"
    ),
    "leaks_a_task": (
        "async def leak():\n"
        "    try:\n"
        "        await asyncio.Event().wait()\n"
        "    finally:\n"
        "        pathlib.Path('cancelled').touch()\n"
        "self.leak = asyncio.create_task(leak(), name='the leak')\n"
        "await asyncio.sleep(0)"
    ),
    "leaks_a_thread": "threading.Thread(target=threading.Event().wait, name='for ever').start()",
    "prints_ten_megabytes": "print('the beginning')\nfor _ in range(100): print('x' * 100_000)\nprint('the end')",
    "prints_and_fails": (
        "print('the beginning')\nfor _ in range(100): print('x' * 100_000)\nprint('the end')\nraise ValueError('loud')"
    ),
    "prints_bytes": ("sys.stdout.buffer.write(b'\\xff\\xfe caf\\xc3\\xa9 \\x00\\n')\nprint('lone \\udcff surrogate')"),
    "returns_ten_megabytes": "return 'x' * 10_000_000",
    "returns_no_json": "return object()",
    "innocent": "return 'well'",
}


@dataclass(frozen=True, slots=True)
class Harm:
    """What became of the execution of one harm."""

    status: str
    error: str | None
    traceback: str | None
    log: str | None


@dataclass(frozen=True, slots=True)
class Harmed:
    """A run with an execution for each harm."""

    answer: Answer
    run: Any
    by: dict[str, Harm]


@pytest.fixture(scope="module")
def harmed(shared: Faulty) -> Harmed:
    """Run one job whose tenants each do another harm, at once and in one process."""
    shared.tenants(f"def tenants():\n    yield from {[*HARMS]}")
    with (shared.path / "pyproject.toml").open("a") as settings:
        settings.write('\n[tool.pinstripe.worker]\nshutdown_grace = "200ms"\n')
    methods = "".join(
        f"    async def {name}(self):\n" + "".join(f"        {line}\n" for line in harm.splitlines())
        for name, harm in HARMS.items()
    )
    shared.job(
        "hostile",
        "class Hostile(BackgroundJob):\n    multi_tenant = True\n    async def run(self):\n"
        "        return await getattr(self, self.tenant.id)()\n" + methods,
    )
    answer = shared("run-background-job", "hostile", "--json", "--timeout", "1s")
    shared.works()
    read = shared.python(
        """
        async def main():
            async with pinstripe.open_project() as project:
                run = [run for run in await project.ledger.list_runs(pinstripe.ledger.RunFilter(limit=9))][-1]
                found = {}
                async for tenant in project.tenants:
                    one = await project.ledger.find_execution(run.id, tenant.id)
                    found[tenant.id] = [one.status, one.error, one.traceback, one.log]
                print(json.dumps(found))
        asyncio.run(main())
        """
    )
    assert read.code == 0, read
    return Harmed(answer, answer.json, {name: Harm(*facts) for name, facts in read.json.items()})


def test_no_harm_reaches_a_neighbour(harmed: Harmed) -> None:
    assert harmed.answer.code == 1
    assert harmed.run["status"] == "failed"
    assert {name for name, harm in harmed.by.items() if harm.status == "succeeded"} == {
        "innocent",
        "leaks_a_task",
        "leaks_a_thread",
        "prints_bytes",
        "prints_ten_megabytes",
        "returns_no_json",
        "returns_ten_megabytes",
    }
    assert harmed.run["executions"] == {
        "total": len(HARMS),
        "queued": 0,
        "running": 0,
        "succeeded": 7,
        "failed": 10,
        "cancelled": 1,
        "skipped": 0,
    }


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("base_exception", "Odd: out of line"),
        ("sys_exit", "the job called sys.exit(7)"),
        ("keyboard_interrupt", "KeyboardInterrupt"),
        ("generator_exit", "GeneratorExit"),
        ("cancelled_error", "CancelledError"),
    ],
)
def test_whatever_a_job_raises_fails_only_its_execution(harmed: Harmed, name: str, error: str) -> None:
    harm = harmed.by[name]
    assert harm.status == "failed"
    assert (harm.error or "").endswith(error)
    assert "hostile.py" in (harm.traceback or "")


def test_a_job_that_cancels_itself_is_cancelled(harmed: Harmed) -> None:
    assert (harmed.by["cancels_itself"].status, harmed.by["cancels_itself"].error) == ("cancelled", "interrupted")


def test_an_error_with_a_message_of_ten_megabytes_is_cut(harmed: Harmed) -> None:
    harm = harmed.by["huge_message"]
    assert (harm.error or "").startswith("ValueError: xxx")
    assert len(harm.error or "") <= 2_000
    assert len(harm.traceback or "") <= 64 * 1024


def test_an_error_with_a_circular_cause_is_told(harmed: Harmed) -> None:
    harm = harmed.by["circular_cause"]
    assert harm.error == "ValueError: one"
    assert "ValueError: other" in (harm.traceback or "")


def test_an_error_that_can_not_be_written_is_told(harmed: Harmed) -> None:
    assert (harmed.by["mute"].error or "").endswith("Mute: (its message can't be written)")


def test_a_job_that_swallows_cancellation_is_abandoned(harmed: Harmed) -> None:
    harm = harmed.by["swallows_cancellation"]
    assert harm.error == "TimeoutError: exceeded its timeout of 1s (it did not stop and was abandoned)"
    assert "no, not me\n" in (harm.log or "")
    assert "tasks hostile" in harmed.answer.err


def test_tasks_left_behind_are_cancelled_and_named(shared: Faulty, harmed: Harmed) -> None:
    expected = "hostile for tenant leaks_a_task left 1 of its tasks running (the leak)"
    assert expected in (harmed.by["leaks_a_task"].log or "")
    assert (shared.path / "cancelled").exists()


def test_a_thread_that_never_ends_does_not_keep_the_command(harmed: Harmed) -> None:
    assert "threads for ever" in harmed.answer.err


@pytest.mark.parametrize(("name", "limit"), [("prints_ten_megabytes", 16 * 1024), ("prints_and_fails", 256 * 1024)])
def test_ten_megabytes_of_output_are_cut(harmed: Harmed, name: str, limit: int) -> None:
    log = harmed.by[name].log or ""
    assert limit / 2 < len(log.encode()) <= limit
    assert log.startswith("the beginning\n")
    assert log.endswith("the end\n")
    assert re.search(r"… [\d,]+ bytes of output cut …", log)


def test_bytes_that_are_not_utf_8_are_replaced(harmed: Harmed) -> None:
    assert harmed.by["prints_bytes"].log == "\ufffd\ufffd café \ufffd\nlone ? surrogate\n"


def test_bytes_that_are_not_utf_8_pass_uncaptured(project: Faulty) -> None:
    project.job(
        "binary",
        r"""
        class Binary(BackgroundJob):
            async def run(self):
                sys.stdout.buffer.write(b"\xff\xfe caf\xc3\xa9\n")
                sys.stdout.buffer.flush()
                print("lone \udcff surrogate")
        """,
    )
    answer = project("run-background-job", "binary", "--no-capture")
    assert answer.code == 0, answer
    assert "café\nlone \\udcff surrogate" in answer.out


def test_a_result_of_ten_megabytes_is_dropped_and_not_the_run(harmed: Harmed) -> None:
    dropped = "the result was dropped: it has 10000002 bytes of JSON, and at most 65536 are kept"
    assert dropped in (harmed.by["returns_ten_megabytes"].log or "")


def test_a_result_that_is_not_json_is_dropped_and_not_the_run(harmed: Harmed) -> None:
    assert "the result was dropped" in (harmed.by["returns_no_json"].log or "")


FOR_ONE = """
    class Hostile(BackgroundJob):
        multi_tenant = True
        async def run(self):
            if self.tenant.id == "globex":
                {}
"""


@pytest.mark.parametrize("harm", ["os._exit(3)", "os.kill(os.getpid(), signal.SIGKILL)", "os.abort()"])
def test_a_job_that_ends_the_process_is_found_by_the_next_command(project: Faulty, harm: str) -> None:
    project.tenants(THREE)
    project.job("hostile", FOR_ONE.format(harm))
    answer = project("run-background-job", "hostile", "--concurrency", "1")
    assert answer.code == {"os._exit(3)": 3, "os.abort()": -6}.get(harm, -9)
    shown = project.show()
    assert (shown["status"], shown["executions"]["running"], shown["executions"]["queued"]) == ("cancelled", 0, 0)
    assert project.show("last", "--tenant", "globex")["error"] == "interrupted"


DEATHS = {
    "exit_3": ("os._exit(3)", "the process died: exit code 3"),
    "exit_0": ("os._exit(0)", "the process died: exit code 0"),
    "killed": ("os.kill(os.getpid(), signal.SIGKILL)", "the process died: signal SIGKILL"),
    "sys_exit": ("sys.exit(4)", "the job called sys.exit(4)"),
    "stuck": (
        "pathlib.Path('pid').write_text(str(os.getpid()))\n    while True: pass",
        "TimeoutError: exceeded its timeout of 1s",
    ),
}


DYING = """\
class Hostile(BackgroundJob):
    multi_tenant = True
    runs_in = "process"
    timeout = "1s"
    def run(self):
        print("I was here", flush=True)
        die = globals().get(self.tenant.id)
        if die:
            die()
"""


def test_a_job_that_ends_its_own_process_fails_alone(project: Faulty) -> None:
    """A process that dies, or is stuck and killed at its timeout, costs its own execution; what it printed is kept."""
    project.tenants(f"def tenants():\n    yield from {['first', *DEATHS, 'last']}")
    project.job(
        "hostile",
        DYING + "".join(f"\ndef {name}():\n    {harm}\n" for name, (harm, _) in DEATHS.items()),
    )
    answer = project("run-background-job", "hostile", "--json")
    assert answer.code == 1, answer
    assert project.counts() == {"total": 7, "succeeded": 2, "failed": 5}
    assert {each["tenant"]: each["error"] for each in answer.json["failures"]} == {
        name: how for name, (_, how) in DEATHS.items()
    }
    assert project.show("last", "--tenant", "killed")["log"] == "I was here\n"
    with pytest.raises(ProcessLookupError):
        os.kill(int((project.path / "pid").read_text()), 0)
    project.works()


def test_a_job_that_blocks_the_event_loop_is_named_with_its_place(project: Faulty) -> None:
    path = project.job(
        "blocking",
        """
        class Blocking(BackgroundJob):
            multi_tenant = True
            async def run(self):
                if self.tenant.id == "globex":
                    time.sleep(1.6)
        """,
    )
    project.tenants(THREE)
    answer = project("run-background-job", "blocking")
    assert answer.code == 0
    line = path.read_text().splitlines().index("            time.sleep(1.6)") + 1
    told = answer.out + answer.err
    assert re.search(rf"blocking for tenant globex has blocked the event loop .*blocking\.py:{line} in run", told), told
    assert "blocked the event loop" in project.show("last", "--tenant", "globex")["log"]
    assert project.counts() == {"total": 3, "succeeded": 3}


def test_the_child_of_a_fork_never_goes_on_as_the_worker(project: Faulty) -> None:
    """It has a copy of the open ledger and of the event loop; two that use them would settle everything twice."""
    project.tenants(THREE)
    project.job(
        "forking",
        """
        class Forking(BackgroundJob):
            multi_tenant = True
            async def run(self):
                child = os.fork()
                if child:
                    os.waitpid(child, 0)
                with open("done", "a") as done:
                    done.write(f"{self.tenant.id} {'parent' if child else 'child'}\\n")
        """,
    )
    answer = project("run-background-job", "forking", "--concurrency", "1")
    assert answer.code == 0, answer
    assert answer.err.count("has forked, and its child came back from run") == 3
    assert sorted(project.lines("done")) == sorted(
        f"{tenant} {who}" for tenant in ("acme", "globex", "initech") for who in ("parent", "child")
    )
    assert project.counts() == {"total": 3, "succeeded": 3}
    project.works()


def test_code_gets_errors_that_leave_it_alive(project: Faulty) -> None:
    """From code the same jobs raise ordinary exceptions: nothing a job does ends its caller."""
    for name, harm in {"exits": "sys.exit(7)", "odd": "raise KeyboardInterrupt", "asked": "raise SystemExit"}.items():
        project.job(
            name,
            f"""
            class Hostile(BackgroundJob):
                async def run(self):
                    {harm}
            """,
        )
    answer = project.python(
        """
        async def main():
            async with pinstripe.open_project() as project:
                async with project.workspace() as workspace:
                    for name in ("exits", "odd", "asked"):
                        try:
                            await workspace.run_background_job(name)
                        except Exception as error:
                            print(name, "->", error)
                    print((await workspace.run_background_job("innocent")).result)
        asyncio.run(main())
        """
    )
    assert answer.code == 0, answer
    assert answer.out.splitlines() == [
        "exits -> the job called sys.exit(7)",
        "odd -> KeyboardInterrupt",
        "asked -> the job called sys.exit()",
        "well",
    ]
