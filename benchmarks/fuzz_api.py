"""Ask a real server's HTTP API whatever its OpenAPI document allows, and much that it doesn't, and judge the answers.

`python -m benchmarks.fuzz_api [--minutes 3] [--seed 1]`. Schemathesis asks in turn without a token, with one that may
look, with one of two tenants that may look, with one of a single tenant that may act, and with one that may act on all.
No answer may be a 5xx, or anything that the document doesn't tell. What the ledger has is compared before and after:
who may only look, and who has no token, changes nothing of it, and who is confined to a tenant nothing of others.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.request import Request, urlopen

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "/_pinstripe/api"

TOKENS = {name: f"{name}-token-that-fuzzes-the-api" for name in ("operate", "read", "looker", "acme")}

STRANGE = "a/b <i>'\" \u202e%00"
"""The id of a tenant, as no application should make one."""

FILES = {
    "pyproject.toml": f"""\
        [tool.pinstripe.tenants]
        source = "customers:tenants"

        [tool.pinstripe.server]
        token = "{TOKENS["operate"]}"
        read_token = "{TOKENS["read"]}"
        tokens = ["looker:read:acme birch:{TOKENS["looker"]}", "acme:operate:acme:{TOKENS["acme"]}"]
        """,
    "customers.py": f"""\
        def tenants():
            for id_, plan, seats in (("acme", "pro", 5), ("birch", "free", 1), ({STRANGE!r}, "pro", None)):
                yield {{"id": id_, "plan": plan, "seats": seats}}
        """,
    "lib/background_jobs/send_newsletter.py": """\
        from pinstripe import BackgroundJob


        class SendNewsletter(BackgroundJob):
            \"\"\"Send the newsletter.\"\"\"

            multi_tenant = True
            schedule = "0 * * * *"

            async def run(self, segment: str = "all", *, copies: int = 1):
                print(f"to {segment}")
                if self.tenant.id != "acme":
                    raise ValueError("bad address \\x1b[31m")
                return copies
        """,
    "lib/background_jobs/billing/close_month.py": """\
        from datetime import date

        from pinstripe import BackgroundJob


        class CloseMonth(BackgroundJob):
            redact = ("password",)

            async def run(self, month: date | None = None, *more: float, password: str = "x", **others: list[int]):
                return str(month)
        """,
    "lib/background_jobs/broken.py": "import nothing_of_this_name\n",
    "schemathesis.toml": """\
        [checks.positive_data_acceptance]
        # What is well formed may still be another list's cursor, no name of a job, or a value that run doesn't take.
        expected-statuses = ["2xx", "404", "403", "409", "422", "429"]
        """,
}


class Verdict(NamedTuple):
    """What came of asking with a token: what schemathesis found wrong (None: nothing), and what it had to say."""

    who: str
    wrong: str | None
    cases: str


def main() -> int:
    """Fuzz a server for some minutes; give 1 where anything is wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz_api", description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wrong = fuzz(Path(folder), seconds=given.minutes * 60, seed=given.seed)
    print("\n".join(wrong) or "Nothing is wrong.")
    return int(bool(wrong))


def fuzz(folder: Path, *, seconds: float, seed: int) -> list[str]:
    """Fuzz a server of a project in an empty folder; give what is wrong."""
    write_project(folder)
    wrong: list[str] = []
    share = max(seconds / 5, 1)
    with serving(folder, "--without-bot", "--without-workers") as server:
        seed_ledger(folder, server.url)
        for name in TOKENS:  # whoever was let in once needs not wait for others who guess
            _get(server.url, "/v1/jobs", name)
        for who in (None, "read", "looker"):
            before = dump(folder)
            verdict = ask(folder, server.url, who, seconds=share, seed=seed)
            wrong += _told(verdict)
            if (changed := _differences(before, dump(folder))) is not None:
                wrong.append(f"{verdict.who} changed the ledger: {changed}")
        before = dump(folder)
        wrong += _told(ask(folder, server.url, "acme", seconds=share, seed=seed))
        wrong += _beyond_acme(before, dump(folder))
    wrong += logged(server.log())
    with serving(folder) as server:
        wrong += _told(ask(folder, server.url, "operate", seconds=share, seed=seed))
        if _get(server.url, "/v1/status")["ledger"] != {"made": True, "trouble": None}:
            wrong.append("the ledger can't be used afterwards")
    return wrong + logged(server.log())


