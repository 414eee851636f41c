"""`command`: the user's own smoke test; exit status 0 passes."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from backout.checks.base import CheckResult, Outcome, Subject, note
from backout.checks.options import CommandOptions
from backout.message import msg

if TYPE_CHECKING:
    from backout.redact import Redactor

_TAIL_BYTES = 65_536
_SHOWN_LINES = 5
_GRACE_S = 0.5


@dataclass(frozen=True, slots=True)
class CommandCheck:
    """Runs a command of the user's in the configuration's folder."""

    options: CommandOptions
    directory: Path
    environ: Mapping[str, str] = field(repr=False)

    @property
    def name(self) -> str:
        """The declared name."""
        return self.options.name

    def run(self, subject: Subject, deadline_s: float) -> tuple[CheckResult, ...]:
        """Run it, and end its whole process group when it takes too long.

        Args:
            subject: What is looked at.
            deadline_s: Seconds from now that it may take.
        """
        timeout_s = min(self.options.timeout_s, deadline_s)
        argv = (
            ["/bin/sh", "-c", self.options.run]
            if isinstance(self.options.run, str)
            else list(self.options.run)
        )
        # Hazard: it is raw there. The file has no name, and the kernel drops it also after a kill -9.
        with tempfile.TemporaryFile() as output:
            try:
                process = subprocess.Popen(
                    argv, cwd=self.directory, env=dict(self.environ), stdin=subprocess.DEVNULL,
                    stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
                )  # fmt: skip
            except OSError as error:
                evidence = msg("Could not be started: {error}", error=subject.redactor.text(str(error)))
                return (self._result(Outcome.FAIL, evidence),)
            try:
                status = process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                evidence = msg(
                    "Did not end in {timeout_s:g} s and was ended: {last}",
                    timeout_s=timeout_s, last=_end_and_tell(process, output, subject),
                )  # fmt: skip
                return (self._result(Outcome.FAIL, evidence),)
            except BaseException:
                _end_group(process)
                raise
            if status == 0:
                return (self._result(Outcome.PASS, msg("Exit status 0")),)
            evidence = msg("Exit status {status}: {last}", status=status, last=_last_lines(output, subject))
            return (self._result(Outcome.FAIL, evidence),)

    def by_hand(self, redactor: Redactor) -> tuple[str, ...]:
        """Return the command itself, in its folder."""
        run = self.options.run
        argv = ["sh", "-c", run] if isinstance(run, str) else list(run)
        command = shlex.join(redactor.text(word) for word in argv)
        expected = msg("Expected: it ends within {timeout_s:g} s.", timeout_s=self.options.timeout_s)
        folder = shlex.quote(redactor.text(str(self.directory)))
        return (note(expected), f"(cd {folder} && {command}); echo $?   {note(msg('Expected: 0'))}")

    def _result(self, outcome: Outcome, evidence: object) -> CheckResult:
        return CheckResult.model_validate(
            {"name": self.name, "proves": self.options.proves, "outcome": outcome, "evidence": evidence}
        )


def _end_and_tell(process: subprocess.Popen[bytes], output: IO[bytes], subject: Subject) -> str:
    _end_group(process)
    return _last_lines(output, subject)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End the command and all that it started and that did not leave its process group."""
    for number, wait_s in ((signal.SIGTERM, _GRACE_S), (signal.SIGKILL, _GRACE_S)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(wait_s)
    # The group is killed even when its leader went at once: what ignores SIGTERM would stay.


def _last_lines(output: IO[bytes], subject: Subject) -> str:
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - _TAIL_BYTES))
    # Redacted before it is cut: half a secret would not be recognised.
    lines = subject.redactor.text(output.read().decode(errors="replace")).splitlines()
    if size > _TAIL_BYTES:
        lines = lines[1:]
    return " | ".join(line.strip() for line in lines[-_SHOWN_LINES:] if line.strip()) or "(no output)"
