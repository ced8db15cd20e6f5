"""A program of one version that enqueues that version's jobs, again and again, until its standard input ends."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.rolling_deploy.versions import TENANTS
from benchmarks.torture.load import Enqueued
from benchmarks.workers import environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.rolling_deploy.versions import Version
    from pinstripe.run import Run
    from pinstripe.workspace import Workspace

PACE = 0.1
"""Seconds between two turns. One enqueues a fan-out of each job with tenants, and each of the others once."""

SLOWLY = 10
"""How many turns there are for one of the slow job's."""


class Load:
    """The program, from its start on."""

    def __init__(self, version: Version, variables: Mapping[str, str]) -> None:
        """Start it."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.rolling_deploy.load", str(version.folder), *version.jobs],
            env=environment(**version.variables(variables)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def end(self, patience: float = 60) -> list[Enqueued]:
        """End it; give what was acknowledged. Raises RuntimeError where it failed."""
        try:
            printed, _ = self._process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        if self._process.returncode:
            raise RuntimeError(f"what enqueues ended with {self._process.returncode}")
        return [Enqueued(*each) for each in json.loads(printed)]

    def kill(self) -> None:
        """End it, whatever becomes of what it does."""
        self._process.kill()
        self._process.wait()


async def _enqueue(folder: Path, jobs: list[str]) -> list[Enqueued]:
    from pinstripe import open_project

    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    enqueued: list[Enqueued] = []
    turn = 0
    async with open_project(folder) as project, project.workspace(tenant=None) as workspace:
        while not ended.done():
            for job in jobs:
                if job != "slow" or turn % SLOWLY == 0:
                    run = await _one(workspace, job, turn)
                    enqueued.append(Enqueued(run.id, job, TENANTS if project.registry.find(job).multi_tenant else 1))
            turn += 1
            await asyncio.sleep(PACE)
    return enqueued


async def _one(workspace: Workspace, job: str, turn: int) -> Run:
    if job == "single":
        return await workspace.enqueue_background_job(job, turn)
    return await workspace.enqueue_background_job(job)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_enqueue(Path(sys.argv[1]), sys.argv[2:]))))
    sys.stdout.flush()
    os._exit(0)  # the thread that reads may still be there
