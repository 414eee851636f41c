"""The real drizzle-kit, in several versions: its `generate`, whose questions are answered at a terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import NODE_TOOLS
from tests.corpus.evolving import Planned

NEWEST = "0.31"
"""The version that users get; it stands where the other tools are, others in a folder of their own."""

_TIMEOUT_S = 60
_LONGEST = 100_000  # characters; it asks again after each key
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_QUESTION = re.compile(
    r"Is (\S+) \w+(?: in (\S+) table)? created or renamed from another.*?\n(?:.*\n)*?❯ (.*)"
)
_DOWN, _ENTER = b"\x1b[B", b"\r"


class GenerateError(Exception):
    """drizzle-kit did not do what it was asked for; the text is what it printed."""


@dataclass(frozen=True)
class Kit:
    """One version of drizzle-kit, with the drizzle-orm that was current with it."""

    version: str

    @property
    def node_modules(self) -> Path:
        at = NODE_TOOLS if self.version == NEWEST else NODE_TOOLS / f"drizzle-{self.version}"
        return at / "node_modules"

    @property
    def in_folders(self) -> bool:
        """Whether each migration has a folder, and there is no journal beside them."""
        return self.version == "1.0"

    def generate(self, folder: Path, planned: Planned) -> Path:
        """Make the next migration from `schema.ts` in the folder; return its file.

        Raises:
            GenerateError: It made none.
        """
        before = set(self.files(folder))
        printed = _at_a_terminal(self._argv(planned), folder, planned.renames)
        made = [one for one in self.files(folder) if one not in before]
        if len(made) != 1:
            raise GenerateError(f"{planned.title}: {printed}")
        return made[0]

    def files(self, folder: Path) -> list[Path]:
        """Return the migrations' files, in their order."""
        return sorted((folder / "drizzle").glob("*/migration.sql" if self.in_folders else "*.sql"))

    def _argv(self, planned: Planned) -> list[str]:
        old = self.version == "0.20"
        return [
            "node",
            str(self.node_modules / "drizzle-kit/bin.cjs"),
            *(["generate:pg"] if old else ["generate", "--dialect=postgresql", f"--name={planned.title}"]),
            "--schema=schema.ts",
            "--out=drizzle",
            *(["--custom"] if planned.custom is not None else []),
        ]


def _at_a_terminal(argv: list[str], folder: Path, renames: dict[str, str]) -> str:
    """Run it, and answer its questions: what was renamed from what, and that all else is new."""
    printed = unread = ""
    with _terminal(argv, folder) as terminal:
        while chunk := _read(terminal):
            printed += chunk
            unread = _ESCAPES.sub("", unread + chunk).replace("\r", "")
            if asked := _QUESTION.search(unread):
                name, table, chosen = asked.groups()
                was = renames.get(f"{table}.{name}" if table else name)
                right = bool(re.search(rf"[ .]{was} › ", chosen)) if was else chosen.startswith("+")
                os.write(terminal, _ENTER if right else _DOWN)
                unread = ""
            if len(printed) > _LONGEST:
                raise GenerateError(f"none of its answers is right:\n{printed[-2000:]}")
    return _ESCAPES.sub("", printed)


@contextmanager
def _terminal(argv: list[str], folder: Path) -> Iterator[int]:
    """Run a command at a terminal of its own; give the other end of that."""
    ours, its = pty.openpty()
    try:
        with subprocess.Popen(
            argv, cwd=folder, stdin=its, stdout=its, stderr=its, start_new_session=True
        ) as process:
            os.close(its)
            try:
                yield ours
            finally:
                process.kill()
    finally:
        os.close(ours)


def _read(terminal: int) -> str:
    if not select.select([terminal], [], [], _TIMEOUT_S)[0]:
        raise GenerateError(f"it printed nothing for {_TIMEOUT_S} s")
    try:
        return os.read(terminal, 65536).decode(errors="replace")
    except OSError:  # Linux: EIO, when it has ended
        return ""
