"""`backout` as a process of its own, and how it ended."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

_TOLD = re.compile(
    r"^error  (?P<what>.*?)^now    (?P<now>.*?)^next   (?P<next>.*?)\n", re.DOTALL | re.MULTILINE
)
TIMEOUT_S = 90


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def everything(self) -> str:
        return self.out + self.err

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        """The error that was told: what, now, next."""
        found = _TOLD.search(self.err)
        assert found, f"exit {self.code} without error, now and next:\n{self.everything}"
        return {key: value.strip() for key, value in found.groupdict().items()}

    def ended(self, code: int) -> Done:
        """Check the exit code; a bug in backout is shown."""
        assert self.code == code, f"exit {self.code}, expected {code}\n{self.everything}"
        assert "bug in backout" not in self.everything, self.everything
        return self

    def refused(self, code: int, *, what: str, now: str, next: str) -> Done:
        """Check that the message names the subject, the state now and the next command (regular expressions)."""
        told = self.ended(code).error
        for key, wanted in (("what", what), ("now", now), ("next", next)):
            assert re.search(wanted, told[key], re.DOTALL | re.IGNORECASE), (
                f"{key} does not say {wanted!r}\n{self.everything}"
            )
        return self


@dataclass
class Cli:
    """`backout` as a process of its own, in a stage's directory."""

    directory: Path
    environ: Mapping[str, str]
    timeout_s: float = field(default=TIMEOUT_S, kw_only=True)

    def argv(self, *words: object) -> list[str]:
        return [sys.executable, "-m", "backout", *map(str, words)]

    def __call__(self, *words: object, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Done:
        done = subprocess.run(
            self.argv(*words),
            cwd=cwd or self.directory,
            env={**self.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=self.timeout_s,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def start(self, *words: object, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start a command that the story looks at while it runs; end it with `finish`."""
        return subprocess.Popen(
            self.argv(*words),
            cwd=self.directory,
            env={**self.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @staticmethod
    def end_children(directory: Path) -> None:
        """End what scripts left running in a directory."""
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.cmdline()[:1] == ["sleep"] and process.cwd() == str(directory):
                    process.kill()

    @staticmethod
    def finish(process: subprocess.Popen[str]) -> Done:
        out, err = process.communicate(timeout=TIMEOUT_S)
        return Done(process.returncode, out, err)


class Terminal:
    """A command on a terminal of its own, as a person has it."""

    def __init__(self, cli: Cli, *words: object) -> None:
        self.text = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(cli.directory)
            os.execve(cli.argv()[0], cli.argv(*words), dict(cli.environ))

    def read_until(self, wanted: str, within_s: float = 30) -> None:
        deadline_s = time.monotonic() + within_s
        while not re.search(wanted, self.text):
            assert time.monotonic() < deadline_s, self.text
            self._read()

    def _read(self) -> bool:
        if select.select([self.fd], [], [], 0.1)[0]:
            try:
                self.text += os.read(self.fd, 65536).decode(errors="replace")
            except OSError:
                return False
        return True

    def type(self, line: str) -> None:
        os.write(self.fd, f"{line}\n".encode())

    def end(self) -> int:
        while self._read():
            pass
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
