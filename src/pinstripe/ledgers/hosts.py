"""Where a process runs, and whether it still does: for who must tell a dead owner from one that lives."""

from __future__ import annotations

import os
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
PID_NAMESPACE = Path("/proc/self/ns/pid")


def host() -> str:
    """Name where a process id means the same: the host, and the container in it (see pid_namespaces(7))."""
    name = os.uname().nodename if hasattr(os, "uname") else ""
    try:
        return f"{name}/{PID_NAMESPACE.stat().st_ino}"
    except OSError:
        return name


def boot_id() -> str:
    """Name the current boot of this machine, where it tells (Linux: proc_sys_kernel(5))."""
    try:
        return BOOT_ID.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def began(pid: int) -> str:
    """Tell when a process of this host began, in ticks since the boot; "" where the system doesn't tell."""
    return _stat(pid)[1]


def is_gone(pid: int, since: str = "") -> bool:
    """Tell whether no process has that number, or only the remains of one, or another one than that which `began` then.

    `since` is what `began` gave for it; "" is anything.
    """
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        pass
    state, now = _stat(pid)
    return state in {"Z", "X"} or bool(since and now and since != now)


def _stat(pid: int) -> tuple[str, str]:
    """Give a process's state and start time: see proc_pid_stat(5). The name before them may have anything in it."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return "", ""
    return fields[0], fields[19]
