"""Ledgers that can't be used: exit code 4, what is wrong and how to mend it, and nothing of what was there is lost."""

from __future__ import annotations

import hashlib
import os
import subprocess
from typing import TYPE_CHECKING

import apsw

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.conftest import Faulty

COMMANDS = (("run-background-job", "innocent"), ("list-runs",), ("show-run", "last"), ("retry-run", "last"))


def ledger_of(project: Faulty) -> Path:
    """Give the ledger's file."""
    return project.path / ".pinstripe" / "ledger.db"


def test_a_corrupt_ledger(project: Faulty) -> None:
    project.works()
    ledger = ledger_of(project)
    sound = ledger.read_bytes()
    damaged = b"nonsense" * (len(sound) // 8)
    for path in ledger.parent.glob("ledger.db-[ws]*"):
        path.unlink()
    ledger.write_bytes(damaged)
    for command in COMMANDS:
        answer = project(*command)
        assert answer.code == 4, answer
        assert (
            f"the ledger {ledger} is not a sound SQLite file: restore it from a backup, or move it away" in answer.err
        )
    check = project("check")
    assert check.code == 1
    assert "is not a sound SQLite file" in check.out
    assert ledger.read_bytes() == damaged  # whatever can still be saved from it is
    ledger.write_bytes(sound)
    assert len(project.runs()) == 1
    project.works()


def test_a_ledger_whose_middle_is_damaged(project: Faulty) -> None:
    """It may still be opened; what finds the damage says so."""
    project.works()
    ledger = ledger_of(project)
    with ledger.open("r+b") as file:
        file.seek(4_096)
        file.write(os.urandom(ledger.stat().st_size - 4_096))
    answer = project("run-background-job", "innocent")
    assert answer.code == 4, answer
    assert "is not a sound SQLite file" in answer.err


def test_a_newer_ledger(project: Faulty) -> None:
    project.works()
    connection = apsw.Connection(str(ledger_of(project)))
    connection.execute("update schema_version set version = 99, min_code = 98")
    connection.close()
    before = hashlib.sha256(ledger_of(project).read_bytes()).hexdigest()
    for command in COMMANDS:
        answer = project(*command)
        assert answer.code == 4, answer
        assert "was made by a newer Pinstripe (its schema is 99 and needs at least 98; this one knows" in answer.err
        assert "update Pinstripe here" in answer.err
    assert hashlib.sha256(ledger_of(project).read_bytes()).hexdigest() == before


def test_a_newer_ledger_that_this_code_can_still_use(project: Faulty) -> None:
    project.works()
    connection = apsw.Connection(str(ledger_of(project)))
    connection.execute("update schema_version set version = 99")
    connection.close()
    project.works()
    assert len(project.runs()) == 2


def test_somebody_elses_database(project: Faulty) -> None:
    ledger_of(project).parent.mkdir()
    connection = apsw.Connection(str(ledger_of(project)))
    connection.execute("create table users (id integer)")
    connection.close()
    answer = project("run-background-job", "innocent")
    assert answer.code == 4
    assert "is a database with tables of its own, not a ledger" in answer.err


def test_a_folder_in_the_ledgers_place(project: Faulty) -> None:
    ledger_of(project).mkdir(parents=True)
    answer = project("run-background-job", "innocent")
    assert answer.code == 4
    assert "is a folder; name a file in the setting `ledger`" in answer.err


def test_a_file_in_the_place_of_the_ledgers_folder(project: Faulty) -> None:
    (project.path / ".pinstripe").write_text("mine")
    answer = project("run-background-job", "innocent")
    assert answer.code == 4, answer
    assert str(project.path / ".pinstripe") in answer.err
    assert (project.path / ".pinstripe").read_text() == "mine"


def test_a_read_only_ledger_can_be_looked_at_and_not_written(project: Faulty, unprivileged: None) -> None:
    project.works()
    ledger = ledger_of(project)
    before = ledger.read_bytes()
    for path in (*ledger.parent.rglob("*"), ledger.parent):
        path.chmod(path.stat().st_mode & 0o555)
    answer = project("run-background-job", "innocent", powerless=True)
    assert answer.code == 4, answer
    assert str(ledger) in answer.err
    assert "writable" in answer.err or "rights" in answer.err
    listed = project("list-runs", "--json", powerless=True)
    assert (listed.code, len(listed.json)) == (0, 1), listed
    shown = project("show-run", "last", "--json", powerless=True)
    assert (shown.code, shown.json["result"]) == (0, "well")
    check = project("check", powerless=True)
    assert check.code == 1
    assert "can't be written by this user" in check.out
    assert ledger.read_bytes() == before
    for path in (ledger.parent, *ledger.parent.rglob("*")):
        path.chmod(path.stat().st_mode | 0o200)
    project.works()


def test_a_folder_in_which_no_ledger_can_be_made(project: Faulty, unprivileged: None) -> None:
    project.path.chmod(0o555)
    answer = project("run-background-job", "innocent", powerless=True)
    assert answer.code == 4, answer
    assert str(project.path) in answer.err
    assert project("list-runs", powerless=True).code == 0
    project.path.chmod(0o755)
    project.works()


FILL = """
    class Fill(BackgroundJob):
        multi_tenant = True
        async def run(self):
            print(self.tenant.id * 5_000)
            with open("done", "a") as done:
                done.write(self.tenant.id + "\\n")
"""


def test_a_disk_that_is_full_in_mid_run(project: Faulty, small_disk: Path) -> None:
    """What was settled stays settled; once there is room again, the rest is marked, and a retry does it."""
    ledger = small_disk / "ledger.db"
    project.tenants("def tenants():\n    for number in range(300):\n        yield f't{number:05}'\n")
    settings = project.path / "pyproject.toml"
    settings.write_text(f'[tool.pinstripe]\nledger = "sqlite:///{ledger}"\n' + settings.read_text().partition("\n")[2])
    project.job("fill", FILL)
    answer = project("run-background-job", "fill", "--concurrency", "5")
    assert answer.code == 4, answer
    assert f"the ledger {ledger} has no space left: free some space on its disk" in answer.err
    assert "Traceback" not in answer.err
    done = project.lines("done")
    assert 5 < len(done) < 300
    again = project("run-background-job", "innocent")
    assert again.code == 4, again
    assert [run["executions"]["total"] for run in project.runs() if run["job"] == "fill"] == [300]
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    (run,) = [run for run in project.runs() if run["job"] == "fill"]
    counts = run["executions"]
    assert run["status"] == "cancelled"
    assert counts["succeeded"] + counts["cancelled"] == 300
    assert 0 < counts["succeeded"] <= len(done)
    retried = project("retry-run", run["id"], "--json")
    assert (retried.code, retried.json["executions"]["succeeded"]) == (0, 300 - counts["succeeded"])
    assert len(set(project.lines("done"))) == 300
    project.works()


def test_a_file_that_may_grow_no_further(project: Faulty) -> None:
    """The same for anyone who runs the tests: a limit on the size of files stands for a disk without room."""
    project.tenants("def tenants():\n    for number in range(300):\n        yield f't{number:05}'\n")
    project.job("fill", FILL)
    answer = project("run-background-job", "fill", file_size=1 << 20)
    assert answer.code == 4, answer
    assert f"the ledger {ledger_of(project)} can't be read or written: look at the disk it is on" in answer.err
    assert "Traceback" not in answer.err
    done = project.lines("done")
    (run,) = project.runs()
    counts = run["executions"]
    assert (run["status"], counts["succeeded"] + counts["cancelled"], counts["total"]) == ("cancelled", 300, 300)
    assert 0 < counts["succeeded"] <= len(done)
    retried = project("retry-run", run["id"], "--json")
    assert (retried.code, retried.json["executions"]["succeeded"]) == (0, 300 - counts["succeeded"])
    project.works()


def test_a_network_file_system_is_refused(project: Faulty) -> None:
    """A mount of 9p, overlay or the like can't be made everywhere; what the kernel tells of mounts can be."""
    mounts = project.path / "mounts"
    mounts.write_text(f"36 35 98:0 / {project.path} rw,noatime - nfs4 server:/export rw\n")
    program = f"""
        import pinstripe.ledgers.sqlite.connection as connection
        import functools, pinstripe.ledgers.sqlite.store as store
        store.refuse_network = functools.partial(connection.refuse_network, mounts=pathlib.Path({str(mounts)!r}))
        from pinstripe.commands.main import main
        main(["run-background-job", "innocent"])
    """
    answer = project.python(program)
    assert answer.code == 4, answer
    assert "is on a network file system (nfs4), where SQLite loses data; expected a local disk" in answer.err
    assert not ledger_of(project).exists()


def test_a_server_that_is_not_there(project: Faulty) -> None:
    url = "postgresql://jobs:swordfish@localhost:1/jobs"
    answer = project("run-background-job", "innocent", PINSTRIPE_LEDGER=url)
    assert answer.code == 4
    assert "the ledger postgresql://jobs@localhost:1/jobs can't be reached" in answer.err
    assert "swordfish" not in answer.err + answer.out


def test_code_is_told_of_a_ledger_that_fails_in_mid_run(project: Faulty) -> None:
    """The run ends with `LedgerError`, its jobs are cancelled, and the project can still be closed."""
    project.tenants("def tenants():\n    for number in range(300):\n        yield f't{number:05}'\n")
    project.job("fill", FILL)
    answer = project.python(
        """
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
        from pinstripe.errors import LedgerError
        async def main():
            try:
                async with pinstripe.open_project() as project:
                    async with project.workspace(tenant=None) as workspace:
                        try:
                            await workspace.options(exclude=["t00000"]).run_background_job("fill")
                        except LedgerError as error:
                            print("run:", error)
            except LedgerError as error:
                print("close:", error)
            print(len(asyncio.all_tasks()), "task")
        asyncio.run(main())
        """
    )
    assert answer.code == 0, answer
    assert "run: the ledger" in answer.out
    assert answer.out.endswith("1 task\n")
    (run,) = project.runs()
    assert run["status"] == "cancelled"
    assert run["executions"]["running"] == run["executions"]["queued"] == 0
    project.works()


def test_several_processes_make_a_new_ledger_at_once(project: Faulty) -> None:
    """Whoever comes second waits its turn: SQLite alone would refuse it, without asking how long it may wait."""
    answer = project.python(
        """
        import multiprocessing
        from pinstripe.errors import PinstripeError
        def run(barrier, told):
            async def main():
                async with pinstripe.open_project() as project:
                    barrier.wait()
                    await project.ledger.open(write=True)
                    return "made"
            for number in range(100):
                os.environ["PINSTRIPE_LEDGER"] = f"sqlite:///{number}.db"
                try:
                    told.put(asyncio.run(main()))
                except PinstripeError as error:
                    told.put(str(error))
        context = multiprocessing.get_context("fork")
        barrier, told = context.Barrier(4), context.Queue()
        processes = [context.Process(target=run, args=(barrier, told)) for _ in range(4)]
        for process in processes:
            process.start()
        print({told.get() for _ in range(400)})
        for process in processes:
            process.join()
        """
    )
    assert answer.out == "{'made'}\n", answer
