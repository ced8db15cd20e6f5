"""The documentation's code blocks, and how they are tried; CONTRIBUTING.md tells their writers the convention."""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import shlex
import subprocess
import sys
import tomllib
from ast import PyCF_ALLOW_TOP_LEVEL_AWAIT
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import TYPE_CHECKING, Any

from pinstripe.config import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[1]

_PIECE = re.compile(
    r"^<!-- *(?P<word>project|file|not run|postgres): *(?P<what>.*?) *-->$"
    r"|^(?P<indent> *)(?P<fence>```+)(?P<language>[a-z]+)\n(?P<text>.*?)^(?P=indent)(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)
_NAMED_FILE = re.compile(r"# ((?:[\w.-]+/)*[\w-]+\.(?:py|toml))(?:\s|$)")
_SLOW = re.compile(
    r"^(\S+ \| )?(WARNING pinstripe: )?(something that is no job|\S+) (has )?blocked the event loop for .*\n",
    re.MULTILINE,
)
"""What is told on a machine that is busy with other things."""

_COMMAND = re.compile(r"^\$ (.*(?:\n> .*)*)\n?", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its page and the line where it begins, its language and text, and what the comments above say."""

    page: Path
    line: int
    language: str
    text: str
    project: str
    file: str | None
    not_run: bool
    postgres: str | None = None

    @property
    def place(self) -> str:
        """Where the block is, as `docs/tutorial.md:12`."""
        return f"{self.page.relative_to(ROOT) if self.page.is_relative_to(ROOT) else self.page}:{self.line}"


def read_blocks(page: Path) -> Iterator[Block]:
    """Give the blocks of a page that have a language, in order."""
    text = page.read_text(encoding="utf-8")
    project, file, not_run, postgres = "empty", None, False, None
    for piece in _PIECE.finditer(text):
        line = text.count("\n", 0, piece.start()) + 1
        match piece["word"]:
            case "project":
                project = piece["what"]
            case "file":
                file = piece["what"]
            case "postgres":
                postgres = piece["what"]
            case "not run":
                assert piece["what"], f"{page.name}:{line}: expected `not run:` to be followed by the reason"
                not_run = True
            case _:
                indent = len(piece["indent"])
                lines = [line[indent:] for line in piece["text"].splitlines()]
                named = _NAMED_FILE.match(lines[0]) if lines else None
                yield Block(
                    page=page,
                    line=line,
                    language=piece["language"],
                    text="\n".join(lines) + "\n",
                    project=project,
                    file=file or (named[1] if named else None),
                    not_run=not_run,
                    postgres=postgres,
                )
                file, not_run = None, False


@dataclass(slots=True)
class Trial:
    """Tries the blocks of one page, in order; each of its projects is a folder under `folder`.

    `find_postgres` gives the URL of a database that is empty at first, for a page that has one.
    """

    folder: Path
    find_postgres: Callable[[], str] | None = None
    names: dict[str, Any] = field(default_factory=dict)
    _where: dict[str, Path] = field(default_factory=dict)
    _postgres: str | None = None

    def try_block(self, block: Block) -> None:
        """Do what a reader would do with the block; raise an AssertionError that tells where it is if that fails."""
        if block.postgres is not None and not block.not_run and self.find_postgres is not None:
            self._postgres = self._postgres or self.find_postgres().partition("://")[2]
            block = replace(block, text=block.text.replace(block.postgres, self._postgres))
        if block.language == "python":
            compile(block.text, block.place, "exec", PyCF_ALLOW_TOP_LEVEL_AWAIT)
        if block.language == "toml":
            self._load(block)
        if block.not_run:
            return
        if block.file is not None:
            target = self._enter(block.project) / block.file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            self._execute(block)
        elif block.language == "console":
            self._type(block)

    def _enter(self, project: str) -> Path:
        """Give the folder that the reader is in: of a new copy of the project at first."""
        if project not in self._where:
            folder = self._where[project] = self.folder / project
            if project == "empty":
                folder.mkdir(parents=True)
                (folder / "pyproject.toml").write_text("[tool.pinstripe]\n", encoding="utf-8")
            else:
                ignored = ignore_patterns("__pycache__", ".pinstripe", "*.db*", "var")
                copytree(ROOT / "examples" / project, folder, ignore=ignored)
        return self._where[project]

    def _load(self, block: Block) -> None:
        """Load settings as a project would; other TOML must be TOML."""
        tables = tomllib.loads(block.text)
        if "pinstripe" in tables.get("tool", {}):
            folder = self.folder / f"settings-{block.line}"
            folder.mkdir()
            (folder / "pyproject.toml").write_text(block.text, encoding="utf-8")
            load_settings(folder, environment={})

    def _execute(self, block: Block) -> None:
        """Execute Python in the project's folder, with the names of the page's earlier blocks; call its tests."""
        folder = self._enter(block.project)
        for name in [name for name in sys.modules if name.partition(".")[0] == "lib"]:
            del sys.modules[name]
        earlier = dict(self.names)
        code = compile(block.text, block.place, "exec", PyCF_ALLOW_TOP_LEVEL_AWAIT)
        before = Path.cwd()
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        try:
            _finish(eval(code, self.names))
            for name, value in list(self.names.items()):
                is_new = earlier.get(name) is not value
                if is_new and name.startswith("test_") and not inspect.signature(value).parameters:
                    _finish(value())
        except BaseException as error:
            error.add_note(f"in the block at {block.place}")
            raise
        finally:
            sys.path.remove(str(folder))
            os.chdir(before)

    def _type(self, block: Block) -> None:
        """Type the commands of a console block in one shell, and compare what each of them prints."""
        pieces = _COMMAND.split(block.text)
        assert not pieces[0].strip(), f"{block.place}: expected a console block to begin with `$ `, got:\n{pieces[0]}"
        commands = [command.replace("\n> ", "\n") for command in pieces[1::2]]
        shell = _Shell(self.folder, self._enter(block.project))
        code, printed = 0, ""
        for command, expected in zip(commands, pieces[2::2], strict=True):
            if command == "echo $?":
                assert expected.strip() == str(code), f"{block.place}: expected the exit code {expected}, got {code}"
                code = 0
                continue
            assert code == 0, f"{block.place}: exit code {code} (meant? show it by `$ echo $?`), printed:\n{printed}"
            code, printed = shell.type(command)
            if "blocked the event loop" not in expected:
                printed = _SLOW.sub("", printed)
            assert not expected.strip() or matches(expected, printed), (
                f"{block.place}: `{command}` was expected to print\n{expected}\nbut printed\n{printed}"
            )
        assert code == 0, f"{block.place}: exit code {code} (meant? show it by `$ echo $?`), printed:\n{printed}"
        self._where[block.project] = shell.folder


@dataclass(slots=True)
class _Shell:
    """Runs commands in a shell that has `pinstripe` and stays in the folder that the last one went to."""

    home: Path
    folder: Path

    def type(self, command: str) -> tuple[int, str]:
        """Run one command; give its exit code, and what it printed on standard output and standard error."""
        place = self.home / ".where"
        script = f"trap 'pwd > {shlex.quote(str(place))}' EXIT\n{command}\n"
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "COLUMNS": "120",
            "HOME": str(self.home),
            "NO_COLOR": "1",
        }
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
            check=False,
        )
        self.folder = Path(place.read_text(encoding="utf-8").strip())
        return done.returncode, done.stdout.decode()


def matches(expected: str, printed: str) -> bool:
    """Compare line by line: `...` or `…` stands for any text in a line, and alone in one for any lines, also none.

    Tenants work at the same time, so what they say (`acme | …`) may come in any order of the tenants.
    """
    pattern = ""
    for line in _by_tenant(expected.strip("\n").splitlines()):
        if line.strip() in {"...", "…"}:
            pattern += r"(?:.*\n)*?"
        else:
            pattern += r"[^\n]*".join(map(re.escape, re.split(r"\.\.\.|…", line.rstrip()))) + r"\n"
    lines = [line.rstrip() + "\n" for line in _by_tenant(printed.strip("\n").splitlines())]
    return re.fullmatch(pattern, "".join(lines)) is not None


def _by_tenant(lines: list[str]) -> list[str]:
    """Put lines of several tenants that follow one another in the order of the tenants, each one's as they came."""
    ordered: list[str] = []
    for said, some in groupby(lines, key=lambda line: _OF_TENANT.match(line) is not None):
        together = list(some)
        ordered += sorted(together, key=lambda line: line.partition(" | ")[0]) if said else together
    return ordered


_OF_TENANT = re.compile(r"[^\s|]+ \| ")


def _finish(value: object) -> None:
    """Await what a block's top level, or a test in it, gave."""
    if inspect.iscoroutine(value):
        asyncio.run(value)
