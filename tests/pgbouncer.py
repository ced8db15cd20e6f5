"""A PgBouncer of the tests' own, before their PostgreSQL: each transaction gets another connection of its server's.

Its program is the system's, and no package on PyPI carries it: where it isn't installed, tests that ask for it are
skipped, and say so. It lives in a temporary folder, and goes with the tests' process.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import make_url

from tests.postgres import APP, OWNER
from tests.postgres_server import PATIENCE, Account, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgres import Postgres

MISSING = "the program pgbouncer is not installed (Debian and Ubuntu: apt-get install pgbouncer)"

SERVERS = 3
"""How many connections to the server each user of a database has at most: fewer than the clients of a test."""

_SETTINGS = f"""
[databases]
* = host={{host}} port={{port}}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {{listens}}
unix_socket_dir =
auth_type = plain
auth_file = {{folder}}/users
pool_mode = transaction
default_pool_size = {SERVERS}
max_client_conn = 500
; The next transaction gets the connection that was unused for longest, never by chance the one before.
server_round_robin = 1
; As long as no test asks for anything else: what a program sends beyond that is refused, as it is by default.
ignore_startup_parameters =
"""

# As for the server: it is told the process, and ends it when the tests' process closes the pipe, or is killed.
_WATCHER = """
pooler=
while read -r said; do pooler=$said; [ "$said" != stop ] || break; done
case $pooler in "" | stop | none) ;; *) kill -QUIT "$pooler" 2> /dev/null ;; esac
rm -rf "$1"
"""


class PgBouncer:
    """One PgBouncer in transaction mode: made, and started, with the object. `port` stays the same."""

    def __init__(self, postgres: Postgres) -> None:
        """Start it before the server of `postgres`, for the roles that this has.

        Raises:
            RuntimeError: it isn't installed, or it ended; the message has what it said.

        """
        program = find_program()
        if program is None:
            raise RuntimeError(f"expected a PgBouncer: {MISSING}")
        self._program = program
        self._postgres = postgres
        self._account = Account.for_server()  # it refuses to run as root, as PostgreSQL does
        self._folder = Path(tempfile.mkdtemp(prefix="pinstripe-pgbouncer-", dir=_short_place()))
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._account.own(self._folder)
        self._watcher = subprocess.Popen(
            ["/bin/sh", "-c", _WATCHER, "sh", str(self._folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
            **self._account.options,
        )
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def url(self, database: str, user: str | None = None) -> str:
        """Give the URL of a database by way of it, as `Postgres.url` gives the direct one."""
        url = make_url(self._postgres.url(database, user)).set(host="127.0.0.1", port=self.port, query={})
        return url.render_as_string(hide_password=False)

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        deadline = time.monotonic() + PATIENCE
        while not self._is_started(self.port or free_port(), deadline):
            said = (self._folder / "log").read_text(encoding="utf-8", errors="replace")[-2000:]
            self.halt()
            if "in use" not in said or time.monotonic() > deadline:
                raise RuntimeError(f"expected {self._program} to start, it said:\n{said}")

    def halt(self) -> None:
        """End it at once: every connection through it breaks."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self._say("none")

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Have it stopped meanwhile."""
        self.halt()
        try:
            yield
        finally:
            self.start()

    def close(self) -> None:
        """End it, and leave nothing."""
        self.halt()
        self._say("stop")
        if self._watcher.stdin is not None:
            with suppress(BrokenPipeError):
                self._watcher.stdin.close()
        self._watcher.wait()

    def _is_started(self, port: int, deadline: float) -> bool:
        superuser = make_url(self._postgres.url())
        passwords = {str(superuser.username): str(superuser.password or ""), OWNER: OWNER, APP: APP}
        users, settings = self._folder / "users", self._folder / "pgbouncer.ini"
        users.write_text("".join(f'"{name}" "{word}"\n' for name, word in passwords.items()), encoding="utf-8")
        settings.write_text(
            _SETTINGS.format(
                host=self._postgres.host, port=self._postgres.port, listens=port, folder=str(self._folder)
            ),
            encoding="utf-8",
        )
        self._account.own(self._folder)
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [self._program, settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
                **self._account.options,
            )
        self._say(str(self._process.pid))
        while self._process.poll() is None and time.monotonic() < deadline:
            if "process up" in (self._folder / "log").read_text(encoding="utf-8", errors="replace"):
                self.port = port
                return True
            time.sleep(0.01)  # it tells it in its log, and in no other way
        return False

    def _say(self, word: str) -> None:
        if self._watcher.stdin is not None:
            with suppress(BrokenPipeError):
                self._watcher.stdin.write(f"{word}\n".encode())
                self._watcher.stdin.flush()


def find_program() -> str | None:
    """Give the path of pgbouncer, which Debian keeps where an ordinary user's shell doesn't look; None for none."""
    return shutil.which("pgbouncer", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin")))


def _short_place() -> str | None:
    return "/tmp" if os.access("/tmp", os.W_OK | os.X_OK) else None
