"""Types commands for everybody to see, and tells the story between them."""

from __future__ import annotations

import os
import subprocess
import sys

from backout.demo.stage import Stage
from backout.errors import ExitCode, StepFailed
from backout.message import msg


class Narrator:
    """Talks on stdout; with `quiet` it keeps still."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet

    def say(self, *words: str) -> None:
        """Say a line."""
        if not self.quiet:
            sys.stdout.write(" ".join(words) + "\n")
            sys.stdout.flush()


class Typist:
    """Types `backout …` in the stage's directory, for everybody to see."""

    def __init__(self, stage: Stage, narrator: Narrator) -> None:
        self._stage, self._narrator = stage, narrator

    def type(self, *words: str) -> int:
        """Run one command and return its exit code; raises `StepFailed` on a bug of backout."""
        shown = " ".join(f"'{w}'" if " " in w else w for w in ("backout", *words))
        self._narrator.say(f"\n$ {shown}")
        done = subprocess.run(
            [sys.executable, "-m", "backout", *words],
            cwd=self._stage.directory,
            env={**os.environ, **self._stage.environ()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if self._narrator.quiet else None,
            stderr=subprocess.PIPE if self._narrator.quiet else None,
            text=True,
            check=False,
        )
        if done.returncode in (ExitCode.BUG, ExitCode.USAGE):
            raise StepFailed(
                msg(
                    "{command} ended with exit code {code}. {words}",
                    command=shown,
                    code=done.returncode,
                    words=(done.stderr or "")[-500:],
                ),
                state=msg("The demo is over; everything it started was ended."),
                next_command="backout demo",
            )
        return done.returncode

    def answer(self, *words: str) -> str:
        """Run one command that nobody watches, and return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "backout", *words],
            cwd=self._stage.directory,
            env={**os.environ, **self._stage.environ()},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout
