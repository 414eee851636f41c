"""Commands of a documentation page, run in order on a real stage, and held against what the page prints.

A page that has ```console blocks says in its first lines what they start from: `<!-- stage: NAME -->`.
The line before a block may be a marker:

    <!-- exit 4 -->             the block's last command ends with 4 (the others, and without a marker all, with 0)
    <!-- file backout.yaml -->  the block is that file's content; it is written before the next command

`<!-- file backout.yaml as in docs/page.md -->`, alone, stands for that page's block.

In a block, `$ ` begins a command and what follows is its output. A line `…` stands for any lines. What a
person types at a question stands after it, as on a terminal. `$ cd …` is for the reader: a stage is where it is.
"""

from __future__ import annotations

import difflib
import getpass
import os
import pty
import re
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(
    r"(?:<!-- (?P<marker>exit \d+|file \S+) -->\n)?```(?P<language>\w+)\n(?P<body>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
_ASKED = re.compile(r"\[y/N\] |to go on: |\(for the journal\) ")
_ANSWERED = re.compile(rf"({_ASKED.pattern})(?P<answer>\S.*)")
_AS_IN = re.compile(r"^<!-- file (?P<path>\S+) as in (?P<page>\S+) -->$", re.MULTILINE)
_ANY = "…"
_TIMEOUT_S = 90


@dataclass(frozen=True)
class Command:
    """One command with what the page says that it prints.

    Attributes:
        place: Line number in the page.
    """

    line: str
    shown: tuple[str, ...]
    exit_code: int
    place: int

    @property
    def answers(self) -> str:
        """What a person types."""
        return "".join(m["answer"] + "\n" for m in map(_ANSWERED.search, self.shown) if m)


@dataclass(frozen=True)
class File:
    """A file that the page tells the reader to write."""

    path: str
    text: str


@dataclass(frozen=True)
class Where:
    """Where commands run, and how what is only so here is shown to a reader."""

    directory: Path
    environ: dict[str, str]
    shown_as: dict[str, str] = field(default_factory=dict)

    def show(self, text: str) -> str:
        """Return the text as a reader would see it."""
        names = {**self.shown_as, f"{getpass.getuser()}@{socket.gethostname()}": "ana@web1"}
        for real, shown in names.items():
            text = text.replace(real, shown)
        return text


def stage_of(text: str) -> str | None:
    """Return the name of the stage that a page starts from."""
    found = re.search(r"<!-- stage: (\w+) -->", text)
    return found[1] if found else None


def actions(text: str) -> list[Command | File]:
    """Return what a page does, in order."""
    found: list[Command | File] = []
    blocks = [*_FENCE.finditer(text), *_AS_IN.finditer(text)]
    for block in sorted(blocks, key=lambda b: b.start()):
        if block.re is _AS_IN:
            other = actions((ROOT / block["page"]).read_text())
            found += [a for a in other if isinstance(a, File) and a.path == block["path"]]
            continue
        marker = block["marker"] or ""
        if marker.startswith("file "):
            found.append(File(marker.removeprefix("file "), block["body"]))
        elif block["language"] == "console":
            place = text.count("\n", 0, block.start("body")) + 1
            found += _commands(block["body"], int(marker.removeprefix("exit ") or 0), place)
    return found


def languages(text: str) -> set[str]:
    """Return the languages of a page's blocks."""
    return {block["language"] for block in _FENCE.finditer(text)}


def _commands(body: str, last_exit: int, place: int) -> list[Command]:
    parts: list[tuple[str, list[str], int]] = []
    for number, line in enumerate(body.splitlines(), place):
        if line.startswith("$ "):
            parts.append((line.removeprefix("$ "), [], number))
        else:
            assert parts, f"line {number}: output before any command"
            parts[-1][1].append(line)
    parts = [part for part in parts if not part[0].startswith("cd ")]
    last = len(parts) - 1
    return [
        Command(line, tuple(shown), last_exit if n == last else 0, at)
        for n, (line, shown, at) in enumerate(parts)
    ]


def run(command: Command, where: Where) -> tuple[int, list[str]]:
    """Run a command as a reader would, and return its exit code and what it printed."""
    theirs, ours = pty.openpty() if command.answers else (None, None)
    try:
        if theirs is not None:
            os.write(theirs, command.answers.encode())
        done = subprocess.run(
            ["sh", "-c", command.line],
            cwd=where.directory,
            env=where.environ,
            stdin=subprocess.DEVNULL if ours is None else ours,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    finally:
        for end in (theirs, ours):
            if end is not None:
                os.close(end)
    return done.returncode, _as_on_a_terminal(where.show(done.stdout), command.answers)


def _as_on_a_terminal(output: str, answers: str) -> list[str]:
    """Put the answers behind their questions: a terminal shows what is typed, a pipe does not."""
    typed = iter(answers.splitlines())
    output = _ASKED.sub(lambda asked: f"{asked[0]}{next(typed, '')}\n", output)
    return [line.rstrip() for line in output.rstrip("\n").splitlines()]


def difference(shown: tuple[str, ...], printed: list[str]) -> str:
    """Return how the page's output differs from what was printed, figures and names aside; empty if it does not."""
    wanted, got = [_normal(s) for s in shown], [_normal(p) for p in printed]
    if _matches(wanted, got):
        return ""
    return "\n".join(difflib.unified_diff(list(shown), printed, "the page", "printed", lineterm="", n=1))


def _matches(wanted: list[str], got: list[str]) -> bool:
    if not wanted:
        return not got
    if wanted[0] == _ANY:
        return any(_matches(wanted[1:], got[n:]) for n in range(len(got) + 1))
    return bool(got) and wanted[0] == got[0] and _matches(wanted[1:], got[1:])


def _normal(line: str) -> str:
    line = re.sub(r"\b(run|plan|rel)-\d{8}-\d{6}-\w{4}", r"\1-ID", line)
    line = re.sub(r"just now|\d+ (s|min|h) ago", "AGO", line)
    line = re.sub(r"sha256:[0-9a-f]+", "DIGEST", line)
    line = re.sub(r"\+[0-9a-f]{8}\b", "+HASH", line)
    line = re.sub(r"5\.([34])\.0", r"V\1", line)
    line = re.sub(r"\d+(\.\d+)?( ms| s\b)", "TIME", line)
    line = re.sub(r"\d+([.:]\d+)*", "N", line)
    return " ".join(line.split())


def updated(text: str, command: Command, printed: list[str]) -> str:
    """Return the page with what was printed; output with `…` in it is a person's choice and stays."""
    if _ANY in command.shown:
        return text
    before = "\n".join((f"$ {command.line}", *command.shown)) + "\n"
    assert before in text, f"line {command.place}: cannot be found again"
    return text.replace(before, "\n".join((f"$ {command.line}", *printed)) + "\n", 1)


def environment(base: dict[str, str], directory: Path) -> dict[str, str]:
    """Return the environment of a reader's shell: this backout first in PATH, nothing written to the home."""
    programs = str(Path(sys.executable).parent)
    return {
        **base,
        "PATH": f"{programs}:{base.get('PATH', '/usr/bin:/bin')}",
        "NO_COLOR": "1",
        "COLUMNS": "200",
        "XDG_STATE_HOME": str(directory / "xdg"),
    }