def write_project(folder: Path) -> None:
    """Write the project that is served."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")


class Server(NamedTuple):
    """A server, and where it writes."""

    url: str
    output: Path

    def log(self) -> str:
        """Give all that it has written."""
        return self.output.read_text(encoding="utf-8", errors="replace")


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[Server]:
    """Start `pinstripe start-server` at a free port, and stop it."""
    output = folder / f"server-{len(options)}.log"
    command = [sys.executable, "-m", "pinstripe", "start-server", "--host", "127.0.0.1:0", *options]
    with output.open("wb") as written:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=written, text=True
        )
        assert process.stdout is not None
        try:
            url = _address(process.stdout, written)
            yield Server(url, output)
        finally:
            process.terminate()
            rest, _ = process.communicate(timeout=60)
            written.write(rest.encode())


def _address(stream: Any, written: Any) -> str:
    for line in stream:
        written.write(line.encode())
        if found := re.search(r"http://127\.0\.0\.1:\d+", line):
            return found[0]
    message = "the server has not said where it serves"
    raise RuntimeError(message)


def seed_ledger(folder: Path, url: str) -> None:
    """Have runs of every kind, pauses and an audit trail there, that there is something to see and to spoil."""
    for body in (
        {"job": "send_newsletter", "args": ["weekly"]},
        {"job": "send_newsletter", "tenants": ["birch"]},
        {"job": "billing/close_month", "kwargs": {"password": "hunter2"}},
    ):
        _post(url, "/v1/runs", body)
    drain = [sys.executable, "-m", "pinstripe", "start-worker", "--without-bot", "--drain"]
    subprocess.run(drain, cwd=folder, check=True, capture_output=True)
    _post(url, "/v1/runs", {"job": "send_newsletter", "delay": "7d"})
    _post(url, "/v1/pauses", {"tenant": "birch"})
    _post(url, "/v1/pauses", {"job": "billing/close_month"})


def ask(folder: Path, url: str, who: str | None, *, seed: int, seconds: float = 0, examples: int = 0) -> Verdict:
    """Have schemathesis ask with a token for so long, or for so many examples of each operation."""
    document = folder / "openapi.json"
    document.write_text(json.dumps(_get(url, "/v1/openapi.json")), encoding="utf-8")
    command = [
        *(sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"),
        *("run", str(document), "--url", url + PREFIX, "--no-color", "--seed", str(seed), "--request-timeout", "20"),
        *("--warnings", "off", "--generation-database", "none"),
        # A wrong token is answered by 429 when there were many, which it takes for letting in.
        *("--exclude-checks", "ignored_auth" if who else "ignored_auth,positive_data_acceptance"),
        *("--continue-on-failure", "--output-sanitize", "false"),
        *(("--max-time", str(max(round(seconds), 1))) if seconds else ()),
        *(("--max-examples", str(examples), "--phases", "examples,fuzzing") if examples else ()),
        *(() if who is None else ("-H", f"Authorization: Bearer {TOKENS[who]}")),
    ]
    done = subprocess.run(
        command, cwd=folder, check=False, capture_output=True, text=True, env={**os.environ, "COLUMNS": "160"}
    )
    cases = " ".join(re.findall(r"\d+ generated.*|\d+ test cases?.*", done.stdout))
    return Verdict(who or "nobody", None if done.returncode == 0 else done.stdout + done.stderr, cases)


def dump(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Give all that the ledger has, but for who uses it."""
    with closing(sqlite3.connect(folder / ".pinstripe" / "ledger.db")) as ledger:
        names = [name for (name,) in ledger.execute("select name from sqlite_master where type = 'table'")]
        return {
            name: sorted(ledger.execute(f'select * from "{name}"').fetchall(), key=repr)
            for name in names
            if name not in {"owners", "sqlite_sequence", "sqlite_stat1"}
        }


def _differences(before: dict[str, Any], after: dict[str, Any]) -> str | None:
    changed = {name: [row for row in after[name] if row not in before[name]] for name in after}
    gone = {name: [row for row in before[name] if row not in after[name]] for name in before}
    found = {name: (changed[name], gone[name]) for name in after if changed[name] or gone[name]}
    return repr(found)[:2_000] if found else None


def _beyond_acme(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    """Tell what somebody who is confined to acme has changed of others'."""
    for table in ("executions", "pauses"):
        others = [row for row in before[table] if "acme" not in row]
        if lost := [row for row in others if row not in after[table]]:
            yield f"acme changed {table} of others: {lost!r}"[:2_000]
        if new := [row for row in after[table] if "acme" not in row and row not in before[table]]:
            yield f"acme made {table} of others: {new!r}"[:2_000]
    for row in after["runs"]:
        if row not in before["runs"] and not any(map(_is_of_acme, row)):
            yield f"acme started or changed a run that isn't theirs alone: {row!r}"[:2_000]


def _is_of_acme(column: object) -> bool:
    """Tell whether a column is the selection of a run that is for acme alone, also as a retry of a part."""
    try:
        selection = json.loads(column) if isinstance(column, str) else None
    except ValueError:
        return False
    if not isinstance(selection, dict) or not {"tenants", "exclude"} <= selection.keys():
        return False
    whom = selection.get("only", selection["tenants"])
    return whom is not None and {*whom} <= {"acme"}


def _told(verdict: Verdict) -> list[str]:
    print(f"{verdict.who}: {verdict.cases}", flush=True)
    return [] if verdict.wrong is None else [f"as {verdict.who}:\n{verdict.wrong}"]


def logged(log: str) -> list[str]:
    """Give what the server has logged that nobody expected; the ledger of passwords must not be in it either."""
    wrong = [line for line in log.splitlines() if (" failed" in line and PREFIX in line) or "Traceback" in line]
    return [f"the server has logged: {line}" for line in wrong[:20]] + (
        ["a redacted argument is in the log"] if "hunter2" in log else []
    )


def _get(url: str, path: str, who: str = "operate") -> Any:
    request = Request(url + PREFIX + path, headers={"Authorization": f"Bearer {TOKENS[who]}"})
    with urlopen(request, timeout=30) as answer:
        return json.load(answer)


def _post(url: str, path: str, body: Any) -> Any:
    headers = {"Authorization": f"Bearer {TOKENS['operate']}", "Content-Type": "application/json"}
    with urlopen(Request(url + PREFIX + path, json.dumps(body).encode(), headers), timeout=30) as answer:
        return json.load(answer)


if __name__ == "__main__":
    sys.exit(main())
