"""The declared commands of one side: each started once at a time, and told afterwards how it ended."""

from __future__ import annotations

import shlex
from typing import Literal

from backout.errors import StepFailed, UsageError
from backout.faults import fault_point
from backout.launch import Job, ask, tail
from backout.message import msg
from backout.platforms.base import Site
from backout.platforms.sides.options import SideOptions
from backout.words import Words

Verb = Literal["start", "stop"]


def installed(name: str, side: SideOptions, site: Site, timeout_s: float) -> str | None:
    """Return the version that starting the side would run; None: that is not declared, or not told."""
    if side.installed is None:
        return None
    answer = ask(side.installed, cwd=site.directory, env=site.environ, timeout_s=timeout_s)
    lines = [line.strip() for line in answer.output.splitlines() if line.strip()]
    return lines[-1] if answer.exit == 0 and lines else None


class Commands:
    """Starts and stops one side, through the launcher: none runs twice at the same time, nor is lost when backout is."""

    def __init__(self, name: str, side: SideOptions, site: Site) -> None:
        self._name, self._side, self._site = name, side, site
        self._job = Job(site.directory.resolve() / ".backout" / f"side-{name}")
        self._note = self._job.folder / "step"

    def running(self) -> bool:
        """Return whether one of them runs now."""
        return self._job.running()

    def ended(self, verb: Verb, step: str) -> int | None:
        """Return the exit status of the command that a step started here; None: it started none, or it is not known."""
        try:
            noted = self._note.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None
        return self._job.exit() if noted == f"{verb} {step}" else None

    def last_lines(self) -> str:
        """Return the end of what the last command printed, without secrets."""
        return self._site.redactor.text(tail(self._job.log))

    def shown(self, verb: Verb) -> str:
        """Return the command as a person types it, without secrets."""
        return self._site.redactor.text(shlex.join(self._words(verb)))

    def run(self, verb: Verb, step: str) -> None:
        """Start the command, unless one runs; `ended` tells what became of it.

        Raises:
            StepFailed: It could not be started.
        """
        site = self._site
        try:
            if self._job.running():
                return
            self._job.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._job.forget()
            self._note.write_text(f"{verb} {step}", encoding="utf-8")
            fault_point(f"sides.{verb}.before")
            self._job.start(
                self._words(verb),
                cwd=site.directory,
                env=site.environ,
                label=verb,
                secrets=site.redactor.secrets,
            )
            fault_point(f"sides.{verb}.after")
        except OSError as error:
            why = site.redactor.text(f"{error.filename}: {error.strerror}")
            raise StepFailed(
                msg("The {verb} command of side {side} cannot be started: {why}",
                    verb=verb, side=self._name, why=why),
                state=msg("The side is as it was."),
                next_command=self.shown(verb),
            ) from None  # fmt: skip

    def _words(self, verb: Verb) -> Words:
        words = self._side.start if verb == "start" else self._side.stop
        if words is None:
            raise UsageError(
                msg("platform.sides.{side} does not say how it is started and stopped.", side=self._name),
                state=msg("Nothing was changed."),
                next_command="${EDITOR:-vi} backout.yaml   # platform.sides: start, stop, installed",
            )
        return words
