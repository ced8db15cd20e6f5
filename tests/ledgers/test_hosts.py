from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pinstripe.ledgers import hosts
from pinstripe.ledgers.hosts import began, boot_id, host, is_gone

if TYPE_CHECKING:
    from pathlib import Path


def test_a_container_is_a_host_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    here = host()
    assert here.startswith(os.uname().nodename)
    monkeypatch.setattr(hosts, "PID_NAMESPACE", tmp_path)
    assert host() not in {here, os.uname().nodename}
    monkeypatch.setattr(hosts, "PID_NAMESPACE", tmp_path / "no such file")
    assert host() == os.uname().nodename


def test_a_machine_that_names_no_boot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert len(boot_id()) in {0, 36}
    monkeypatch.setattr(hosts, "BOOT_ID", tmp_path / "no such file")
    assert boot_id() == ""


def test_a_process_that_lives_is_not_gone() -> None:
    assert not is_gone(os.getpid())
    assert not is_gone(os.getpid(), began(os.getpid()))
    assert not is_gone(1)  # somebody else's, for most who run this


def test_a_process_that_has_ended_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert is_gone(process.pid)
    assert began(process.pid) == ""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing tells the remains from a process")
def test_what_remains_until_its_parent_looks_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert is_gone(process.pid)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing tells when a process began")
def test_a_number_that_another_process_has_by_now() -> None:
    assert is_gone(os.getpid(), "12")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert not is_gone(process.pid, began(process.pid))
        assert is_gone(process.pid, began(os.getpid()))
        process.communicate(b"\n")
